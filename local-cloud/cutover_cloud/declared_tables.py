"""Tables in templates: MiniStack drops encryption, point-in-time recovery and time to live, and overwrites a table of
the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def _truth(value: Any) -> bool:
    return str(value).lower() == "true"


def settle(name: str, props: Properties) -> None:
    """Make the settings of an existing table those that were declared."""
    encryption = props.get("SSESpecification")
    if encryption:
        dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(
            {
                "Enabled": _truth(encryption.get("SSEEnabled")),
                "SSEType": encryption.get("SSEType"),
                "KMSMasterKeyId": encryption.get("KMSMasterKeyId"),
            }
        )
    else:
        dynamodb._tables[name]["SSEDescription"] = None
    recovery = props.get("PointInTimeRecoverySpecification") or {}
    dynamodb._pitr_settings[name] = _truth(recovery.get("PointInTimeRecoveryEnabled"))
    lives = props.get("TimeToLiveSpecification")
    if lives:
        dynamodb._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if _truth(lives.get("Enabled")) else "DISABLED",
            "AttributeName": lives.get("AttributeName", ""),
        }
    else:
        dynamodb._ttl_settings.pop(name, None)


def _create(original: Callable[..., Created]) -> Callable[..., Created]:
    def create(logical_id: str, props: Properties, stack_name: str) -> Created:
        name = props.get("TableName")
        if name and name in dynamodb._tables:
            raise ValueError(f"{name} already exists")
        created = original(logical_id, props, stack_name)
        settle(created[0], props)
        return created

    return create


def _update(original: Callable[..., Created]) -> Callable[..., Created]:
    def update(
        physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> Created:
        updated = original(physical_id, old, new, stack_name, logical_id)
        settle(updated[0], new)
        return updated

    return update


def _delete(original: Callable[..., None]) -> Callable[..., None]:
    def delete(physical_id: str, props: Properties) -> None:
        original(physical_id, props)
        dynamodb._pitr_settings.pop(physical_id, None)
        dynamodb._ttl_settings.pop(physical_id, None)

    return delete


def install() -> None:
    """Wrap the handlers of the type."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    handlers["create"] = provisioners._ddb_create = _create(handlers["create"])
    handlers["update"] = _update(handlers["update"])
    handlers["delete"] = provisioners._ddb_delete = _delete(handlers["delete"])
