"""What payments rely on in DynamoDB and S3, and Secrets Manager's stages."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud


@pytest.fixture(scope="module")
def table(cloud: Cloud) -> str:
    """A table with the key `id`."""
    cloud.client("dynamodb").create_table(
        TableName="items",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return "items"


def put(cloud: Cloud, table: str, name: str, owner: str) -> None:
    """Claim an item."""
    cloud.client("dynamodb").put_item(
        TableName=table,
        Item={"id": {"S": name}, "owner": {"S": owner}},
        ConditionExpression="attribute_not_exists(id)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The error code."""
    return error.value.response["Error"]["Code"]


def test_lost_claim_shows_the_winner(cloud: Cloud, table: str) -> None:
    put(cloud, table, "a", "first")
    with pytest.raises(ClientError) as error:
        put(cloud, table, "a", "second")
    assert code(error) == "ConditionalCheckFailedException"
    assert error.value.response["Item"]["owner"] == {"S": "first"}


def transaction(table: str) -> list[dict[str, Any]]:
    """Puts `b` if absent and requires `a` to be owned by `first`."""
    return [
        {
            "Put": {
                "TableName": table,
                "Item": {"id": {"S": "b"}},
                "ConditionExpression": "attribute_not_exists(id)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
        {
            "ConditionCheck": {
                "TableName": table,
                "Key": {"id": {"S": "c"}},
                "ConditionExpression": "attribute_not_exists(id)",
            }
        },
    ]


def test_transaction_is_all_or_nothing_and_replays_by_token(cloud: Cloud, table: str) -> None:
    dynamodb = cloud.client("dynamodb")
    dynamodb.transact_write_items(TransactItems=transaction(table), ClientRequestToken="once")
    dynamodb.transact_write_items(TransactItems=transaction(table), ClientRequestToken="once")
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(TransactItems=transaction(table), ClientRequestToken="twice")
    assert code(error) == "TransactionCanceledException"
    reasons = error.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed", "None"]
    assert reasons[0]["Item"] == {"id": {"S": "b"}}


def test_update_with_a_stale_generation_is_refused(cloud: Cloud, table: str) -> None:
    def advance(from_: int) -> dict[str, Any]:
        return cloud.client("dynamodb").update_item(
            TableName=table,
            Key={"id": {"S": "state"}},
            UpdateExpression="SET generation = :next",
            ConditionExpression="attribute_not_exists(id) OR generation = :now",
            ExpressionAttributeValues={":next": {"N": str(from_ + 1)}, ":now": {"N": str(from_)}},
            ReturnValues="ALL_NEW",
        )

    assert advance(0)["Attributes"]["generation"] == {"N": "1"}
    assert advance(1)["Attributes"]["generation"] == {"N": "2"}
    with pytest.raises(ClientError) as error:
        advance(1)
    assert code(error) == "ConditionalCheckFailedException"


def test_object_is_written_once(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="once", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="once", Key="k", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="once", Key="k", Body=b"second", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    assert s3.get_object(Bucket="once", Key="k")["Body"].read() == b"first"


def test_secret_stages_move(cloud: Cloud) -> None:
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="staged", SecretString="one")
    pending = secrets.put_secret_value(SecretId="staged", SecretString="two", VersionStages=["AWSPENDING"])["VersionId"]
    current = secrets.get_secret_value(SecretId="staged")
    assert current["SecretString"] == "one"
    secrets.update_secret_version_stage(
        SecretId="staged", VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=current["VersionId"]
    )
    assert secrets.get_secret_value(SecretId="staged")["SecretString"] == "two"
    assert secrets.get_secret_value(SecretId="staged", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
