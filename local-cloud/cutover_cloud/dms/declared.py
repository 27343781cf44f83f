"""The types in templates. A task is made and not started, as on AWS; a running one cannot be changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ministack.services.cloudformation import provisioners

from cutover_cloud.dms import store
from cutover_cloud.dms.store import ENDPOINTS, INSTANCES, KINDS, SUBNET_GROUPS, TASKS, Kind, Record, Refused

Created = tuple[str, dict[str, Any]]
# What a template's name of a member is in the API.
RENAMED = {
    "SubnetIds": "_subnet_ids",
    "MySqlSettings": "MySQLSettings",
    "PostgreSqlSettings": "PostgreSQLSettings",
}


def _given(kind: Kind, logical_id: str, props: Record, stack_name: str) -> Record:
    given = {RENAMED.get(name, name): value for name, value in props.items()}
    if not given.get(kind.identifier):
        given[kind.identifier] = provisioners._physical_name(stack_name, logical_id, lowercase=True, max_len=63)
    for member in ("MultiAZ", "PubliclyAccessible", "AutoMinorVersionUpgrade"):
        if member in given:
            given[member] = str(given[member]).lower() == "true"
    for member in ("AllocatedStorage", "Port"):
        if member in given:
            given[member] = int(given[member])
    return given


def _made(kind: Kind, record: Record) -> Created:
    name = record[kind.identifier] if kind is SUBNET_GROUPS else record[kind.arn]
    attributes: dict[str, Any] = {}
    if kind is INSTANCES:
        attributes["ReplicationInstancePrivateIpAddresses"] = record["ReplicationInstancePrivateIpAddresses"]
    if kind is ENDPOINTS:
        attributes["ExternalId"] = record["EndpointArn"]
    return name, attributes


def _create(kind: Kind) -> Callable[..., Created]:
    def create(logical_id: str, props: Record, stack_name: str) -> Created:
        try:
            return _made(kind, store.create(kind, _given(kind, logical_id, props, stack_name)))
        except Refused as refused:
            raise ValueError(f"AWS::DMS::{kind.name}: {refused}") from refused

    return create


def _update(kind: Kind) -> Callable[..., Created]:
    def update(physical_id: str, old: Record, new: Record, stack_name: str, logical_id: str | None = None) -> Created:
        record = kind.records[physical_id]
        if kind is TASKS:
            store.settle(record)
            if record["Status"] in ("running", "starting", "stopping"):
                raise ValueError(f"Replication Task {physical_id} cannot be modified: it is {record['Status']}")
        given = _given(kind, logical_id or "", new, stack_name)
        given[kind.identifier] = record[kind.identifier]
        record.update(store.kept(given))
        return _made(kind, record)

    return update


def _delete(kind: Kind) -> Callable[..., None]:
    def delete(physical_id: str, _props: Record) -> None:
        if physical_id not in kind.records:
            return
        if kind is TASKS:
            with suppress(Refused):
                store.stop(kind.records[physical_id])
            kind.records[physical_id]["Status"] = "stopped"
        try:
            store.delete(kind, physical_id)
        except Refused as refused:
            raise ValueError(f"AWS::DMS::{kind.name}: {refused}") from refused

    return delete


def install() -> None:
    """Add the four types."""
    for kind in KINDS.values():
        provisioners._RESOURCE_HANDLERS[f"AWS::DMS::{kind.name}"] = {
            "create": _create(kind),
            "update": _update(kind),
            "update_with_logical_id": True,
            "delete": _delete(kind),
        }
