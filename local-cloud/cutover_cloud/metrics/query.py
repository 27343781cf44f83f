"""Metric data queries (`MetricStat` or `Expression`), as GetMetricData and alarms on metric math have them."""

from __future__ import annotations

from typing import Any

from cutover_cloud.metrics import math, store
from cutover_cloud.metrics.math import Series

PERIOD_SECONDS = 60
DEPTH_MAX = 20
Query = dict[str, Any]


def period(queries: list[Query]) -> int:
    """The period that the queries have in common: CloudWatch aligns expressions to the longest."""
    periods = [int((query.get("MetricStat") or query).get("Period") or 0) for query in queries]
    return max(periods, default=0) or PERIOD_SECONDS


def dimensions(metric: dict[str, Any]) -> dict[str, str]:
    """The dimension list as a dict."""
    return {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions") or []}


class Evaluation:
    """The queries of one request over `start <= time < end`, each computed at most once."""

    def __init__(self, queries: list[Query], start: float, end: float) -> None:
        self._queries = {query["Id"]: query for query in queries}
        self._start, self._end = start, end
        self._period = period(queries)
        self._values: dict[str, math.Value] = {}
        first = int(start // self._period) * self._period
        self.grid = range(first, max(int(end), first), self._period)

    def value(self, name: str, depth: int = 0) -> math.Value:
        """The value of a query. Raises ExpressionError for an unknown id or a cycle."""
        if name not in self._queries or depth > DEPTH_MAX:
            raise math.ExpressionError(f"unknown id {name!r}, or too deep")
        if name not in self._values:
            query = self._queries[name]
            if query.get("Expression"):
                scope = math.Scope(lambda other: self.value(other, depth + 1), self._metrics, self.grid)
                self._values[name] = math.evaluate(query["Expression"], scope)
            else:
                self._values[name] = self._stat(query["MetricStat"])
        return self._values[name]

    def series(self, name: str) -> Series:
        """The value of a query as one time series."""
        return math.as_series(self.value(name), self.grid)

    def _stat(self, stat: dict[str, Any]) -> Series:
        metric = stat["Metric"]
        return store.series(
            metric["Namespace"],
            metric["MetricName"],
            dimensions(metric),
            stat["Stat"],
            int(stat["Period"]),
            self._start,
            self._end,
        )

    def _metrics(self) -> list[Series]:
        return [self.series(name) for name, query in self._queries.items() if not query.get("Expression")]
