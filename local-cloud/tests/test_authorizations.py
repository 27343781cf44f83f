"""What the emulator writes down of each role's permissions, and that CloudWatch's binary protocol is checked, too."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, TRUST, Cloud

ROLE = "authorizations"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/authorizations"
ALARMS = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Table", "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": TABLE},
        {"Sid": "Alarm", "Effect": "Allow", "Action": "cloudwatch:SetAlarmState", "Resource": f"{ALARMS}:mine"},
    ],
}


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> dict[str, str]:
    """Credentials of a role with the policy."""
    iam = cloud.client("iam")
    arn = iam.create_role(
        RoleName=ROLE,
        AssumeRolePolicyDocument=json.dumps(
            TRUST | {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]}
        ),
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="only", PolicyDocument=json.dumps(POLICY))
    cloud.client("dynamodb").create_table(
        TableName="authorizations",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    for name in ("mine", "another"):
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="N", MetricName="M", Period=60, Statistic="Sum", Threshold=1,
            EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    found: dict[str, str] = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return found


def of_role(cloud: Cloud, what: str) -> list[tuple[Any, ...]]:
    """Entries of the role, without its name."""
    status, answer = cloud.control("authorizations")
    assert status == 200
    return [tuple(entry.values())[1:] for entry in answer[what] if entry["role"] == ROLE]


def set_alarm_state(cloud: Cloud, session: dict[str, str], alarm: str) -> int:
    """The status of a call as the Rust SDK makes it."""
    request = AWSRequest(
        "POST",
        f"{cloud.endpoint}/service/GraniteServiceVersion20100801/operation/SetAlarmState",
        {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"},
        cbor2.dumps({"AlarmName": alarm, "StateValue": "ALARM", "StateReason": "test"}),
    )
    credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    SigV4Auth(credentials, "monitoring", REGION).add_auth(request)
    sent = urllib.request.Request(request.url, request.data, dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_what_was_used_what_was_not_and_what_was_denied_is_told(cloud: Cloud, session: dict[str, str]) -> None:
    table = cloud.client("dynamodb", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    table.put_item(TableName="authorizations", Item={"id": {"S": "1"}})
    table.put_item(TableName="authorizations", Item={"id": {"S": "2"}})
    with pytest.raises(ClientError, match="AccessDenied"):
        table.delete_item(TableName="authorizations", Key={"id": {"S": "1"}})

    assert ("Table", "dynamodb:PutItem", TABLE, 2) in of_role(cloud, "used")
    assert ("Table", "dynamodb:GetItem") in of_role(cloud, "unused")
    assert ("Table", "dynamodb:PutItem") not in of_role(cloud, "unused")
    assert ("dynamodb:DeleteItem", TABLE, 1) in of_role(cloud, "denied")


def test_calls_in_cbor_are_checked_on_the_alarm_that_they_name(cloud: Cloud, session: dict[str, str]) -> None:
    assert set_alarm_state(cloud, session, "another") == 403
    assert set_alarm_state(cloud, session, "mine") == 200
    assert ("Alarm", "cloudwatch:SetAlarmState", f"{ALARMS}:mine", 1) in of_role(cloud, "used")
    assert ("cloudwatch:SetAlarmState", f"{ALARMS}:another", 1) in of_role(cloud, "denied")


def test_all_of_it_is_left_in_the_run_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("authorizations")
    Cloud(folder).stop()
    assert json.loads((folder / "authorizations.json").read_text()) == {"used": [], "unused": [], "denied": []}
