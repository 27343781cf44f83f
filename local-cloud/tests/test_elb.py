"""Load balancers as clients and callers see them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud, eventually, post
from origins import Origin, get, origins

REQUESTS = 200


class Balancer:
    """A load balancer with a listener whose default rule forwards to two groups."""

    def __init__(self, cloud: Cloud, name: str, blue: str, green: str) -> None:
        self.elb, self.cloudwatch = cloud.client("elbv2"), cloud.client("cloudwatch")
        self.arns = {"blue": blue, "green": green}
        self.lb = self.elb.create_load_balancer(Name=name)["LoadBalancers"][0]["LoadBalancerArn"]
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.lb, Port=80, Protocol="HTTP", DefaultActions=[self.action(100, 0)]
        )["Listeners"][0]["ListenerArn"]
        self.url = f"{cloud.endpoint}/_alb/{name}"

    def action(self, blue: int, green: int, sticky: int = 0) -> dict[str, Any]:
        """A forward action with two weights."""
        stickiness = {"Enabled": bool(sticky)} | ({"DurationSeconds": sticky} if sticky else {})
        return {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [
                    {"TargetGroupArn": self.arns["blue"], "Weight": blue},
                    {"TargetGroupArn": self.arns["green"], "Weight": green},
                ],
                "TargetGroupStickinessConfig": stickiness,
            },
        }

    def shift(self, blue: int, green: int, sticky: int = 0) -> None:
        """ModifyListener."""
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=[self.action(blue, green, sticky)])

    def state(self, color: str) -> list[tuple[str, str]]:
        """State and reason of each target of a color."""
        found = self.elb.describe_target_health(TargetGroupArn=self.arns[color])["TargetHealthDescriptions"]
        return [(entry["TargetHealth"]["State"], entry["TargetHealth"].get("Reason", "")) for entry in found]


def group(cloud: Cloud, name: str, **more: Any) -> str:
    """A target group that is checked as often as AWS allows."""
    settings = {
        "Protocol": "HTTP",
        "Port": 80,
        "TargetType": "ip",
        "HealthCheckPath": "/health",
        "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 2,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2,
    }
    made = cloud.client("elbv2").create_target_group(Name=name, **(settings | more))
    return made["TargetGroups"][0]["TargetGroupArn"]


@pytest.fixture(scope="module")
def colors(cloud: Cloud) -> Iterator[tuple[Balancer, list[Origin]]]:
    """Two colors of HTTP targets, green with two on one address."""
    with origins("blue", "green", "green", "red") as (*running, sick):
        sick.healthy = False
        balancer = Balancer(cloud, "colors", group(cloud, "blue"), group(cloud, "green"))
        balancer.arns["red"] = group(cloud, "red")
        # In use by a rule that no request matches, so that its target is checked from now on.
        balancer.elb.create_rule(
            ListenerArn=balancer.listener,
            Priority=50000,
            Conditions=[{"Field": "path-pattern", "Values": ["/red"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": balancer.arns["red"]}],
        )
        for color, origin in zip(("blue", "green", "green", "red"), (*running, sick), strict=True):
            balancer.elb.register_targets(
                TargetGroupArn=balancer.arns[color], Targets=[{"Id": "127.0.0.1", "Port": origin.port}]
            )
        eventually(lambda: balancer.state("blue") + balancer.state("green") == [("healthy", "")] * 3)
        yield balancer, running


@pytest.fixture(scope="module")
def functions(cloud: Cloud) -> Balancer:
    """Two colors of one function."""
    blue, green = cloud.colors("balanced")
    lambda_ = cloud.client("lambda")
    arns = {}
    for color, version in (("blue", blue), ("green", green)):
        arns[color] = cloud.client("elbv2").create_target_group(Name=f"fn-{color}", TargetType="lambda")[
            "TargetGroups"
        ][0]["TargetGroupArn"]
        target = lambda_.create_alias(FunctionName="balanced", Name=color, FunctionVersion=version)["AliasArn"]
        cloud.client("elbv2").register_targets(TargetGroupArn=arns[color], Targets=[{"Id": target}])
    return Balancer(cloud, "functions", arns["blue"], arns["green"])


def test_forward_config_is_kept_and_shown(colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, _ = colors
    balancer.shift(999, 1, sticky=60)
    listener = balancer.elb.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]
    rule = balancer.elb.describe_rules(ListenerArn=balancer.listener)["Rules"][-1]
    for action in (listener["DefaultActions"][0], rule["Actions"][0]):
        assert action["ForwardConfig"] == balancer.action(999, 1, sticky=60)["ForwardConfig"]
        assert "TargetGroupArn" not in action
    groups = balancer.elb.describe_target_groups(LoadBalancerArn=balancer.lb)["TargetGroups"]
    assert {found["TargetGroupArn"] for found in groups} == set(balancer.arns.values())


def test_requests_follow_the_weights(colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, _ = colors
    balancer.shift(75, 25)
    seen = Counter(get(f"{balancer.url}/pay?a=1")[1] for _ in range(REQUESTS))
    assert set(seen) == {"blue /pay?a=1", "green /pay?a=1"}
    # 150 expected; six standard deviations.
    assert 113 <= seen["blue /pay?a=1"] <= 187
    balancer.shift(0, 1)
    assert {get(f"{balancer.url}/")[1] for _ in range(50)} == {"green /"}
    balancer.shift(0, 0)
    assert get(f"{balancer.url}/")[0] == 503


def test_rules_are_weighted_and_ordered(colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, _ = colors
    balancer.shift(1, 0)
    elb = balancer.elb
    condition = [{"Field": "path-pattern", "Values": ["/only*"]}]
    made = elb.create_rule(
        ListenerArn=balancer.listener, Priority=7, Conditions=condition, Actions=[balancer.action(0, 5)]
    )["Rules"][0]["RuleArn"]
    assert get(f"{balancer.url}/only")[1] == "green /only" and get(f"{balancer.url}/other")[1] == "blue /other"
    elb.modify_rule(RuleArn=made, Actions=[balancer.action(5, 0)])
    assert get(f"{balancer.url}/only")[1] == "blue /only"
    with pytest.raises(elb.exceptions.PriorityInUseException):
        elb.create_rule(
            ListenerArn=balancer.listener, Priority=7, Conditions=condition, Actions=[balancer.action(0, 5)]
        )
    assert [rule["Priority"] for rule in elb.describe_rules(ListenerArn=balancer.listener)["Rules"]] == [
        "7",
        "50000",
        "default",
    ]
    elb.delete_rule(RuleArn=made)


def test_sticky_clients_stay_though_the_weight_is_zero(colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, _ = colors
    balancer.shift(0, 100, sticky=60)
    _status, text, headers = get(f"{balancer.url}/")
    set_cookies = [value for name, value in headers if name.lower() == "set-cookie"]
    assert text == "green /" and [value.split("=")[0] for value in set_cookies] == ["AWSALBTG", "AWSALBTGCORS"]
    cookie = {"Cookie": set_cookies[0].split(";")[0]}
    balancer.shift(100, 0, sticky=60)
    assert {get(f"{balancer.url}/", cookie)[1] for _ in range(20)} == {"green /"}
    assert {get(f"{balancer.url}/")[1] for _ in range(20)} == {"blue /"}
    balancer.shift(100, 0)
    assert get(f"{balancer.url}/", cookie)[1] == "blue /"


def test_unhealthy_targets_are_left_out_until_none_is_left(colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, (_, first, second) = colors
    balancer.shift(0, 1)
    first.healthy = False
    mismatch = ("unhealthy", "Target.ResponseCodeMismatch")
    eventually(lambda: sorted(balancer.state("green")) == [("healthy", ""), mismatch], 15)
    asked = second.requests
    assert {get(f"{balancer.url}/")[1] for _ in range(20)} == {"green /"} and second.requests == asked + 20
    # The red group's only target never was healthy.
    eventually(lambda: balancer.state("red") == [mismatch], 15)
    balancer.elb.modify_listener(
        ListenerArn=balancer.listener,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": balancer.arns["red"]}],
    )
    assert get(f"{balancer.url}/")[:2] == (200, "red /")
    metrics = balancer_metrics(balancer)
    assert "UnHealthyHostCount" in metrics and "RequestCount" in metrics and "HTTPCode_Target_2XX_Count" in metrics


def balancer_metrics(balancer: Balancer) -> set[str]:
    """Names of the metrics that the balancer has."""
    suffix = balancer.lb.partition(":loadbalancer/")[2]
    found = balancer.cloudwatch.list_metrics(
        Namespace="AWS/ApplicationELB", Dimensions=[{"Name": "LoadBalancer", "Value": suffix}]
    )
    return {metric["MetricName"] for metric in found["Metrics"]}


def test_functions_are_targets(functions: Balancer) -> None:
    functions.shift(0, 100)
    assert post(f"{functions.url}/payment", {})[1]["color"] == "green"
    functions.shift(100, 0)
    assert post(f"{functions.url}:80/payment", {})[1]["color"] == "blue"
    assert post(f"{functions.url}/payment", {"echo": True})[1]["event"]["headers"]["x-forwarded-port"] == "80"
    functions.elb.modify_target_group_attributes(
        TargetGroupArn=functions.arns["blue"],
        Attributes=[{"Key": "lambda.multi_value_headers.enabled", "Value": "true"}],
    )
    status, body = post(f"{functions.url}/payment?a=1&a=2", {"echo": True})
    assert status == 201 and body["event"]["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    assert "headers" not in body["event"]


def test_failed_function_is_a_bad_gateway(functions: Balancer) -> None:
    functions.shift(0, 100)
    status, text, _ = get(f"{functions.url}/payment", body={"fail": True})
    assert status == 502 and "told" not in text


def test_functions_are_checked_only_if_asked_for(cloud: Cloud, functions: Balancer) -> None:
    assert functions.state("blue") == [("unavailable", "Target.HealthCheckDisabled")]
    functions.elb.modify_target_group(
        TargetGroupArn=functions.arns["blue"], HealthCheckEnabled=True, Matcher={"HttpCode": "201"}
    )
    eventually(lambda: functions.state("blue") == [("healthy", "")])


def test_states_without_traffic(cloud: Cloud) -> None:
    arn = group(cloud, "idle")
    elb = cloud.client("elbv2")
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": 1}])

    def health(port: int) -> tuple[str, str]:
        found = elb.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": port}])
        target = found["TargetHealthDescriptions"][0]["TargetHealth"]
        return target["State"], target["Reason"]

    assert health(1) == ("unused", "Target.NotInUse") and health(2) == ("unused", "Target.NotRegistered")
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": 1}])
    assert health(1) == ("draining", "Target.DeregistrationInProgress")


def test_what_does_not_exist_is_refused(cloud: Cloud, colors: tuple[Balancer, list[Origin]]) -> None:
    balancer, _ = colors
    elb = balancer.elb
    with pytest.raises(elb.exceptions.RuleNotFoundException):
        elb.describe_rules(RuleArns=[balancer.listener + "/x"])
    with pytest.raises(elb.exceptions.ListenerNotFoundException):
        elb.describe_listeners(ListenerArns=[balancer.listener + "x"])
    with pytest.raises(elb.exceptions.TargetGroupNotFoundException):
        elb.modify_listener(
            ListenerArn=balancer.listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": "arn:none"}]
        )
    with pytest.raises(ClientError, match="between '0' and '999'"):
        balancer.shift(1000, 0)
    with pytest.raises(elb.exceptions.ResourceInUseException):
        elb.delete_target_group(TargetGroupArn=balancer.arns["red"])
    balancer.shift(1, 0)
    second = elb.create_load_balancer(Name="second")["LoadBalancers"][0]["LoadBalancerArn"]
    with pytest.raises(elb.exceptions.TargetGroupAssociationLimitException):
        elb.create_listener(LoadBalancerArn=second, Port=80, Protocol="HTTP", DefaultActions=[balancer.action(1, 0)])


def test_template_declares_weights_and_targets(cloud: Cloud) -> None:
    groups = {
        name: {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "TargetType": "ip",
                "Port": 80,
                "Protocol": "HTTP",
                "VpcId": "vpc-1",
                "Targets": [{"Id": "127.0.0.1", "Port": "9"}],
            },
        }
        for name in ("Blue", "Green")
    }
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": {"Ref": "Blue"}, "Weight": "90"},
                {"TargetGroupArn": {"Ref": "Green"}, "Weight": 10},
            ]
        },
    }
    body = {
        "Resources": groups
        | {
            "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {"Name": "declared"}},
            "Listener": {
                "Type": "AWS::ElasticLoadBalancingV2::Listener",
                "Properties": {
                    "LoadBalancerArn": {"Ref": "Balancer"},
                    "Port": 8080,
                    "Protocol": "HTTP",
                    "DefaultActions": [forward],
                },
            },
        },
        "Outputs": {"Listener": {"Value": {"Ref": "Listener"}}, "Blue": {"Value": {"Ref": "Blue"}}},
    }
    formation = cloud.client("cloudformation")
    formation.create_stack(StackName="balancer", TemplateBody=json.dumps(body))
    stack = eventually(
        lambda: [
            found
            for found in formation.describe_stacks(StackName="balancer")["Stacks"]
            if found["StackStatus"] == "CREATE_COMPLETE"
        ]
    )[0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    elb = cloud.client("elbv2")
    action = elb.describe_listeners(ListenerArns=[outputs["Listener"]])["Listeners"][0]["DefaultActions"][0]
    assert [found["Weight"] for found in action["ForwardConfig"]["TargetGroups"]] == [90, 10]
    health = elb.describe_target_health(TargetGroupArn=outputs["Blue"])["TargetHealthDescriptions"]
    assert [entry["Target"]["Port"] for entry in health] == [9]
    assert get(f"{cloud.endpoint}/_alb/declared:8080/")[0] == 502
