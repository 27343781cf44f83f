"""Decides an alarm's state from its datapoints: pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

# CloudWatch retrieves more datapoints than EvaluationPeriods; its examples show two more.
EXTRA_PERIODS = 2

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class State(StrEnum):
    """An alarm's state."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """`TreatMissingData`."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True)
class Rule:
    """What makes an alarm go off."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: Missing


def decide(rule: Rule, points: list[float | None]) -> State | None:
    """The state, or None to stay as it is. `points` are `evaluation_periods + EXTRA_PERIODS`, oldest first."""
    compare = COMPARISONS[rule.comparison]
    slots = [None if value is None else compare(value, rule.threshold) for value in points]
    real = [breaching for breaching in slots if breaching is not None][-rule.evaluation_periods :]
    if not real and rule.missing in (Missing.MISSING, Missing.IGNORE):
        return State.INSUFFICIENT_DATA if rule.missing is Missing.MISSING else None
    breaching_count = sum(real)
    if rule.missing is Missing.BREACHING:
        breaching_count += rule.evaluation_periods - len(real)
    if breaching_count >= rule.datapoints_to_alarm:
        return State.ALARM
    enough = len(real) == rule.evaluation_periods
    if enough or not all(real) or rule.missing in (Missing.BREACHING, Missing.NOT_BREACHING):
        return State.OK
    # All that there is breaches, and it is less than it takes. `missing` alarms once the oldest is old enough, so
    # that a single late datapoint does not alarm early; `ignore` stays as it is.
    if rule.missing is Missing.MISSING and _age(slots) >= rule.datapoints_to_alarm:
        return State.ALARM
    return None


def _age(slots: list[bool | None]) -> int:
    """How many periods ago the oldest breaching datapoint was; the most recent period is 1."""
    return max((len(slots) - index for index, slot in enumerate(slots) if slot), default=0)
