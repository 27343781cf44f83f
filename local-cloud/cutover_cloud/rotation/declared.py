"""`AWS::SecretsManager::RotationSchedule`, which MiniStack does not know.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-rotationschedule.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from cutover_cloud.rotation.driver import cancel_rotate_secret

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def _rotate(props: Properties, *, immediately: bool) -> Created:
    if props.get("HostedRotationLambda"):
        raise ValueError("HostedRotationLambda is not emulated: give a RotationLambdaARN")
    rules = {
        name: int(value) if name == "AutomaticallyAfterDays" else value
        for name, value in (props.get("RotationRules") or {}).items()
    }
    request = {"SecretId": props["SecretId"], "RotateImmediately": immediately}
    if props.get("RotationLambdaARN"):
        request["RotationLambdaARN"] = props["RotationLambdaARN"]
    if rules:
        request["RotationRules"] = rules
    status, _headers, body = secretsmanager._rotate_secret(request)
    answer = json.loads(body)
    if status != 200:
        raise ValueError(f"AWS::SecretsManager::RotationSchedule: {answer.get('message')}")
    return answer["ARN"], {"Id": answer["ARN"]}


def _create(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    return _rotate(props, immediately=_immediately(props))


def _update(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    if old.get("SecretId") == new.get("SecretId"):
        return _rotate(new, immediately=_immediately(new))
    created = _create("", new, stack_name)
    provisioners._delete_predecessor(_delete, physical_id, old)
    return created


def _immediately(props: Properties) -> bool:
    return str(props.get("RotateImmediatelyOnUpdate", True)).lower() == "true"


def _delete(physical_id: str, _props: Properties) -> None:
    cancel_rotate_secret({"SecretId": physical_id})


def install() -> None:
    """Add the type."""
    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::RotationSchedule"] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
