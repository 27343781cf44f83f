"""Secrets in templates: `Ref` of one is its ARN. MiniStack gives its name, which matches nothing in a policy.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def _name(arn: str) -> str:
    """The key of MiniStack's store for the secret that an ARN names."""
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)


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

    handlers["create"] = provisioners._sm_secret_create = create_secret
    handlers["update"] = update_secret
    handlers["delete"] = provisioners._sm_secret_delete = delete_secret
