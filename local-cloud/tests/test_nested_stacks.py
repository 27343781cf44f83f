"""Nested stacks: where their templates are, what an update keeps, and what is left of one that fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloud import REGION, Cloud, eventually

BUCKET = "nested-templates"
QUEUE = {"Type": "AWS::SQS::Queue"}


@pytest.fixture(scope="module", autouse=True)
def bucket(cloud: Cloud) -> None:
    """Where the children's templates are."""
    cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})


def child(cloud: Cloud, key: str, template: dict[str, Any]) -> str:
    """Uploads a template; answers its address by the bucket's own host name, as a template builds it."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(template).encode())
    return f"https://{BUCKET}.s3.{REGION}.amazonaws.com/{key}"


def operate(cloud: Cloud, name: str, template: dict[str, Any], **parameters: str) -> dict[str, Any]:
    """Creates or updates a stack; answers it once nothing is in progress."""
    formation = cloud.client("cloudformation")
    names = [stack["StackName"] for stack in formation.describe_stacks()["Stacks"]]
    call = formation.update_stack if name in names else formation.create_stack
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    call(StackName=name, TemplateBody=json.dumps(template), Parameters=given)

    def settled() -> dict[str, Any] | None:
        stack = formation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    return eventually(settled, 20)


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """Outputs by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def reasons(cloud: Cloud, name: str) -> str:
    """Why resources failed."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "; ".join(event.get("ResourceStatusReason", "") for event in failed)


def test_what_did_not_change_keeps_its_attributes(cloud: Cloud) -> None:
    """A child that is updated for one resource still knows the other's ARN."""
    template = {
        "Parameters": {"Text": {"Type": "String"}},
        "Resources": {
            "Queue": QUEUE,
            "Note": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/nested/note", "Type": "String", "Value": {"Ref": "Text"}},
            },
        },
        "Outputs": {"QueueArn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}}},
    }
    parent = {
        "Parameters": {"Text": {"Type": "String"}},
        "Resources": {
            "Child": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {
                    "TemplateURL": child(cloud, "kept/child.json", template),
                    "Parameters": {"Text": {"Ref": "Text"}},
                },
            }
        },
        "Outputs": {"QueueArn": {"Value": {"Fn::GetAtt": ["Child", "Outputs.QueueArn"]}}},
    }
    created = operate(cloud, "nested-kept", parent, Text="one")
    assert created["StackStatus"] == "CREATE_COMPLETE", reasons(cloud, "nested-kept")
    updated = operate(cloud, "nested-kept", parent, Text="two")
    assert updated["StackStatus"] == "UPDATE_COMPLETE", reasons(cloud, "nested-kept")
    assert outputs(updated) == outputs(created)
    assert outputs(created)["QueueArn"].startswith("arn:aws:sqs:")
    note = cloud.client("ssm").get_parameter(Name="/nested/note")["Parameter"]
    assert note["Value"] == "two"


def test_a_child_that_fails_says_why_and_leaves_nothing(cloud: Cloud) -> None:
    """The parent's events name the child's resource, and what the child had made before is gone."""
    template = {
        "Resources": {
            "Queue": {**QUEUE, "Properties": {"QueueName": "nested-left-behind"}},
            "Broken": {
                "Type": "AWS::EC2::SecurityGroupIngress",
                "DependsOn": "Queue",
                "Properties": {"GroupId": "sg-0123456789abcdef0", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1},
            },
        }
    }
    url = child(cloud, "failed/child.json", template)
    parent = {"Resources": {"Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}}
    stack = operate(cloud, "nested-failed", parent)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    told = reasons(cloud, "nested-failed")
    assert "Embedded stack Child was not successfully created" in told, told
    assert "Broken" in told, told
    queues = cloud.client("sqs").list_queues(QueueNamePrefix="nested-left").get("QueueUrls", [])
    assert queues == []


def test_conditions_take_split_and_join(cloud: Cloud) -> None:
    """A name's first part decides, as the root's does for production."""
    first = {"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Name"}]}]}
    template = {
        "Parameters": {"Name": {"Type": "String"}},
        "Conditions": {
            "IsProduction": {"Fn::Equals": [first, "prod"]},
            "IsJoined": {"Fn::Equals": [{"Fn::Join": ["", ["x", {"Ref": "Name"}]]}, "xprod-a"]},
        },
        "Resources": {"Queue": QUEUE},
        "Outputs": {
            "Split": {"Value": {"Fn::If": ["IsProduction", "yes", "no"]}},
            "Joined": {"Value": {"Fn::If": ["IsJoined", "yes", "no"]}},
        },
    }
    assert outputs(operate(cloud, "nested-prod", template, Name="prod-a")) == {"Split": "yes", "Joined": "yes"}
    assert outputs(operate(cloud, "nested-dev", template, Name="dev-prod")) == {"Split": "no", "Joined": "no"}
