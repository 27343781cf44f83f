"""Condition keys of a call that MiniStack does not fill in.

`secretsmanager:resource/AllowRotationLambdaArn` is the function that a secret names as the one that rotates it.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions
from ministack.services import secretsmanager

ROTATION_FUNCTION = "secretsmanager:resource/AllowRotationLambdaArn"


def rotation_function(body: bytes) -> dict[str, str]:
    """The key for a call that names a secret; nothing for one whose secret nobody rotates."""
    try:
        name = json.loads(body or b"{}").get("SecretId")
    except (ValueError, AttributeError):
        return {}
    _key, secret = secretsmanager._resolve(name) if isinstance(name, str) else (None, None)
    function = (secret or {}).get("RotationLambdaARN")
    return {ROTATION_FUNCTION: function} if function else {}


def install() -> None:
    """Add to what MiniStack knows of a call."""
    known: Callable[..., dict[str, Any]] = iam_actions.request_tag_context

    def context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        more = rotation_function(body) if service == "secretsmanager" else {}
        return known(service, iam_action, body, params) | more

    iam_actions.request_tag_context = context
