"""REST APIs and rules, as far as they differ from MiniStack's own."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from cloud import Cloud, eventually, post
from ministack.services import apigateway_v1

from cutover_cloud import gateway


def test_rest_event_has_no_version(cloud: Cloud) -> None:
    url = cloud.rest_api(cloud.function("shape"))
    assert post(url, {})[1]["event_version"] is None


def test_failed_function_tells_the_caller_nothing(cloud: Cloud) -> None:
    url = cloud.rest_api(cloud.function("secretive"))
    assert post(url, {"fail": True}) == (502, {"message": "Internal server error"})


def test_requests_are_counted(cloud: Cloud) -> None:
    url = cloud.rest_api(cloud.function("counted"))
    for body in ({}, {}, {"fail": True}):
        post(url, body)
    # Every API of the tests has the same name: this one's stage is theirs, too.
    dimensions = [{"Name": "ApiName", "Value": "test"}, {"Name": "Stage", "Value": "prod"}]
    now = int(time.time())

    def total(name: str) -> float:
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApiGateway", MetricName=name, Dimensions=dimensions, StartTime=now - 600,
            EndTime=now + 60, Period=60, Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    counted, failed = total("Count"), total("5XXError")
    post(url, {"fail": True})
    assert (total("Count"), total("5XXError")) == (counted + 1, failed + 1) and counted >= 3 and failed >= 1


def test_integration_ends_after_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(*_arguments: Any, **_options: Any) -> Any:
        await asyncio.sleep(30)

    # The real limit is 29 s: too long to wait for. `install` replaces these three in this process too.
    monkeypatch.setattr(apigateway_v1, "_invoke_lambda_proxy_v1", endless)
    monkeypatch.setattr(apigateway_v1, "_lambda_proxy_response", None)
    monkeypatch.setattr(apigateway_v1, "_build_lambda_event_v1", None)
    monkeypatch.setattr(gateway, "INTEGRATION_SECONDS_MAX", 0.05)
    gateway.install()
    status, _headers, body = asyncio.run(apigateway_v1._invoke_lambda_proxy_v1())
    assert (status, json.loads(body)) == (504, {"message": "Endpoint request timed out"})


def test_failed_event_is_tried_twice_more(cloud: Cloud) -> None:
    arn = cloud.function("flaky")
    events = cloud.client("events")
    events.put_rule(Name="flaky", EventPattern=json.dumps({"source": ["test.flaky"]}))
    events.put_targets(
        Rule="flaky", Targets=[{"Id": "1", "Arn": arn, "Input": json.dumps({"print": ["TRIED"], "fail": True})}]
    )
    events.put_events(Entries=[{"Source": "test.flaky", "DetailType": "t", "Detail": "{}"}])
    eventually(lambda: cloud.log("flaky").count("TRIED") == 3)


def test_failed_notice_is_tried_twice_more(cloud: Cloud) -> None:
    arn = cloud.function("sulking")
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="sulking")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    assert cloud.control("function-state", function="sulking", state="Inactive")[0] == 200
    sns.publish(TopicArn=topic, Message="kept")
    # The first try meets a function that is not Active; the second is told.
    record = eventually(lambda: [line for line in cloud.log("sulking").splitlines() if line.startswith("EVENT ")])
    told = json.loads(record[0][6:])["Records"][0]
    assert told["EventSource"] == "aws:sns" and told["Sns"]["Message"] == "kept" and len(record) == 1
