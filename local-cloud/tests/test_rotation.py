"""Rotation of secrets through a function, by call, by schedule and from a template."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually

from cutover_cloud.rotation import driver

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
STATEMENT = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}


class Rotated:
    """A secret and its function."""

    def __init__(self, cloud: Cloud, name: str, **variables: str) -> None:
        self.cloud, self.name, self.secrets = cloud, name, cloud.client("secretsmanager")
        cloud.role("rotator", [STATEMENT])
        self.function = cloud.function(name, role="rotator", **variables)
        self.arn = self.secrets.create_secret(Name=name, SecretString="old")["ARN"]

    def rotate(self, **more: Any) -> str:
        """RotateSecret; answers the new version's id."""
        request = {"SecretId": self.name, "RotationLambdaARN": self.function, "ClientRequestToken": str(uuid.uuid4())}
        return self.secrets.rotate_secret(**(request | more)).get("VersionId", "")

    def value(self, stage: str = "AWSCURRENT") -> str:
        """The secret's value."""
        return self.secrets.get_secret_value(SecretId=self.name, VersionStage=stage)["SecretString"]

    def stages(self) -> dict[str, list[str]]:
        """Labels by version."""
        return self.described()["VersionIdsToStages"]

    def described(self) -> dict[str, Any]:
        """DescribeSecret."""
        return self.secrets.describe_secret(SecretId=self.name)

    def steps(self) -> list[str]:
        """The steps that the function was given so far."""
        return [line.split()[1] for line in self.cloud.log(self.name).splitlines() if line.startswith("STEP")]


def test_all_steps_lead_to_a_new_current_version(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "rotated")
    token = rotated.rotate(RotationRules={"AutomaticallyAfterDays": 30})
    eventually(lambda: "LastRotatedDate" in rotated.described())
    assert rotated.steps() == STEPS and rotated.value() == f"new {token}" and rotated.value("AWSPREVIOUS") == "old"
    described = rotated.described()
    assert described["RotationEnabled"] and described["RotationLambdaARN"] == rotated.function
    days = (described["NextRotationDate"] - datetime.now(described["NextRotationDate"].tzinfo)).total_seconds() / 86400
    assert 29.9 < days < 30.1
    second = rotated.rotate()
    eventually(lambda: rotated.value() == f"new {second}")
    assert rotated.value("AWSPREVIOUS") == f"new {token}"


def test_failed_rotation_is_tried_again_with_the_same_token(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "stumbling", FAIL_STEP="setSecret", FAIL_TIMES="1")
    token = rotated.rotate()
    eventually(lambda: rotated.value() == f"new {token}")
    assert rotated.steps() == ["createSecret", "setSecret", *STEPS]


def test_given_up_rotation_blocks_the_next_and_is_reattempted(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "failing", FAIL_STEP="testSecret", FAIL_TIMES="3")
    token = rotated.rotate()
    eventually(lambda: rotated.steps().count("testSecret") == 3)
    time.sleep(0.3)
    assert rotated.value() == "old" and rotated.stages()[token] == ["AWSPENDING"]
    with pytest.raises(ClientError, match="A previous rotation isn't complete"):
        rotated.rotate()
    eventually(lambda: rotated.value() == f"new {token}")


def test_function_that_does_not_finish_is_a_failure(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "forgetful", FORGET="1")
    token = rotated.rotate()
    eventually(lambda: rotated.steps().count("finishSecret") == 3)
    assert rotated.value() == "old" and "LastRotatedDate" not in rotated.described()
    assert rotated.stages()[token] == ["AWSPENDING"]


def test_cancelled_rotation_stops_before_its_next_step(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "cancelled", STEP_SECONDS="0.5")
    token = rotated.rotate(RotationRules={"ScheduleExpression": "rate(4 hours)"})
    eventually(lambda: rotated.steps() == ["createSecret"])
    assert rotated.secrets.cancel_rotate_secret(SecretId="cancelled")["VersionId"] == token
    time.sleep(1.5)
    assert rotated.steps() == ["createSecret"] and rotated.stages()[token] == ["AWSPENDING"]
    described = rotated.described()
    assert not described["RotationEnabled"] and "NextRotationDate" not in described


def test_without_immediately_only_the_function_is_tested(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "later")
    assert rotated.rotate(RotateImmediately=False, RotationRules={"ScheduleExpression": "rate(10 days)"}) == ""
    eventually(lambda: rotated.steps() == ["testSecret"])
    eventually(lambda: len(rotated.stages()) == 1)
    assert rotated.value() == "old" and "NextRotationDate" in rotated.described()


def test_due_rotation_begins(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "due")
    rotated.rotate(RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 1})
    eventually(lambda: rotated.steps() == ["testSecret"] and len(rotated.stages()) == 1)
    time.sleep(0.2)
    assert cloud.control("rotation-due", secret="due")[0] == 200
    eventually(lambda: rotated.value().startswith("new "))
    assert rotated.steps() == ["testSecret", *STEPS]
    assert cloud.control("rotation-due", secret="none")[0] == 400


def test_value_is_put_once_per_token(cloud: Cloud) -> None:
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="put", SecretString="old")
    token = str(uuid.uuid4())
    put = {"SecretId": "put", "ClientRequestToken": token, "VersionStages": ["AWSPENDING"]}
    for _ in range(2):
        assert secrets.put_secret_value(SecretString="a", **put)["VersionStages"] == ["AWSPENDING"]
    with pytest.raises(secrets.exceptions.ResourceExistsException):
        secrets.put_secret_value(SecretString="b", **put)
    other = str(uuid.uuid4())
    secrets.put_secret_value(SecretString="c", **(put | {"ClientRequestToken": other}))
    stages = secrets.describe_secret(SecretId="put")["VersionIdsToStages"]
    assert stages[other] == ["AWSPENDING"] and token not in stages
    with pytest.raises(secrets.exceptions.InvalidRequestException, match="not associated"):
        secrets.get_secret_value(SecretId="put", VersionId=token, VersionStage="AWSPENDING")
    listed = [version["VersionId"] for version in secrets.list_secret_version_ids(SecretId="put")["Versions"]]
    every = secrets.list_secret_version_ids(SecretId="put", IncludeDeprecated=True)["Versions"]
    assert token not in listed and token in [version["VersionId"] for version in every]


def test_wrong_requests_change_nothing(cloud: Cloud) -> None:
    rotated = Rotated(cloud, "refused")
    none = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none"
    for wrong in (
        {"RotationLambdaARN": none},
        {"ClientRequestToken": "short-token-of-less-than-32-chr"},
        {"RotationRules": {"AutomaticallyAfterDays": 1001}},
        {"RotationRules": {"ScheduleExpression": "rate(3 hours)"}},
        {"RotationRules": {"ScheduleExpression": "rate(1 minute)"}},
        {"RotationRules": {"ScheduleExpression": "rate(1 day)", "AutomaticallyAfterDays": 1}},
        {"SecretId": "nothing"},
    ):
        with pytest.raises(Exception):  # noqa: B017 - botocore refuses some itself
            rotated.rotate(**wrong)
    with pytest.raises(ClientError, match="No Lambda rotation function"):
        rotated.secrets.rotate_secret(SecretId="refused")
    assert rotated.steps() == [] and not rotated.described()["RotationEnabled"]


def test_rules_and_dates() -> None:
    assert driver.rules_problem({"AutomaticallyAfterDays": 1}) is None
    assert driver.rules_problem({"ScheduleExpression": "cron(0 8 ? * SUN *)"}) is None
    assert driver.rules_problem({"ScheduleExpression": "cron(0 8)"}) and driver.rules_problem({})
    assert driver.next_rotation({"ScheduleExpression": "rate(4 hours)"}, 1000.0) == 1000.0 + 4 * 3600
    monday = 1_700_438_400.0
    sunday = driver.next_rotation({"ScheduleExpression": "cron(0 8 ? * SUN *)"}, monday)
    assert sunday == monday + 6 * 86400 + 8 * 3600


def template(function: str, days: int) -> str:
    """A secret and its schedule."""
    schedule = {
        "SecretId": {"Ref": "Secret"},
        "RotationLambdaARN": function,
        "RotationRules": {"AutomaticallyAfterDays": str(days)},
        "RotateImmediatelyOnUpdate": "false",
    }
    return json.dumps(
        {
            "Resources": {
                "Secret": {
                    "Type": "AWS::SecretsManager::Secret",
                    "Properties": {"Name": "declared-rotation", "SecretString": "old"},
                },
                "Schedule": {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": schedule},
            },
            "Outputs": {"Schedule": {"Value": {"Ref": "Schedule"}}, "Secret": {"Value": {"Ref": "Secret"}}},
        }
    )


def test_template_declares_a_schedule(cloud: Cloud) -> None:
    cloud.role("rotator", [STATEMENT])
    function = cloud.function("declared-rotator", role="rotator")
    formation, secrets = cloud.client("cloudformation"), cloud.client("secretsmanager")

    def settled(status: str) -> dict[str, str]:
        def look() -> Any:
            stack = formation.describe_stacks(StackName="rotation")["Stacks"][0]
            assert not stack["StackStatus"].endswith("FAILED"), stack
            return stack if stack["StackStatus"] == status else None

        return {output["OutputKey"]: output["OutputValue"] for output in eventually(look)["Outputs"]}

    formation.create_stack(StackName="rotation", TemplateBody=template(function, 30))
    outputs = settled("CREATE_COMPLETE")
    assert outputs["Schedule"] == outputs["Secret"]
    eventually(lambda: "STEP testSecret" in cloud.log("declared-rotator"))
    formation.update_stack(StackName="rotation", TemplateBody=template(function, 60))
    settled("UPDATE_COMPLETE")
    rules = secrets.describe_secret(SecretId="declared-rotation")["RotationRules"]
    assert rules == {"AutomaticallyAfterDays": 60}
    formation.delete_stack(StackName="rotation")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An emulator that enforces permissions."""
    running = Cloud(tmp_path_factory.mktemp("strict"), flags=("--enforce-permissions",))
    yield running
    running.stop()


def test_function_needs_a_permission(strict: Cloud) -> None:
    rotated = Rotated(strict, "guarded")
    with pytest.raises(ClientError, match="secretsmanager.amazonaws.com"):
        rotated.rotate()
    strict.client("lambda").add_permission(
        FunctionName="guarded",
        StatementId="secrets",
        Principal="secretsmanager.amazonaws.com",
        Action="lambda:InvokeFunction",
        SourceArn=rotated.arn,
    )
    token = rotated.rotate()
    eventually(lambda: rotated.value() == f"new {token}")
