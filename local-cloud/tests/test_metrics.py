"""Embedded metrics, function logs and GetMetricData."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from cloud import Cloud, eventually

from cutover_cloud import emf


def line(names: list[list[str]], metrics: dict[str, Any], at: float | None = None, **members: str) -> str:
    """A log line with embedded metrics."""
    return json.dumps(
        {
            "_aws": {
                "Timestamp": int((at or time.time()) * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Cutover",
                        "Dimensions": names,
                        "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
                    }
                ],
            }
        }
        | metrics
        | members
    )


def data(cloud: Cloud, queries: list[dict[str, Any]], **more: Any) -> dict[str, list[float]]:
    """GetMetricData of the last five minutes."""
    now = time.time()
    found = cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(now - 300, UTC),
        EndTime=datetime.fromtimestamp(now + 60, UTC),
        **more,
    )
    return {result["Id"]: result["Values"] for result in found["MetricDataResults"]}


def stat(
    name: str, dimensions: dict[str, str], stat: str = "Sum", period: int = 10, show: bool = True
) -> dict[str, Any]:
    """A query for one metric."""
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {
        "Id": name.lower(),
        "ReturnData": show,
        "MetricStat": {
            "Metric": {"Namespace": "Cutover", "MetricName": name, "Dimensions": listed},
            "Period": period,
            "Stat": stat,
        },
    }


def test_embedded_metrics_arrive_within_a_second_under_each_dimension_set(cloud: Cloud) -> None:
    cloud.function("emf")
    printed = line(
        [["Color"], ["Color", "Environment"]], {"Paid": [1, 2, 3], "Failed": 0}, Color="blue", Environment="e"
    )
    cloud.invoke("emf", {"print": [printed, "no metric", '{"_aws": "broken"}']})
    started = time.monotonic()
    eventually(lambda: sum(data(cloud, [stat("Paid", {"Color": "blue"})])["paid"]) == 6.0)
    assert time.monotonic() - started < 1
    both = {"Color": "blue", "Environment": "e"}
    assert sum(data(cloud, [stat("Paid", both)])["paid"]) == 6.0
    assert max(data(cloud, [stat("Paid", both, "p99")])["paid"]) > 2.9
    assert sum(data(cloud, [stat("Failed", both, "SampleCount")])["failed"]) == 1.0
    assert data(cloud, [stat("Paid", {"Environment": "e"})])["paid"] == []
    assert data(cloud, [stat("Paid", {})])["paid"] == []


def test_expressions_and_order(cloud: Cloud) -> None:
    cloud.function("math")
    # Two whole periods in the past, so that the test does not depend on when it runs.
    base = time.time() // 60 * 60 - 120
    cloud.invoke(
        "math",
        {
            "print": [
                line([["Kind"]], {"Requests": 10, "Errors": 1}, base, Kind="math"),
                line([["Kind"]], {"Requests": 20}, base + 60, Kind="math"),
            ]
        },
    )
    queries = [
        stat("Requests", {"Kind": "math"}, period=60, show=False),
        stat("Errors", {"Kind": "math"}, period=60, show=False),
        {"Id": "rate", "Expression": "IF(requests > 0, 100 * FILL(errors, 0) / requests, 0)"},
    ]
    eventually(lambda: data(cloud, queries)["rate"] == [0.0, 10.0])
    assert data(cloud, queries, ScanBy="TimestampAscending") == {"rate": [10.0, 0.0]}


def test_output_is_kept_in_a_file_and_in_the_log_group(cloud: Cloud) -> None:
    cloud.function("logged")
    cloud.invoke("logged", {"print": ["first", "second"]})
    eventually(lambda: "first\nsecond\n" in cloud.log("logged"))
    logs = cloud.client("logs")
    found = logs.filter_log_events(logGroupName="/aws/lambda/logged")["events"]
    assert {"first", "second"} <= {event["message"] for event in found}


def test_lines_that_break_the_specification_have_no_metrics() -> None:
    good = json.loads(line([["Color"]], {"Paid": 1}, Color="blue"))
    assert len(emf.parse(json.dumps(good))) == 1
    for broken in ({"Color": 1}, {"Paid": "x"}, {"Paid": list(range(101))}, {"_aws": {"CloudWatchMetrics": []}}):
        assert emf.parse(json.dumps(good | broken)) == []
    assert emf.parse("_aws") == emf.parse('"_aws"') == []
