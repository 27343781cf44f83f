"""The AWS account that is worked on, or the local cloud in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from deploy.refusal import Refusal
from deploy.settings import Settings

CALLS = Config(connect_timeout=5, read_timeout=60, retries={"mode": "adaptive", "total_max_attempts": 6})
LOCAL_CALLS = Config(connect_timeout=2, read_timeout=120, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"})
CREDENTIALS_ARE = (
    "AWS_PROFILE with a profile that has a role or keys, `aws sso login`, or AWS_ACCESS_KEY_ID with "
    "AWS_SECRET_ACCESS_KEY. LOCAL=1 needs none: it works against the local cloud"
)


@dataclass
class Account:
    """Clients of one account in one region."""

    session: Any
    region: str
    endpoint: str | None = None
    id: str = ""
    caller: str = ""
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client with bounded calls, made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(
                service, region_name=self.region, endpoint_url=self.endpoint, config=LOCAL_CALLS if self.endpoint else CALLS
            )
        return self._clients[service]

    @property
    def is_local(self) -> bool:
        """Whether it is the local cloud."""
        return self.endpoint is not None

    @property
    def told(self) -> str:
        """Who calls, for the screen."""
        return f"the local cloud at {self.endpoint}" if self.endpoint else self.caller

    def object_url(self, bucket: str, key: str) -> str:
        """Where CloudFormation reads a template."""
        if self.endpoint:
            return f"{self.endpoint}/{bucket}/{key}"
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{bucket}.s3.{self.region}.{suffix}/{key}"


def connect(settings: Settings, endpoint: str | None) -> Account:
    """Ask who calls; whatever is missing is named. Raises Refusal."""
    try:
        if endpoint:
            session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
        else:
            session = boto3.Session()
        region = settings.region or session.region_name
        if not region:
            raise Refusal("no region: REGION=eu-central-1 and the like, AWS_REGION, or the profile's own")
        if not endpoint and region not in session.get_available_regions("cloudformation", "aws") + [
            *session.get_available_regions("cloudformation", "aws-us-gov"),
            *session.get_available_regions("cloudformation", "aws-cn"),
        ]:
            raise Refusal(f"'{region}' is no region of CloudFormation: eu-central-1, us-east-1 and the like")
        account = Account(session, region, endpoint)
        who = account.client("sts").get_caller_identity()
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Refusal(f"no AWS credentials ({error}). What is taken: {CREDENTIALS_ARE}") from error
    except ProfileNotFound as error:
        raise Refusal(f"{error}. What is taken: {CREDENTIALS_ARE}") from error
    except ClientError as error:
        raise Refusal(f"the credentials are refused: {said(error)}. What is taken: {CREDENTIALS_ARE}") from error
    except BotoCoreError as error:
        raise Refusal(f"AWS can't be asked who calls: {error}. Credentials that are taken: {CREDENTIALS_ARE}") from error
    account.id, account.caller = who["Account"], who["Arn"]
    return account


def said(error: ClientError) -> str:
    """What a service answered, without botocore's frame."""
    return str(error.response.get("Error", {}).get("Message") or error)


def code(error: ClientError) -> str:
    """The service's code."""
    return str(error.response.get("Error", {}).get("Code", ""))
