"""PutMetricAlarm with metric math, DescribeAlarms in full, and GetMetricData with expressions, in every protocol."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch

from cutover_cloud.cloudwatch_protocol import Request, Response
from cutover_cloud.metrics import query
from cutover_cloud.metrics.math import ExpressionError

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


def get_metric_data(params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
    """GetMetricData. Everything fits into one page here."""
    request = Request(params, body, is_cbor, is_json)
    given = request.input("GetMetricData")
    queries = given.get("MetricDataQueries") or []
    start, end = cloudwatch._parse_ts(given.get("StartTime")), cloudwatch._parse_ts(given.get("EndTime"))
    if not queries or start is None or end is None or start >= end:
        return request.refuse("ValidationError", "MetricDataQueries, StartTime and a later EndTime are required.")
    evaluation = query.Evaluation(queries, start, end)
    newest_first = given.get("ScanBy", "TimestampDescending") != "TimestampAscending"
    try:
        results = [_result(evaluation, entry, newest_first) for entry in queries if entry.get("ReturnData", True)]
    except ExpressionError as error:
        return request.refuse("ValidationError", f"Error in expression: {error}")
    return request.answer("GetMetricData", {"MetricDataResults": results, "Messages": []})


def _result(evaluation: query.Evaluation, entry: dict[str, Any], newest_first: bool) -> dict[str, Any]:
    points = sorted(evaluation.series(entry["Id"]).items(), reverse=newest_first)
    own_label = entry["Id"] if entry.get("Expression") else entry["MetricStat"]["Metric"]["MetricName"]
    return {
        "Id": entry["Id"],
        "Label": entry.get("Label") or own_label,
        "StatusCode": "Complete",
        "Timestamps": [float(at) for at, _ in points],
        "Values": [float(value) for _, value in points],
    }


_PUT = cloudwatch._put_metric_alarm
_DESCRIBE = cloudwatch._describe_alarms


def install() -> None:
    """Replace the three calls."""
    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms
    cloudwatch._get_metric_data = get_metric_data
