"""Condition keys of calls: a policy may ask which function rotates a secret."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from cloud import Cloud

CONDITION_KEY = "secretsmanager:resource/AllowRotationLambdaArn"


def test_a_secret_opens_only_to_who_rotates_it(cloud: Cloud) -> None:
    """The role reads the secret that names its function, and not the one that names none."""
    function = cloud.function("context-rotator")
    secrets = cloud.client("secretsmanager")
    for name in ("context-rotated", "context-other"):
        secrets.create_secret(Name=name, SecretString="{}")
    rules = {"AutomaticallyAfterDays": 30}
    cloud.client("lambda").add_permission(
        FunctionName="context-rotator",
        StatementId="rotate",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    secrets.rotate_secret(
        SecretId="context-rotated", RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False
    )
    statement = {
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
        "Condition": {"StringEquals": {CONDITION_KEY: function}},
    }
    role = cloud.role("context-role", [statement])
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    cloud.client("iam").update_assume_role_policy(RoleName="context-role", PolicyDocument=document)
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="context")["Credentials"]
    reader = cloud.client(
        "secretsmanager", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    )
    assert reader.get_secret_value(SecretId="context-rotated")["SecretString"] == "{}"
    with pytest.raises(ClientError) as error:
        reader.get_secret_value(SecretId="context-other")
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
