"""Metric points in order of time, bounded, in MiniStack's own store so that all of its calls see them.

MiniStack keeps every point in a plain list and copies all lists at each CloudWatch request. At 80 payments a second
that is soon the most expensive thing that the emulator does.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable
from typing import Any

from ministack.services import cloudwatch

POINTS_MAX = 100_000
Point = dict[str, Any]


def _time(point: Point) -> float:
    return point["Timestamp"]


class Points(list[Point]):
    """The points of one metric with one dimension set, oldest first."""

    def append(self, point: Point) -> None:
        """Insert in order of time; a full list drops its older half."""
        if len(self) >= POINTS_MAX:
            del self[: POINTS_MAX // 2]
        if not self or point["Timestamp"] >= self[-1]["Timestamp"]:
            super().append(point)
        else:
            self.insert(bisect.bisect_right(self, point["Timestamp"], key=_time), point)

    def between(self, start: float, end: float) -> list[Point]:
        """The points with `start <= time < end`, in epoch seconds."""
        return self[bisect.bisect_left(self, start, key=_time) : bisect.bisect_left(self, end, key=_time)]


def record(namespace: str, name: str, dimensions: dict[str, str], value: float, unit: str, timestamp: float) -> None:
    """Add a value in the current account and region."""
    points = _bucket((namespace, name, cloudwatch._dims_key(dimensions)))
    if points and value == points[-1]["Value"] and points[-1].get("_second") == int(timestamp):
        # The same value in the same second only raises its count: counters stay small.
        points[-1]["Count"] += 1.0
        return
    points.append(
        {
            "Timestamp": timestamp,
            "Value": value,
            "Count": 1.0,
            "Unit": unit,
            "Dimensions": dict(dimensions),
            "_second": int(timestamp),
        }
    )


def window(namespace: str, name: str, dimensions: dict[str, str], start: float, end: float) -> list[Point]:
    """The points of exactly this dimension set with `start <= time < end`."""
    points = cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions)))
    return points.between(start, end) if points else []


def statistic(points: Iterable[Point], name: str) -> float | None:
    """A statistic of points, None when there are none."""
    listed = list(points)
    stats = cloudwatch._calc_stats(listed)
    return cloudwatch._stat_value(stats, name, listed) if stats else None


def series(
    namespace: str, name: str, dimensions: dict[str, str], stat: str, period: int, start: float, end: float
) -> dict[int, float]:
    """The statistic per period, by the period's start."""
    buckets: dict[int, list[Point]] = {}
    for point in window(namespace, name, dimensions, start, end):
        buckets.setdefault(int(point["Timestamp"] // period) * period, []).append(point)
    values = {at: statistic(points, stat) for at, points in buckets.items()}
    return {at: value for at, value in sorted(values.items()) if value is not None}


def _bucket(key: tuple[str, str, str]) -> Points:
    points = cloudwatch._metrics.get(key)
    if points is None:
        points = cloudwatch._metrics[key] = Points()
    return points


def install() -> None:
    """Make MiniStack write to ordered lists and never copy them. Points older than two weeks do not occur here."""
    cloudwatch._metric_bucket = _bucket
    cloudwatch._evict_old_metrics = lambda: None
    cloudwatch.record_metric = lambda namespace, metric_name, value, unit="None", dimensions=None: record(
        namespace, metric_name, dimensions or {}, float(value), unit, time.time()
    )
