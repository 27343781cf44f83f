"""Alarms from metric to action."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from cloud import ACCOUNT, REGION, Cloud, eventually

PERIOD = 10


def put(cloud: Cloud, kind: str, value: float, name: str = "Failures") -> None:
    """PutMetricData of one value now."""
    cloud.client("cloudwatch").put_metric_data(
        Namespace="Test",
        MetricData=[{"MetricName": name, "Value": value, "Dimensions": [{"Name": "Kind", "Value": kind}]}],
    )


def alarm(cloud: Cloud, name: str, **more: Any) -> None:
    """PutMetricAlarm on `Failures` of the kind with the alarm's name."""
    cloud.client("cloudwatch").put_metric_alarm(
        **(
            {
                "AlarmName": name,
                "EvaluationPeriods": 1,
                "Threshold": 0.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "notBreaching",
            }
            | (
                {}
                if "Metrics" in more
                else {
                    "Namespace": "Test",
                    "MetricName": "Failures",
                    "Dimensions": [{"Name": "Kind", "Value": name}],
                    "Period": PERIOD,
                    "Statistic": "Sum",
                }
            )
            | more
        )
    )


def state(cloud: Cloud, name: str) -> str:
    """The alarm's state."""
    found = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return (found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"]


@pytest.fixture(scope="module")
def heard(cloud: Cloud) -> str:
    """A function that hears of all alarms whose name starts with `heard`, and is their direct action."""
    arn = cloud.function("listener")
    events = cloud.client("events")
    events.put_rule(
        Name="alarms",
        EventPattern=json.dumps(
            {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {"alarmName": [{"prefix": "heard"}]},
            }
        ),
    )
    events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": arn}])
    topic = cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    return arn


def events(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    """All that the listener was given that names the alarm."""
    printed = [line[6:] for line in cloud.log("listener").splitlines() if line.startswith("EVENT ")]
    return [json.loads(line) for line in printed if name in line]


def test_transition_reaches_event_rule_topic_and_function(cloud: Cloud, heard: str) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
    alarm(cloud, "heard-all", AlarmActions=[heard, topic], AlarmDescription="why")
    eventually(lambda: state(cloud, "heard-all") == "OK", 5)
    started = time.monotonic()
    put(cloud, "heard-all", 1)
    put(cloud, "another", 5)
    eventually(lambda: len(events(cloud, "heard-all")) == 4, PERIOD + 8)
    assert time.monotonic() - started < PERIOD + 5
    by_event = [event for event in events(cloud, "heard-all") if "detail" in event]
    assert [event["detail"]["state"]["value"] for event in by_event] == ["OK", "ALARM"]
    event, detail = by_event[1], by_event[1]["detail"]
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:heard-all"
    assert event["resources"] == [arn] and event["source"] == "aws.cloudwatch" and event["account"] == ACCOUNT
    assert detail["previousState"]["value"] == "OK"
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [1.0]
    assert detail["state"]["reason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [1.0 (")
    assert detail["configuration"]["description"] == "why"
    metric = detail["configuration"]["metrics"][0]["metricStat"]
    assert metric == {
        "metric": {"namespace": "Test", "name": "Failures", "dimensions": {"Kind": "heard-all"}},
        "period": PERIOD,
        "stat": "Sum",
    }
    direct = next(event for event in events(cloud, "heard-all") if "alarmData" in event)
    assert direct["alarmArn"] == arn and direct["alarmData"]["state"] == detail["state"]
    message = json.loads(
        next(event for event in events(cloud, "heard-all") if "Records" in event)["Records"][0]["Sns"]["Message"]
    )
    assert message["NewStateValue"] == "ALARM" and message["OldStateValue"] == "OK"


def test_disabled_actions_still_send_the_event(cloud: Cloud, heard: str) -> None:
    alarm(cloud, "heard-disabled", AlarmActions=[heard], ActionsEnabled=False)
    eventually(lambda: state(cloud, "heard-disabled") == "OK", 5)
    cloud.client("cloudwatch").set_alarm_state(AlarmName="heard-disabled", StateValue="ALARM", StateReason="by hand")
    eventually(lambda: len(events(cloud, "heard-disabled")) >= 2)
    time.sleep(0.3)
    assert not [event for event in events(cloud, "heard-disabled") if "alarmData" in event]


def test_metric_math_alarm_and_composite(cloud: Cloud) -> None:
    def entry(name: str) -> dict[str, Any]:
        metric = {"Namespace": "Test", "MetricName": name, "Dimensions": [{"Name": "Kind", "Value": "math"}]}
        return {
            "Id": name.lower(),
            "ReturnData": False,
            "MetricStat": {"Metric": metric, "Period": PERIOD, "Stat": "Sum"},
        }

    alarm(
        cloud,
        "rate",
        Threshold=5.0,
        Metrics=[
            entry("Failures"),
            entry("Requests"),
            {"Id": "rate", "Expression": "IF(requests > 0, 100 * FILL(failures, 0) / requests, 0)", "ReturnData": True},
        ],
    )
    cloud.client("cloudwatch").put_composite_alarm(AlarmName="any", AlarmRule='ALARM("rate")')
    put(cloud, "math", 100, "Requests")
    put(cloud, "math", 6)
    eventually(lambda: state(cloud, "rate") == "ALARM", PERIOD + 5)
    assert state(cloud, "any") == "ALARM"
    put(cloud, "math", 100, "Requests")
    eventually(lambda: state(cloud, "any") == "OK", 2 * PERIOD + 5)
    described = cloud.client("cloudwatch").describe_alarms(AlarmNames=["rate"])["MetricAlarms"][0]
    assert [query["Id"] for query in described["Metrics"]] == ["failures", "requests", "rate"]
    assert "MetricName" not in described


def test_expression_that_cannot_be_evaluated_says_so(cloud: Cloud) -> None:
    alarm(cloud, "broken", Metrics=[{"Id": "e", "Expression": "nobody + 1", "Period": 10}])
    eventually(
        lambda: (
            cloud.client("cloudwatch").describe_alarms(AlarmNames=["broken"])["MetricAlarms"][0].get("EvaluationState")
            == "EVALUATION_ERROR"
        ),
        5,
    )


def test_describe_alarms_is_complete_in_the_query_protocol(cloud: Cloud) -> None:
    alarm(
        cloud,
        "described",
        ActionsEnabled=False,
        DatapointsToAlarm=1,
        OKActions=["arn:aws:sns:eu-central-1:000000000000:x"],
    )
    request = urllib.request.Request(
        cloud.endpoint,
        b"Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=described",
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/monitoring/aws4_request, "
            "SignedHeaders=host, Signature=0",
        },
    )
    text = urllib.request.urlopen(request).read().decode()
    for part in (
        "<ActionsEnabled>false</ActionsEnabled>",
        "<StateUpdatedTimestamp>2",
        "<StateValue>",
        "<TreatMissingData>notBreaching</TreatMissingData>",
        "<Period>10</Period>",
        "<Dimensions><member><Name>Kind</Name><Value>described</Value></member></Dimensions>",
        "<OKActions><member>arn:aws:sns",
    ):
        assert part in text


def test_all_alarm_members_in_cbor(cloud: Cloud) -> None:
    alarm(cloud, "cbor", DatapointsToAlarm=1)
    shown = cloud.client("cloudwatch").describe_alarms(AlarmNames=["cbor"])["MetricAlarms"][0]
    assert shown["ActionsEnabled"] is True and shown["StateUpdatedTimestamp"].year > 2000
    assert shown["DatapointsToAlarm"] == 1 and shown["TreatMissingData"] == "notBreaching"
