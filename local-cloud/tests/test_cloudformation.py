"""The types of the first template: create, update, roll back, delete."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud, eventually, package, post
from template import FUNCTION, template

STACK = "stack"


def settle(cloud: Cloud, seconds: float = 30) -> dict[str, Any]:
    """The stack once nothing is in progress."""
    cloudformation = cloud.client("cloudformation")

    def settled() -> dict[str, Any] | None:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    return eventually(settled, seconds)


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """Outputs by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def failures(cloud: Cloud) -> list[str]:
    """Why resources failed, for a failed assertion's message."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]


@pytest.fixture(scope="module")
def stack(cloud: Cloud) -> Iterator[dict[str, Any]]:
    """The stack with blue only, and the alias that a custom resource would make."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="stack-packages", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for marker in ("one", "two"):
        s3.put_object(Bucket="stack-packages", Key=f"{marker}.zip", Body=package(marker))
    cloud.client("cloudformation").create_stack(
        StackName=STACK,
        TemplateBody=template("blue", ["VersionOne"], "one.zip", "first"),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    created = settle(cloud)
    assert created["StackStatus"] == "CREATE_COMPLETE", failures(cloud)
    cloud.client("lambda").create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=outputs(created)["Version"])
    yield created
    # As a custom resource would: a version that an alias names cannot be deleted.
    cloud.client("lambda").delete_alias(FunctionName=FUNCTION, Name="live")
    cloud.client("cloudformation").delete_stack(StackName=STACK)
    with pytest.raises(ClientError, match="does not exist"):
        for _ in range(300):
            status = settle(cloud)["StackStatus"]
            assert status != "DELETE_FAILED", failures(cloud)
            time.sleep(0.1)
    assert not [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if name.startswith("stack")]
    assert not [
        alarm
        for alarm in cloud.client("cloudwatch").describe_alarms(
            AlarmNamePrefix="stack", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )["MetricAlarms"]
    ]


def update(cloud: Cloud, *arguments: Any) -> dict[str, Any]:
    """Update the stack and wait."""
    cloud.client("cloudformation").update_stack(
        StackName=STACK, TemplateBody=template(*arguments), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    return settle(cloud)


def test_custom_resource_gives_data(stack: dict[str, Any]) -> None:
    assert outputs(stack)["Echo"] == "first" and outputs(stack)["Request"] == "Create"


def test_table_has_what_was_declared(cloud: Cloud, stack: dict[str, Any]) -> None:
    dynamodb = cloud.client("dynamodb")
    table = dynamodb.describe_table(TableName="stack-sessions")["Table"]
    assert table["SSEDescription"]["SSEType"] == "KMS"
    assert table["GlobalSecondaryIndexes"][0]["IndexName"] == "by-user"
    recovery = dynamodb.describe_continuous_backups(TableName="stack-sessions")["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert recovery["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
    lives = dynamodb.describe_time_to_live(TableName="stack-sessions")["TimeToLiveDescription"]
    assert lives == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


def test_alarms_are_declared_in_full(cloud: Cloud, stack: dict[str, Any]) -> None:
    found = cloud.client("cloudwatch").describe_alarms(
        AlarmNamePrefix="stack", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    plain, rate = sorted(found["MetricAlarms"], key=lambda alarm: alarm["AlarmName"])
    assert plain["Period"] == 10 and plain["Dimensions"] == [{"Name": "Color", "Value": "green"}]
    assert [query["Id"] for query in rate["Metrics"]] == ["m", "e"]
    assert found["CompositeAlarms"][0]["AlarmRule"] == "ALARM(stack-alarm) OR ALARM(stack-rate)"


def test_next_version_leaves_the_first_with_its_code_and_variables(cloud: Cloud, stack: dict[str, Any]) -> None:
    url = f"{cloud.endpoint}/_aws/execute-api/{outputs(stack)['Api']}/v1/payment"
    assert post(url, {})[1]["color"] == "blue"
    updated = update(cloud, "green", ["VersionOne", "VersionTwo"], "two.zip", "second")
    assert updated["StackStatus"] == "UPDATE_COMPLETE", failures(cloud)
    assert outputs(updated) | {"Api": ""} == {"Echo": "second", "Request": "Update", "Version": "2", "Api": ""}
    for version, color, code in (("1", "blue", "one"), ("2", "green", "two")):
        answer = cloud.invoke(FUNCTION, Qualifier=version)[1]
        assert (answer["color"], answer["code"]) == (color, code)
    assert post(url, {})[1]["color"] == "blue"
    updated = update(cloud, "blue", ["VersionTwo", "VersionThree"], "one.zip", "third")
    assert updated["StackStatus"] == "UPDATE_COMPLETE", failures(cloud)
    numbers = [
        version["Version"]
        for version in cloud.client("lambda").list_versions_by_function(FunctionName=FUNCTION)["Versions"]
    ]
    # The stack let go of version 1, but it is there as long as the alias names it.
    assert {"1", "2", "3"} <= set(numbers)
    assert any("referenced by an alias" in reason for reason in failures(cloud))
    assert post(url, {})[1]["color"] == "blue"


def test_failed_custom_resource_rolls_back(cloud: Cloud, stack: dict[str, Any]) -> None:
    failed = update(cloud, "blue", ["VersionTwo", "VersionThree"], "one.zip", "fails", "Update")
    # The rollback sends the old properties back, which ask to fail at no update.
    assert failed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", failures(cloud)
    assert any("told to fail" in reason for reason in failures(cloud))


def test_secret_and_parameter(cloud: Cloud, stack: dict[str, Any]) -> None:
    secret = json.loads(cloud.client("secretsmanager").get_secret_value(SecretId="stack-secret")["SecretString"])
    assert secret["username"] == "app" and len(secret["password"]) == 32
    assert cloud.client("ssm").get_parameter(Name="/stack/status")["Parameter"]["Value"] == "-"


def test_silent_custom_resource_fails_when_its_time_is_up(cloud: Cloud) -> None:
    arn = cloud.function("silent", timeout=30)
    body = {
        "Resources": {
            "Hung": {"Type": "Custom::Hung", "Properties": {"ServiceToken": arn, "ServiceTimeout": "2", "Hang": "true"}}
        }
    }
    cloud.client("cloudformation").create_stack(
        StackName="silent", TemplateBody=json.dumps(body), OnFailure="DO_NOTHING"
    )
    started = time.monotonic()
    status = eventually(
        lambda: [
            stack["StackStatus"]
            for stack in cloud.client("cloudformation").describe_stacks(StackName="silent")["Stacks"]
            if stack["StackStatus"] == "CREATE_FAILED"
        ]
    )
    assert status and time.monotonic() - started < 5
