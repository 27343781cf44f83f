"""Versions and staging labels, as a rotation function relies on them: a token is used once, labels move, and a version
may be empty.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import secretsmanager

TOKEN_LENGTHS = range(32, 65)
VERSIONS_WITHOUT_LABEL_MAX = 100

Response = tuple[int, dict[str, str], bytes]
Secret = dict[str, Any]


def refuse(code: str, message: str) -> Response:
    """An error with status 400, as all of this service's are."""
    return error_response_json(code, message, 400)


def find(data: dict[str, Any]) -> tuple[Secret | None, Response | None]:
    """The secret that a call names, or why it cannot be used."""
    _key, secret = secretsmanager._resolve(data.get("SecretId"))
    if not secret:
        return None, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate"):
        return None, refuse(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    return secret, (secretsmanager._replica_mutation_error() if secretsmanager._is_replica(secret) else None)


def token_problem(token: str) -> Response | None:
    """Tokens are version ids, and have their length."""
    if len(token) in TOKEN_LENGTHS:
        return None
    return refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")


def is_empty(version: dict[str, Any]) -> bool:
    """Whether a rotation made the version and nobody put a value yet."""
    return version.get("SecretString") is None and version.get("SecretBinary") is None


def put_secret_value(data: dict[str, Any]) -> Response:
    """PutSecretValue: the same token and value again changes nothing, another value is refused."""
    secret, problem = find(data)
    if secret is None or problem:
        return problem  # type: ignore[return-value]
    token = data.get("ClientRequestToken") or new_uuid()
    if problem := token_problem(token):
        return problem
    value = {"SecretString": data.get("SecretString"), "SecretBinary": data.get("SecretBinary")}
    if is_empty(value) or None not in value.values():
        return refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary, and not both.")
    known = secret["Versions"].get(token)
    if known and not is_empty(known):
        if any(known.get(name) != given for name, given in value.items()):
            return refuse(
                "ResourceExistsException",
                f"You can't use ClientRequestToken {token} because that value is already in use for a version of "
                f"secret {secret['ARN']}.",
            )
        return _answer(secret, token)
    created = {"CreatedDate": int(time.time())}
    secret["Versions"][token] = {"Stages": list(known["Stages"]) if known else []} | created | value
    for label in data.get("VersionStages") or ["AWSCURRENT"]:
        attach(secret, token, label)
    secret["LastChangedDate"] = int(time.time())
    prune(secret)
    secretsmanager._sync_replicas(secret)
    return _answer(secret, token)


def attach(secret: Secret, version_id: str, label: str) -> None:
    """Move a label to a version; AWSCURRENT leaves AWSPREVIOUS where it was."""
    if label == "AWSCURRENT":
        before, _ = secretsmanager._find_stage_version(secret, label)
        if before and before != version_id:
            secretsmanager._remove_stage_everywhere(secret, "AWSPREVIOUS")
            secretsmanager._add_stage(secret, before, "AWSPREVIOUS")
    secretsmanager._remove_stage_everywhere(secret, label, except_version_id=version_id)
    secretsmanager._add_stage(secret, version_id, label)
    if label not in ("AWSPENDING", "AWSPREVIOUS"):
        secretsmanager._emit_secret_label_updated(secret, label, version_id)


def prune(secret: Secret) -> None:
    """Versions without a label are deprecated: kept for a while, the oldest go first."""
    deprecated = [name for name, version in secret["Versions"].items() if not version["Stages"]]
    for name in deprecated[:-VERSIONS_WITHOUT_LABEL_MAX]:
        del secret["Versions"][name]


def _answer(secret: Secret, token: str) -> Response:
    return json_response(
        {
            "ARN": secret["ARN"],
            "Name": secret["Name"],
            "VersionId": token,
            "VersionStages": list(secret["Versions"][token]["Stages"]),
        }
    )


def get_secret_value(data: dict[str, Any]) -> Response:
    """GetSecretValue: an empty version has no value to get, and a label must be one of the version that is named."""
    _key, secret = secretsmanager._resolve(data.get("SecretId"))
    version_id, label = data.get("VersionId"), data.get("VersionStage")
    if secret and version_id in secret["Versions"]:
        version = secret["Versions"][version_id]
        if label and label not in version["Stages"]:
            return refuse(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        named = f"VersionId: {version_id}"
    elif secret and not version_id:
        _id, version = secretsmanager._find_stage_version(secret, label or "AWSCURRENT")
        named = f"staging label: {label or 'AWSCURRENT'}"
    else:
        version = None
    if version is not None and is_empty(version):
        return refuse(
            "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {named}"
        )
    return _GET(data)


def list_version_ids(data: dict[str, Any]) -> Response:
    """ListSecretVersionIds: without IncludeDeprecated, versions without a label are left out."""
    response = _LIST(data)
    if response[0] != 200 or data.get("IncludeDeprecated"):
        return response
    answer = json.loads(response[2])
    answer["Versions"] = [version for version in answer["Versions"] if version["VersionStages"]]
    return json_response(answer)


_GET = secretsmanager._get_secret_value
_LIST = secretsmanager._list_secret_version_ids


def install() -> None:
    """Replace the three calls."""
    secretsmanager._put_secret_value = put_secret_value
    secretsmanager._get_secret_value = get_secret_value
    secretsmanager._list_secret_version_ids = list_version_ids
