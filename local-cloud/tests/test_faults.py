"""Failures told beforehand, in each protocol."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud


def failure(call: Any) -> tuple[str, int]:
    """Code and status of a call that fails."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_each_protocol_has_its_form(cloud: Cloud) -> None:
    calls = {
        "elasticloadbalancing:DescribeLoadBalancers": cloud.client("elbv2").describe_load_balancers,
        "route53:ListHostedZones": cloud.client("route53").list_hosted_zones,
        "cloudwatch:DescribeAlarms": cloud.client("cloudwatch").describe_alarms,
        "secretsmanager:ListSecrets": cloud.client("secretsmanager").list_secrets,
        "dms:DescribeEndpoints": cloud.client("dms").describe_endpoints,
        "lambda:ListFunctions": cloud.client("lambda").list_functions,
        "s3:ListAllMyBuckets": cloud.client("s3").list_buckets,
    }
    for action, call in calls.items():
        assert cloud.control("fault", action=action, code="Throttling", status=429)[0] == 200
        assert failure(call) == ("Throttling", 429), action
        call()


def test_some_calls_pass_first_and_some_fail_after_their_effect(cloud: Cloud) -> None:
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="faulty", SecretString="old")
    told = {"action": "secretsmanager:PutSecretValue", "code": "InternalServiceError", "status": 500}
    cloud.control("fault", **told, when="after", skip=1, times=1)
    secrets.put_secret_value(SecretId="faulty", SecretString="first")
    assert failure(lambda: secrets.put_secret_value(SecretId="faulty", SecretString="second"))[1] == 500
    assert secrets.get_secret_value(SecretId="faulty")["SecretString"] == "second"
    cloud.control("fault", **told)
    assert failure(lambda: secrets.put_secret_value(SecretId="faulty", SecretString="third"))[1] == 500
    assert secrets.get_secret_value(SecretId="faulty")["SecretString"] == "second"


def test_slow_calls_and_cleared_ones(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    cloud.control("fault", action="sns:ListTopics", delaySeconds=0.5)
    started = time.monotonic()
    sns.list_topics()
    assert time.monotonic() - started >= 0.5
    cloud.control("fault", action="sns:ListTopics", code="Throttling", times=5)
    cloud.control("fault", action="sns:ListTopics", clear=True)
    sns.list_topics()


def test_functions_meet_them_too(cloud: Cloud) -> None:
    cloud.colors("meets")
    cloud.control("fault", action="lambda:InvokeFunction", code="TooManyRequestsException", status=429)
    assert failure(lambda: cloud.invoke("meets")) == ("TooManyRequestsException", 429)
    assert cloud.invoke("meets")[1]["color"] == "green"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"action": "PutSecretValue", "code": "x"},
        {"action": "a:b"},
        {"action": "a:b", "code": "x", "status": 200},
        {"action": "a:b", "code": "x", "when": "never"},
        {"action": "a:b", "code": "x", "times": 0},
        {"action": "a:b", "delaySeconds": 61},
    ],
)
def test_mistakes_say_what_is_taken(cloud: Cloud, wrong: dict[str, Any]) -> None:
    status, answer = cloud.control("fault", **wrong)
    assert status == 400 and "'" in answer["error"], json.dumps(answer)


def test_denied_route53_call_has_a_code(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="nothing")
    key = iam.create_access_key(UserName="nothing")["AccessKey"]
    route53 = cloud.client("route53", key["AccessKeyId"], key["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        route53.list_hosted_zones()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert caught.value.response["Error"]["Type"] == "Sender"
