"""What a guard looks at: drills, alarms that are not evaluated, pages and status codes, states of versions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud, eventually

from cutover_cloud.metrics import api


def alarm(cloud: Cloud, name: str, **more: Any) -> Any:
    """An alarm on a metric of its own; answers the client."""
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Observed",
        MetricName=name,
        Period=10,
        Statistic="Sum",
        Threshold=0,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        **more,
    )
    return cloudwatch


def described(cloud: Cloud, name: str) -> dict[str, Any]:
    """The alarm as DescribeAlarms shows it."""
    return cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def test_drill_acts_and_is_set_right(cloud: Cloud) -> None:
    arn = cloud.function("drilled")
    cloudwatch = alarm(cloud, "drill", AlarmActions=[arn], OKActions=[arn])
    eventually(lambda: described(cloud, "drill")["StateValue"] == "OK")
    cloudwatch.set_alarm_state(AlarmName="drill", StateValue="ALARM", StateReason="drill of the alarm path")
    eventually(lambda: '"reason": "drill of the alarm path"' in cloud.log("drilled"))
    eventually(lambda: described(cloud, "drill")["StateValue"] == "OK")
    events = [json.loads(line[6:]) for line in cloud.log("drilled").splitlines() if line.startswith("EVENT ")]
    (drill,) = [one["alarmData"]["state"] for one in events if one["alarmData"]["state"]["value"] == "ALARM"]
    # What the last evaluation saw was no reason for it.
    assert drill["reason"] == "drill of the alarm path" and "reasonData" not in drill


def test_drill_is_checked(cloud: Cloud) -> None:
    cloudwatch = alarm(cloud, "checked")
    for wrong in ({"StateValue": "BAD"}, {"StateReason": ""}, {"StateReasonData": "{"}):
        with pytest.raises(ClientError):
            cloudwatch.set_alarm_state(**({"AlarmName": "checked", "StateValue": "ALARM", "StateReason": "r"} | wrong))
    with pytest.raises(ClientError, match="not found"):
        cloudwatch.set_alarm_state(AlarmName="none", StateValue="ALARM", StateReason="r")
    assert described(cloud, "checked")["StateValue"] != "ALARM"


def test_alarm_that_is_not_evaluated_keeps_its_state(cloud: Cloud) -> None:
    cloudwatch = alarm(cloud, "stuck")
    eventually(lambda: described(cloud, "stuck")["StateValue"] == "OK")
    assert cloud.control("alarm", name="stuck", evaluationState="EVALUATION_FAILURE")[0] == 200
    eventually(lambda: described(cloud, "stuck").get("EvaluationState") == "EVALUATION_FAILURE")
    cloudwatch.set_alarm_state(AlarmName="stuck", StateValue="ALARM", StateReason="stays")
    time.sleep(2.5)
    assert described(cloud, "stuck")["StateValue"] == "ALARM"
    cloud.control("alarm", name="stuck", evaluationState="real")
    eventually(lambda: described(cloud, "stuck")["StateValue"] == "OK")
    assert "EvaluationState" not in described(cloud, "stuck")
    assert cloud.control("alarm", name="stuck", evaluationState="FINE")[0] == 400


def query(cloud: Cloud, **more: Any) -> dict[str, Any]:
    """GetMetricData of the two metrics of these tests."""
    now = int(time.time())
    queries = [
        {
            "Id": name,
            "MetricStat": {"Metric": {"Namespace": "Paged", "MetricName": name}, "Period": 60, "Stat": "Sum"},
        }
        for name in ("a", "b")
    ]
    return cloud.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=now - 7200, EndTime=now, ScanBy="TimestampAscending", **more
    )


def test_pages_join_to_the_whole(cloud: Cloud) -> None:
    now = int(time.time())
    cloud.client("cloudwatch").put_metric_data(
        Namespace="Paged",
        MetricData=[
            {"MetricName": name, "Timestamp": now - 3600 + 60 * minute, "Value": minute}
            for name in ("a", "b")
            for minute in range(5)
        ],
    )
    whole = {result["Id"]: result["Values"] for result in query(cloud)["MetricDataResults"]}
    assert whole == {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4]}
    first = query(cloud, MaxDatapoints=3)
    assert [result["StatusCode"] for result in first["MetricDataResults"]] == ["PartialData", "PartialData"]
    joined: dict[str, list[float]] = {"a": [], "b": []}
    page, pages = first, 1
    while True:
        for result in page["MetricDataResults"]:
            joined[result["Id"]] += result["Values"]
        if "NextToken" not in page:
            break
        page, pages = query(cloud, MaxDatapoints=3, NextToken=page["NextToken"]), pages + 1
    assert joined == whole and pages == 4
    assert [result["StatusCode"] for result in page["MetricDataResults"]] == ["Complete", "Complete"]


def test_spoilt_metric_says_so(cloud: Cloud) -> None:
    for status, values in (("PartialData", 5), ("InternalError", 0), ("real", 5)):
        assert cloud.control("metric", namespace="Paged", name="a", status=status)[0] == 200
        a, b = query(cloud)["MetricDataResults"]
        assert a["StatusCode"] == ("Complete" if status == "real" else status) and len(a["Values"]) == values
        assert b["StatusCode"] == "Complete" and len(b["Values"]) == 5


def test_more_queries_than_allowed_are_refused(cloud: Cloud) -> None:
    now = int(time.time())
    stat = {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": f"q{index}", "MetricStat": stat} for index in range(api.QUERIES_MAX + 1)]
    with pytest.raises(ClientError, match="500"):
        cloud.client("cloudwatch").get_metric_data(MetricDataQueries=queries, StartTime=now - 60, EndTime=now)


def test_versions_have_states_of_their_own(cloud: Cloud) -> None:
    blue, green = cloud.colors("stated")
    lambda_ = cloud.client("lambda")
    lambda_.create_alias(FunctionName="stated", Name="live", FunctionVersion=green)

    def state(qualifier: str) -> str:
        return lambda_.get_function_configuration(FunctionName="stated", Qualifier=qualifier)["State"]

    eventually(lambda: state(blue) == state(green) == "Active")
    assert cloud.control("function-state", function="stated", version=green, state="Inactive")[0] == 200
    assert state(green) == state("live") == "Inactive" and state(blue) == "Active"
    shown = lambda_.get_function_configuration(FunctionName="stated", Qualifier="live")
    assert shown["FunctionArn"].endswith(":stated:live") and shown["Version"] == green
    response, failure = cloud.invoke("stated", Qualifier="live")
    assert response["FunctionError"] and "state: Inactive" in failure["errorMessage"]
    assert cloud.invoke("stated", Qualifier="live")[1]["color"] == "green" and state(green) == "Active"
    assert cloud.control("function-state", function="stated", version="9", state="Active")[0] == 400
