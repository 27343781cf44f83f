"""Embedded Metric Format: metrics that a function prints as JSON lines.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A line without it is no metric: spares parsing most log lines.
MARKER = '"_aws"'
VALUES_MAX = 100
DIMENSIONS_MAX = 30


@dataclass(frozen=True)
class Datum:
    """One value list of one metric with one dimension set."""

    namespace: str
    name: str
    unit: str
    dimensions: dict[str, str]
    values: tuple[float, ...]
    timestamp_seconds: float


def parse(line: str) -> list[Datum]:
    """The metrics of a log line; a line that breaks the specification has none, as on AWS."""
    if MARKER not in line:
        return []
    try:
        document = json.loads(line)
        return list(_data(document))
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _data(document: dict[str, Any]) -> Iterator[Datum]:
    metadata = document["_aws"]
    timestamp = float(metadata["Timestamp"]) / 1000.0
    for directive in metadata.get("CloudWatchMetrics", []):
        # No dimension set at all means a metric without dimensions.
        for names in directive.get("Dimensions") or [[]]:
            if len(names) > DIMENSIONS_MAX:
                raise ValueError("too many dimensions")
            dimensions = {name: _text(document[name]) for name in names}
            for metric in directive["Metrics"]:
                values = _values(document.get(metric["Name"]))
                if values:
                    yield Datum(
                        directive["Namespace"],
                        metric["Name"],
                        metric.get("Unit", "None"),
                        dimensions,
                        values,
                        timestamp,
                    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a dimension's value is a string")
    return value


def _values(value: Any) -> tuple[float, ...]:
    listed = value if isinstance(value, list) else [value]
    if len(listed) > VALUES_MAX:
        raise ValueError("too many values")
    return tuple(float(item) for item in listed if isinstance(item, int | float) and not isinstance(item, bool))
