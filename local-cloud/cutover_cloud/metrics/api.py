"""GetMetricData with expressions, pages and status codes, in every protocol.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch

from cutover_cloud import control
from cutover_cloud.cloudwatch_protocol import Request, Response
from cutover_cloud.metrics import query
from cutover_cloud.metrics.math import ExpressionError

QUERIES_MAX = 500
DATAPOINTS_MAX = 100_800
COMPLETE, PARTIAL = "Complete", "PartialData"
STATUSES = (PARTIAL, "InternalError", "Forbidden")

# What a test said of a metric, by account, region, namespace and name.
_told: dict[tuple[str, str, str, str], str] = {}


def get_metric_data(params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
    """GetMetricData. A page ends after `MaxDatapoints`; a query that goes on in the next one is PartialData."""
    request = Request(params, body, is_cbor, is_json)
    given = request.input("GetMetricData")
    queries = given.get("MetricDataQueries") or []
    start, end = cloudwatch._parse_ts(given.get("StartTime")), cloudwatch._parse_ts(given.get("EndTime"))
    if not queries or start is None or end is None or start >= end:
        return request.refuse("ValidationError", "MetricDataQueries, StartTime and a later EndTime are required.")
    if len(queries) > QUERIES_MAX:
        return request.refuse("ValidationError", f"MetricDataQueries has more than {QUERIES_MAX} members")
    token = given.get("NextToken") or "0"
    room = min(int(given.get("MaxDatapoints") or DATAPOINTS_MAX), DATAPOINTS_MAX)
    if not token.isdigit() or room < 1:
        return request.refuse("InvalidNextToken", "The next token specified is invalid.")
    evaluation = query.Evaluation(queries, start, end)
    newest_first = given.get("ScanBy", "TimestampDescending") != "TimestampAscending"
    try:
        shown = [
            (entry, sorted(evaluation.series(entry["Id"]).items(), reverse=newest_first))
            for entry in queries
            if entry.get("ReturnData", True)
        ]
    except ExpressionError as error:
        return request.refuse("ValidationError", f"Error in expression: {error}")
    results, more = _page(shown, int(token), room, queries)
    answer = {"MetricDataResults": results, "Messages": []}
    return request.answer("GetMetricData", answer | ({"NextToken": str(int(token) + room)} if more else {}))


def _page(
    shown: list[tuple[dict[str, Any], list[tuple[int, float]]]], first: int, room: int, queries: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """The results of the datapoints `first` to `first + room` of all queries together, and whether there are more."""
    results, before = [], 0
    for entry, points in shown:
        low, high = max(first - before, 0), max(first + room - before, 0)
        status = _status(entry, queries)
        if status == COMPLETE and len(points) > high:
            status = PARTIAL
        kept = [] if status in ("InternalError", "Forbidden") else points[low:high]
        own_label = entry["Id"] if entry.get("Expression") else entry["MetricStat"]["Metric"]["MetricName"]
        results.append(
            {
                "Id": entry["Id"],
                "Label": entry.get("Label") or own_label,
                "StatusCode": status,
                "Timestamps": [float(at) for at, _ in kept],
                "Values": [float(value) for _, value in kept],
            }
        )
        before += len(points)
    return results, before > first + room


def _status(entry: dict[str, Any], queries: list[dict[str, Any]]) -> str:
    """What a test said of the query's metric; an expression is as bad as the worst of all metrics."""
    stats = [one for one in ([entry] if entry.get("MetricStat") else queries) if one.get("MetricStat")]
    said = {
        _told.get((get_account_id(), get_region(), metric["Namespace"], metric["MetricName"]), COMPLETE)
        for metric in (one["MetricStat"]["Metric"] for one in stats)
    }
    return next((status for status in reversed(STATUSES) if status in said), COMPLETE)


def _tell(given: dict[str, Any]) -> Any:
    key = (get_account_id(), get_region(), control.text(given, "namespace"), control.text(given, "name"))
    chosen = control.choice(given, "status", (*STATUSES, "real"))
    _told.pop(key, None)
    if chosen != "real":
        _told[key] = chosen
    return {"namespace": key[2], "name": key[3], "status": chosen}


def install() -> None:
    """Replace the call, and let a test spoil a metric."""
    cloudwatch._get_metric_data = get_metric_data
    control.register("metric", _tell)
