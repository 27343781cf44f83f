"""Weighted aliases, over each way of invoking."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from cloud import Cloud, eventually, post


def weigh(cloud: Cloud, name: str, version: str, weights: dict[str, float], **more: Any) -> dict[str, Any]:
    """UpdateAlias `live`."""
    return cloud.client("lambda").update_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": weights},
        **more,
    )


def refused(cloud: Cloud, code: str, *arguments: Any, **more: Any) -> None:
    """UpdateAlias is refused with this code."""
    with pytest.raises(cloud.client("lambda").exceptions.ClientError) as caught:
        weigh(cloud, *arguments, **more)
    assert caught.value.response["Error"]["Code"] == code


@pytest.fixture(scope="module")
def weighted(cloud: Cloud) -> str:
    """The ARN of an alias that sends 30 % to green."""
    blue, green = cloud.colors("weighted")
    return cloud.client("lambda").create_alias(
        FunctionName="weighted",
        Name="live",
        FunctionVersion=blue,
        Description="kept",
        RoutingConfig={"AdditionalVersionWeights": {green: 0.3}},
    )["AliasArn"]


def test_invoke_splits_by_weight_and_names_the_version(cloud: Cloud, weighted: str) -> None:
    answers = [cloud.invoke("weighted", Qualifier="live") for _ in range(200)]
    colors = Counter(payload["color"] for _, payload in answers)
    assert 30 <= colors["green"] <= 90
    assert all(response["ExecutedVersion"] == payload["version"] for response, payload in answers)
    assert {payload["arn"] for _, payload in answers} == {weighted}


def test_rest_api_splits_by_weight(cloud: Cloud, weighted: str) -> None:
    url = cloud.rest_api(weighted)
    before = sum(total(cloud, "weighted", version) for version in ("1", "2"))
    answers = [post(url, {})[1] for _ in range(200)]
    assert 30 <= Counter(answer["color"] for answer in answers)["green"] <= 90
    assert {answer["arn"] for answer in answers} == {weighted}
    assert sum(total(cloud, "weighted", version) for version in ("1", "2")) == before + 200


def test_event_rule_splits_by_weight(cloud: Cloud, weighted: str) -> None:
    events = cloud.client("events")
    events.put_rule(Name="weighted", EventPattern=json.dumps({"source": ["test.weighted"]}))
    events.put_targets(Rule="weighted", Targets=[{"Id": "1", "Arn": weighted}])
    for _ in range(8):
        events.put_events(Entries=[{"Source": "test.weighted", "DetailType": "t", "Detail": "{}"}] * 10)
    eventually(lambda: cloud.log("weighted").count("EVENT ") >= 80)
    sums = {version: total(cloud, "weighted", version) for version in ("1", "2")}
    assert sums["1"] > sums["2"] > 0


def total(cloud: Cloud, name: str, version: str) -> float:
    """Invocations of a version by way of the alias, from the metric that AWS has for it."""
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        StartTime=0,
        EndTime=4_000_000_000,
        Period=3600,
        Statistics=["Sum"],
        Dimensions=[
            {"Name": "FunctionName", "Value": name},
            {"Name": "Resource", "Value": f"{name}:live"},
            {"Name": "ExecutedVersion", "Value": version},
        ],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


def test_get_alias_shows_what_was_set(cloud: Cloud, weighted: str) -> None:
    alias = cloud.client("lambda").get_alias(FunctionName="weighted", Name="live")
    assert alias["FunctionVersion"] == "1" and alias["Description"] == "kept"
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.3}}


def test_revision_is_compare_and_swap(cloud: Cloud) -> None:
    blue, green = cloud.colors("cas")
    first = cloud.client("lambda").create_alias(FunctionName="cas", Name="live", FunctionVersion=blue)["RevisionId"]
    second = weigh(cloud, "cas", blue, {green: 0.1}, RevisionId=first)["RevisionId"]
    assert first != second
    refused(cloud, "PreconditionFailedException", "cas", blue, {green: 0.2}, RevisionId=first)
    assert weigh(cloud, "cas", blue, {green: 0.1}, RevisionId=second)["RevisionId"] not in (first, second)


def test_empty_weights_clear_the_routing(cloud: Cloud) -> None:
    blue, green = cloud.colors("clear")
    cloud.client("lambda").create_alias(FunctionName="clear", Name="live", FunctionVersion=blue)
    weigh(cloud, "clear", blue, {green: 1.0})
    assert cloud.invoke("clear", Qualifier="live")[1]["color"] == "green"
    assert not weigh(cloud, "clear", blue, {}).get("RoutingConfig")
    assert {cloud.invoke("clear", Qualifier="live")[1]["color"] for _ in range(20)} == {"blue"}


def test_wrong_targets_are_refused_and_change_nothing(cloud: Cloud) -> None:
    blue, green = cloud.colors("wrong")
    before = cloud.client("lambda").create_alias(FunctionName="wrong", Name="live", FunctionVersion=blue)["RevisionId"]
    refused(cloud, "ResourceNotFoundException", "wrong", blue, {"99": 0.1})
    refused(cloud, "ResourceNotFoundException", "wrong", "99", {})
    refused(cloud, "InvalidParameterValueException", "wrong", blue, {green: 0.1, "$LATEST": 0.1})
    refused(cloud, "InvalidParameterValueException", "wrong", "$LATEST", {green: 0.1})
    refused(cloud, "InvalidParameterValueException", "wrong", blue, {blue: 0.1})
    refused(cloud, "ValidationException", "wrong", blue, {green: 1.1})
    assert cloud.client("lambda").get_alias(FunctionName="wrong", Name="live")["RevisionId"] == before


def test_an_alias_is_drawn_from_only_to_invoke(cloud: Cloud) -> None:
    blue, green = cloud.colors("looked-at")
    lambda_ = cloud.client("lambda")
    lambda_.create_alias(
        FunctionName="looked-at",
        Name="live",
        FunctionVersion=blue,
        RoutingConfig={"AdditionalVersionWeights": {green: 0.9}},
    )
    shown = {
        lambda_.get_function_configuration(FunctionName="looked-at", Qualifier="live")["Version"] for _ in range(20)
    }
    assert shown == {blue}
    for version in (blue, green):
        for _ in range(10):
            with pytest.raises(lambda_.exceptions.ResourceConflictException):
                lambda_.delete_function(FunctionName="looked-at", Qualifier=version)
