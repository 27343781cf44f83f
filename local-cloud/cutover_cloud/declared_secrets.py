"""Secrets in templates: `Ref` of one is its ARN, and a generated value follows every switch of the generator.

MiniStack gives the name for `Ref`, which matches nothing in a policy, and obeys two of the generator's switches.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def _name(arn: str) -> str:
    """The key of MiniStack's store for the secret that an ARN names."""
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)


def generate(wanted: Properties) -> str:
    """A value as `GenerateSecretString` describes it, its password made as GetRandomPassword makes one."""
    shape = {"SecretStringTemplate", "GenerateStringKey"}
    request: Properties = {name: _typed(value) for name, value in wanted.items() if name not in shape}
    status, _headers, body = secretsmanager._get_random_password(request)
    answer = json.loads(body)
    if status != 200:
        raise ValueError(answer.get("message", "GenerateSecretString is not valid"))
    if "SecretStringTemplate" not in wanted:
        return str(answer["RandomPassword"])
    value = json.loads(wanted["SecretStringTemplate"])
    return json.dumps(value | {wanted["GenerateStringKey"]: answer["RandomPassword"]})


def _typed(value: Any) -> Any:
    """Templates give numbers and truths as text, too."""
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    return int(value) if str(value).isdigit() else value


def _secret_string(props: Properties) -> str:
    declared = props.get("SecretString")
    return str(declared) if declared else generate(props.get("GenerateSecretString") or {})


def install() -> None:
    """Wrap the handlers of the type: the ARN outside, the name inside."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_secret(logical_id: str, props: Properties, stack_name: str) -> Created:
        _name, attributes = create(logical_id, props, stack_name)
        return attributes["Arn"], attributes

    def update_secret(
        physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> Created:
        name, attributes = update(_name(physical_id), old, new, stack_name, logical_id)
        return secretsmanager._secrets[name]["ARN"], attributes

    def delete_secret(physical_id: str, props: Properties) -> None:
        delete(_name(physical_id), props)

    provisioners._sm_secret_string = _secret_string
    handlers["create"] = provisioners._sm_secret_create = create_secret
    handlers["update"] = update_secret
    handlers["delete"] = provisioners._sm_secret_delete = delete_secret
