"""The root refuses parameters that contradict each other before anything is created, and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cloud import Cloud

INFRA = Path(__file__).parents[2] / "infra"
BUCKET = "root-templates"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/11111111-2222-3333-4444-555555555555"
GIVEN = {
    "EnvironmentName": "dev-payment-root0001",
    "CodeBucket": BUCKET,
    "PaymentValidationKey": "payment-validation.zip",
    "EnvironmentSwitcherKey": "environment-switcher.zip",
    "PreMigrationValidatorKey": "pre-migration-validator.zip",
    "SecretRotationKey": "secret-rotation.zip",
    "BlueRelease": "1",
}
FARGATE = {"ComputeType": "fargate", "ContainerImage": "example.com/payments:1", "CertificateArn": CERTIFICATE}
EXTERNAL = {
    "ExternalSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:legacy",
    "ExternalDatabaseCidr": "192.0.2.0/24",
}
# What is given beside or instead of the above, and words of the refusal.
REFUSED: list[tuple[dict[str, str], str]] = [
    ({"EnvironmentName": "production"}, "must be dev, staging or prod"),
    ({"ComputeType": "fargate", "CertificateArn": CERTIFICATE}, "needs ContainerImage"),
    ({"PaymentValidationKey": ""}, "needs PaymentValidationKey"),
    ({"TrafficMode": "listener"}, "Set TrafficMode to auto or alias"),
    ({"TrafficMode": "dns", "DomainName": "pay.example.com"}, "Set TrafficMode to auto or alias"),
    ({"EnableDnsShift": "true", "DomainName": "pay.example.com"}, "EnableDnsShift is for ComputeType fargate and ec2"),
    (FARGATE | {"TrafficMode": "alias"}, "TrafficMode alias is for ComputeType lambda"),
    (FARGATE | {"CertificateArn": ""}, "The load balancer needs a certificate"),
    (FARGATE | {"CertificateArn": "", "DomainName": "pay.example.com"}, "The load balancer needs a certificate"),
    (FARGATE | {"TrafficMode": "dns"}, "TrafficMode dns needs DomainName"),
    (FARGATE | {"EnableDnsShift": "true"}, "EnableDnsShift needs DomainName"),
    (
        FARGATE | {"EnableDnsShift": "true", "TrafficMode": "listener", "DomainName": "pay.example.com"},
        "EnableDnsShift true contradicts TrafficMode alias and listener",
    ),
    (FARGATE | {"ApplicationPort": "8080"}, "Give each its own"),
    (FARGATE | {"EnableCdn": "true"}, "Set DomainName, or EnableCdn to false"),
    ({"HostedZoneId": "Z0123456789ABC"}, "need DomainName"),
    ({"DeployColor": "green"}, "DeployColor green needs GreenRelease"),
    ({"ActiveEnvironment": "green"}, "Set GreenRelease"),
    ({"BacktrackSeconds": "3600"}, "Set BacktrackSeconds to 0 or EnableReplication to false"),
    (
        {"BacktrackSeconds": "3600", "EnableReplication": "false", "DatabaseEngine": "aurora-postgresql"},
        "Only aurora-mysql",
    ),
    (EXTERNAL | {"EnableReplication": "false"}, "Set EnableReplication to true"),
    (EXTERNAL, "needs ExternalCertificateArn"),
    ({"CdnDomainName": "cdn.example.com"}, "need EnableCdn true"),
    ({"EnableCdn": "true", "CdnDomainName": "cdn.example.com"}, "CdnDomainName needs CdnCertificateArn"),
    ({"ReaderCount": "3"}, "ReaderCount"),
    ({"MasterUsername": "admin"}, "one of the engines keeps for itself"),
    ({"VpcCidr": "8.8.0.0/16"}, "must be a private range"),
    ({"ThrottleRate": "0"}, "ThrottleRate"),
    ({"MaxReplicationLagSeconds": "soon"}, "MaxReplicationLagSeconds"),
]


def client(cloud: Cloud, service: str, region: str = "us-east-1", account: str = "test") -> Any:
    """A client of the region that the root is for."""
    keys = {"aws_access_key_id": account, "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=cloud.endpoint, region_name=region, **keys)


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> str:
    """The root's template, uploaded: it is too large to be given inline."""
    s3 = client(cloud, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="templates/template.yaml", Body=(INFRA / "template.yaml").read_bytes())
    return f"https://{BUCKET}.s3.us-east-1.amazonaws.com/templates/template.yaml"


def refusal(formation: Any, url: str, given: dict[str, str]) -> str:
    """What a creation is refused with."""
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in (GIVEN | given).items()]
    with pytest.raises(ClientError) as error:
        formation.create_stack(
            StackName="root-refused", TemplateURL=url, Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
    assert error.value.response["Error"]["Code"] == "ValidationError"
    return str(error.value)


@pytest.mark.parametrize(("given", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_contradictions_are_refused(cloud: Cloud, url: str, given: dict[str, str], words: str) -> None:
    """Nothing is begun: there is no stack afterwards."""
    formation = client(cloud, "cloudformation")
    assert words in refusal(formation, url, given)
    names = [stack["StackName"] for stack in formation.describe_stacks()["Stacks"]]
    assert "root-refused" not in names


def test_another_region_is_refused(cloud: Cloud, url: str) -> None:
    """The template is made for one region."""
    assert "made for us-east-1" in refusal(client(cloud, "cloudformation", "eu-central-1"), url, {})


def test_databases_without_tls_are_refused_in_every_real_account(cloud: Cloud) -> None:
    """Only the local cloud's own account may have them."""
    account = "123456789012"
    s3 = client(cloud, "s3", account=account)
    s3.create_bucket(Bucket="root-templates-real")
    body = (INFRA / "template.yaml").read_bytes()
    s3.put_object(Bucket="root-templates-real", Key="template.yaml", Body=body)
    formation = client(cloud, "cloudformation", account=account)
    url = "https://root-templates-real.s3.us-east-1.amazonaws.com/template.yaml"
    assert "DatabaseTls false is for the local cloud only" in refusal(formation, url, {"DatabaseTls": "false"})
