"""The code bucket: private, encrypted, TLS only. It is the tool's own, since the stack can't be made before it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account, code, said
from deploy.refusal import Refusal
from deploy.screen import Screen

ABSENT = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")
# What one DeleteObjects call takes.
BATCH = 1000
UPLOADS_AT_ONCE = 4


def name_of(environment_name: str, account: str) -> str:
    """Of one's own among all accounts."""
    return f"code-{environment_name}-{account}"


def exists(account: Account, bucket: str) -> bool:
    """Whether it is there and ours. Raises Refusal if it is somebody else's."""
    try:
        account.client("s3").head_bucket(Bucket=bucket, **_owner(account))
    except ClientError as error:
        if code(error) in ABSENT:
            return False
        if code(error) in ("403", "AccessDenied"):
            raise Refusal(f"{bucket} is not this account's, or the caller may not use it: another SUFFIX") from error
        raise
    return True


def _owner(account: Account) -> dict[str, str]:
    return {"ExpectedBucketOwner": account.id}


def ensure(account: Account, bucket: str) -> None:
    """Make it if it is not there, closed from the beginning. A deploying role need not be able to. Raises Refusal."""
    client = account.client("s3")
    if exists(account, bucket):
        return
    try:
        place = {} if account.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
        client.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced", **place)
        _close(account, bucket)
    except ClientError as error:
        raise Refusal(f"the code bucket {bucket} can't be made: {said(error)}") from error


def _close(account: Account, bucket: str) -> None:
    client = account.client("s3")
    client.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            name: True for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        },
    )
    client.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
        },
    )
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(account, bucket)))


def _tls_only(account: Account, bucket: str) -> dict[str, Any]:
    partition = account.caller.split(":")[1] if account.caller.startswith("arn:") else "aws"
    arn = f"arn:{partition}:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def put_missing(account: Account, bucket: str, objects: dict[str, Callable[[], bytes]], screen: Screen) -> int:
    """Bring what is not there yet: a key bears the hash of its contents, so what is there is the same. How many."""
    client = account.client("s3")

    def put(key: str) -> int:
        try:
            client.head_object(Bucket=bucket, Key=key, **_owner(account))
            return 0
        except ClientError as error:
            if code(error) not in ABSENT:
                raise Refusal(f"{bucket}/{key} can't be looked at: {said(error)}") from error
        body = objects[key]()
        screen.update(f"  {key}")
        try:
            client.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", **_owner(account))
        except ClientError as error:
            raise Refusal(f"{key} can't be uploaded to {bucket}: {said(error)}") from error
        return 1

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        sent = sum(pool.map(put, objects))
    screen.clear()
    return sent


def versions(account: Account, bucket: str) -> Iterator[dict[str, str]]:
    """Every version and delete marker."""
    pages = account.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, **_owner(account))
    for page in pages:
        for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            yield {"Key": found["Key"], "VersionId": found["VersionId"]}


def count(account: Account, bucket: str, most: int) -> str:
    """How many versions there are, for the screen."""
    found = 0
    for _ in versions(account, bucket):
        found += 1
        if found >= most:
            return f"{most:,} or more"
    return f"{found:,}"


def empty(account: Account, bucket: str) -> int:
    """Delete every version; how many. A bucket that is gone is empty. Raises Refusal."""
    deleted, batch = 0, []
    try:
        for version in versions(account, bucket):
            batch.append(version)
            if len(batch) == BATCH:
                deleted += _delete(account, bucket, batch)
                batch = []
        return deleted + _delete(account, bucket, batch)
    except ClientError as error:
        if code(error) in ABSENT:
            return deleted
        raise Refusal(f"{bucket} can't be emptied: {said(error)}") from error


def _delete(account: Account, bucket: str, batch: list[dict[str, str]]) -> int:
    if not batch:
        return 0
    done = account.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True}, **_owner(account))
    failed = done.get("Errors", [])
    if failed:
        raise Refusal(f"{bucket}: {len(failed)} objects can't be deleted, first {failed[0]['Key']}: {failed[0].get('Message')}")
    return len(batch)
