"""PutMetricAlarm with metric math, DescribeAlarms in full, and SetAlarmState with its checks, in every protocol."""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.services import cloudwatch

from cutover_cloud import control
from cutover_cloud.alarms.notification import ACTIONS
from cutover_cloud.cloudwatch_protocol import Request, Response

EVALUATION_STATES = ("PARTIAL_DATA", "EVALUATION_ERROR", "EVALUATION_FAILURE")

# What MiniStack's own PutMetricAlarm does not keep, or not in every protocol.
KEPT = ("Metrics", "ThresholdMetricId", "InsufficientDataActions", "EvaluateLowSampleCountPercentile")
OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit")


def complete(alarm: dict[str, Any], given: dict[str, Any]) -> None:
    """Add what was given to MiniStack's record of an alarm."""
    for name in KEPT:
        if given.get(name):
            alarm[name] = given[name]
    if alarm.get("Metrics"):
        for name in OF_ONE_METRIC:
            alarm.pop(name, None)


def put_metric_alarm(params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
    """PutMetricAlarm."""
    request = Request(params, body, is_cbor, is_json)
    given = request.input("PutMetricAlarm")
    if given.get("Metrics"):
        shown = [entry for entry in given["Metrics"] if entry.get("ReturnData", True)]
        if len(shown) != 1:
            return request.refuse("ValidationError", "Exactly one element of the metrics list should return data.")
    response = _PUT(params, body, is_cbor, is_json)
    if response[0] == 200:
        complete(cloudwatch._alarms[given["AlarmName"]], given)
    return response


def describe_alarms(params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
    """DescribeAlarms: MiniStack chooses and pages, we show all members."""
    request = Request(params, body, is_cbor, is_json)
    chosen = _DESCRIBE({}, request.input("DescribeAlarms"), False, True)
    if chosen[0] != 200:
        return _DESCRIBE(params, body, is_cbor, is_json)
    page = json.loads(chosen[2])
    return request.answer(
        "DescribeAlarms",
        {
            "MetricAlarms": [cloudwatch._alarms[alarm["AlarmName"]] for alarm in page["MetricAlarms"]],
            "CompositeAlarms": [cloudwatch._composite_alarms[alarm["AlarmName"]] for alarm in page["CompositeAlarms"]],
            "NextToken": page.get("NextToken"),
        },
    )


_PUT = cloudwatch._put_metric_alarm
_DESCRIBE = cloudwatch._describe_alarms
_SET = cloudwatch._set_alarm_state


def set_alarm_state(params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
    """SetAlarmState: its actions run as for a real transition, and the next evaluation sets the alarm right again."""
    request = Request(params, body, is_cbor, is_json)
    given = request.input("SetAlarmState")
    name, value = given.get("AlarmName", ""), given.get("StateValue")
    if value not in ACTIONS:
        return request.refuse("ValidationError", f"StateValue '{value}' must be one of {', '.join(ACTIONS)}")
    if not given.get("StateReason"):
        return request.refuse("ValidationError", "StateReason is required")
    data = given.get("StateReasonData")
    if data and not _is_json(data):
        return request.refuse("InvalidFormat", "StateReasonData is not valid JSON")
    alarm = cloudwatch._alarms.get(name)
    if alarm is not None:
        # What the last evaluation saw is no reason for this state.
        alarm["StateReasonData"] = data or ""
        if alarm["StateValue"] != value:
            alarm["StateTransitionedTimestamp"] = time.time()
    return _SET(params, body, is_cbor, is_json)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _tell(given: dict[str, Any]) -> Any:
    alarm = cloudwatch._alarms.get(control.text(given, "name"))
    if alarm is None:
        raise control.Mistake(f"no metric alarm '{given['name']}' in this account and region")
    chosen = control.choice(given, "evaluationState", (*EVALUATION_STATES, "real"))
    alarm["_told_evaluation"] = None if chosen == "real" else chosen
    return {"name": given["name"], "evaluationState": chosen}


def install() -> None:
    """Replace the calls."""
    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms
    cloudwatch._set_alarm_state = set_alarm_state
    control.register("alarm", _tell)
