"""Lambda permissions, where they are enforced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually, post
from origins import get


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An emulator that enforces permissions."""
    cloud = Cloud(tmp_path_factory.mktemp("strict"), flags=("--enforce-permissions",))
    yield cloud
    cloud.stop()


def permit(cloud: Cloud, name: str, service: str, source: str, **more: str) -> None:
    """AddPermission."""
    cloud.client("lambda").add_permission(
        FunctionName=name,
        StatementId=service.split(".")[0],
        Principal=service,
        Action="lambda:InvokeFunction",
        SourceArn=source,
        **more,
    )


def test_api_needs_the_permission_of_the_alias_itself(strict: Cloud) -> None:
    blue, _green = strict.colors("paid")
    alias = strict.client("lambda").create_alias(FunctionName="paid", Name="live", FunctionVersion=blue)["AliasArn"]
    url = strict.rest_api(alias)
    api = url.split("/")[5]
    assert post(url, {}) == (500, {"message": "Internal server error"})
    source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*/POST/payment"
    permit(strict, "paid", "apigateway.amazonaws.com", source)
    assert post(url, {})[0] == 500
    strict.client("lambda").add_permission(
        FunctionName="paid",
        Qualifier="live",
        StatementId="live",
        Principal="apigateway.amazonaws.com",
        Action="lambda:InvokeFunction",
        SourceArn=source,
    )
    assert post(url, {})[0] == 201


def test_rule_needs_permission(strict: Cloud) -> None:
    arn = strict.function("ruled")
    events = strict.client("events")
    rule = events.put_rule(Name="ruled", EventPattern=json.dumps({"source": ["test"]}))["RuleArn"]
    events.put_targets(Rule="ruled", Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": "test", "DetailType": "before", "Detail": "{}"}])
    time.sleep(0.5)
    permit(strict, "ruled", "events.amazonaws.com", rule)
    events.put_events(Entries=[{"Source": "test", "DetailType": "after", "Detail": "{}"}])
    eventually(lambda: "after" in strict.log("ruled"))
    assert "before" not in strict.log("ruled")


def test_alarm_needs_permission(strict: Cloud) -> None:
    arn = strict.function("alarmed")
    cloudwatch = strict.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="N",
        MetricName="M",
        Period=60,
        Statistic="Sum",
        Threshold=1,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="before")
    time.sleep(0.5)
    permit(
        strict, "alarmed", "lambda.alarms.cloudwatch.amazonaws.com", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:a"
    )
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="between")
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="after")
    eventually(lambda: '"after"' in strict.log("alarmed"))
    assert '"reason": "before"' not in strict.log("alarmed").split('"previousState"')[0]


def test_topic_needs_permission(strict: Cloud) -> None:
    arn = strict.function("notified")
    sns = strict.client("sns")
    topic = sns.create_topic(Name="notified")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="before")
    time.sleep(0.5)
    permit(strict, "notified", "sns.amazonaws.com", topic)
    sns.publish(TopicArn=topic, Message="after")
    eventually(lambda: "after" in strict.log("notified"))
    assert "before" not in strict.log("notified")


def test_load_balancer_needs_permission(strict: Cloud) -> None:
    elb = strict.client("elbv2")
    arn = strict.function("balanced")
    group = elb.create_target_group(Name="strict", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    with pytest.raises(ClientError, match="elasticloadbalancing principal does not have permission"):
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    permit(strict, "balanced", "elasticloadbalancing.amazonaws.com", group)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    balancer = elb.create_load_balancer(Name="strict")["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Port=80, Protocol="HTTP", DefaultActions=forward)
    assert post(f"{strict.endpoint}/_alb/strict/pay", {})[0] == 201
    strict.client("lambda").remove_permission(FunctionName="balanced", StatementId="elasticloadbalancing")
    assert get(f"{strict.endpoint}/_alb/strict/pay")[0] == 502
