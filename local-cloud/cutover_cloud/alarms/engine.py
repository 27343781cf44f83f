"""Evaluates every metric alarm each second, from complete periods."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from cutover_cloud.alarms.evaluation import EXTRA_PERIODS, Missing, Rule, State, decide
from cutover_cloud.metrics import query, store
from cutover_cloud.metrics.math import ExpressionError

log = logging.getLogger("cutover_cloud.alarms")

INTERVAL_SECONDS = 1.0
# Log lines of a period may still be on their way when it ends.
INGESTION_SECONDS = 1.0
DATAPOINTS_SHOWN_MAX = 10

STUCK = ("EVALUATION_ERROR", "EVALUATION_FAILURE")

Alarm = dict[str, Any]


def period_seconds(alarm: Alarm) -> int:
    """The alarm's period."""
    return query.period(alarm["Metrics"]) if alarm.get("Metrics") else int(alarm.get("Period") or 60)


def points(alarm: Alarm, now: float) -> dict[int, float | None]:
    """The value of each complete period in the evaluation range, by its start. Raises ExpressionError."""
    period = period_seconds(alarm)
    end = int((now - INGESTION_SECONDS) // period) * period
    start = end - period * (int(alarm["EvaluationPeriods"]) + EXTRA_PERIODS)
    if alarm.get("Metrics"):
        shown = [entry["Id"] for entry in alarm["Metrics"] if entry.get("ReturnData", True)]
        name = alarm.get("ThresholdMetricId") or (shown[0] if len(shown) == 1 else "")
        series = query.Evaluation(alarm["Metrics"], start, end).series(name)
    else:
        series = store.series(
            alarm["Namespace"],
            alarm["MetricName"],
            query.dimensions(alarm),
            alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average",
            period,
            start,
            end,
        )
    return {at: series.get(at) for at in range(start, end, period)}


def rule(alarm: Alarm) -> Rule:
    """The alarm's own rule."""
    periods = int(alarm["EvaluationPeriods"])
    return Rule(
        comparison=alarm["ComparisonOperator"],
        threshold=float(alarm["Threshold"]),
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
        missing=Missing(alarm.get("TreatMissingData") or "missing"),
    )


def evaluate(alarm: Alarm, now: float) -> None:
    """Evaluate one alarm and act on a transition."""
    try:
        found = points(alarm, now)
        state = decide(rule(alarm), list(found.values()))
        alarm.pop("EvaluationState", None)
        if alarm.get("_told_evaluation"):
            alarm["EvaluationState"] = alarm["_told_evaluation"]
    except (ExpressionError, KeyError, ValueError) as error:
        alarm["EvaluationState"] = "EVALUATION_ERROR"
        log.warning("alarm %s cannot be evaluated: %s", alarm["AlarmName"], error)
        return
    # An alarm that cannot be evaluated stays as it is, whatever happens to its metric.
    if alarm.get("EvaluationState") in STUCK:
        return
    if state is not None and state != alarm["StateValue"]:
        _transition(alarm, state, found, now)


def _transition(alarm: Alarm, state: State, found: dict[int, float | None], now: float) -> None:
    before = alarm["StateValue"]
    reason, data = _reason(alarm, state, found, now)
    alarm.update(
        StateValue=str(state),
        StateReason=reason,
        StateReasonData=json.dumps(data),
        StateUpdatedTimestamp=now,
        StateTransitionedTimestamp=now,
    )
    log.info("alarm %s: %s -> %s: %s", alarm["AlarmName"], before, state, reason)
    cloudwatch._record_history(alarm["AlarmName"], before, str(state), reason, reason_data=data)
    cloudwatch._dispatch_alarm_actions(alarm, before, str(state), reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _reason(alarm: Alarm, state: State, found: dict[int, float | None], now: float) -> tuple[str, dict[str, Any]]:
    """`StateReason` and `StateReasonData` in the words of CloudWatch."""
    real = [(at, value) for at, value in found.items() if value is not None][-int(alarm["EvaluationPeriods"]) :]
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": stamp(now),
        "period": period_seconds(alarm),
        "recentDatapoints": [value for _, value in real],
        "threshold": float(alarm["Threshold"]),
    }
    if real:
        data["startDate"] = stamp(real[0][0])
    if alarm.get("Statistic") and not alarm.get("Metrics"):
        data["statistic"] = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    if not real:
        return f"Insufficient Data: no datapoints were received ({state}).", data
    rule_ = rule(alarm)
    shown = ", ".join(
        f"{value} ({time.strftime('%d/%m/%y %H:%M:%S', time.gmtime(at))})" for at, value in real[-DATAPOINTS_SHOWN_MAX:]
    )
    verb = "was" if state is State.ALARM else "was not"
    words = {
        "GreaterThanOrEqualToThreshold": "greater than or equal to",
        "GreaterThanThreshold": "greater than",
        "LessThanThreshold": "less than",
        "LessThanOrEqualToThreshold": "less than or equal to",
    }
    return (
        f"Threshold Crossed: {len(real)} out of the last {rule_.evaluation_periods} datapoints [{shown}] {verb} "
        f"{words[rule_.comparison]} the threshold ({rule_.threshold}) (minimum {rule_.datapoints_to_alarm} "
        f"datapoint{'s' if rule_.datapoints_to_alarm > 1 else ''} for {alarm['StateValue']} -> {state} "
        "transition).",
        data,
    )


def stamp(at: float) -> str:
    """A time as alarms write it, e.g. `2019-10-02T17:04:40.985+0000`."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}+0000"


async def run() -> None:
    """Evaluate all alarms of every account and region, for ever."""
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        now = time.time()
        for (account, region, _name), alarm in list(cloudwatch._alarms._data.items()):
            with request_scope(account, region):
                try:
                    evaluate(alarm, now)
                except Exception:  # One alarm must not stop the others.
                    log.exception("alarm %s", alarm.get("AlarmName"))


def install() -> None:
    """Stop MiniStack from evaluating when a metric is put."""
    cloudwatch._evaluate_alarm = lambda _alarm: None
    cloudwatch._evaluate_all_alarms = lambda: None
