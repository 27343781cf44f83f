"""Replication instances, subnet groups, endpoints and tasks, and the states that a task passes through.

https://docs.aws.amazon.com/dms/latest/APIReference/API_ReplicationTask.html
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, new_uuid

# How long a task is `starting` or `stopping`; minutes on AWS.
CHANGING_SECONDS = 0.5
MIGRATION_TYPES = ("full-load", "cdc", "full-load-and-cdc")
CHANGING = {"starting": "running", "stopping": "stopped"}
# Passwords, of an endpoint or of its engine's settings, are taken and kept nowhere.
NEVER_KEPT = ("Password", "Tags", "ResourceIdentifier")
Record = dict[str, Any]


class Refused(ValueError):
    """What DMS refuses, with its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Kind:
    """A kind of resource: its name in the API, its ARN's kind, and what it is like when it has been made."""

    name: str
    arn_kind: str
    made: Record
    records: AccountRegionScopedDict

    @property
    def identifier(self) -> str:
        """The member with the resource's name."""
        return f"{self.name}Identifier"

    @property
    def arn(self) -> str:
        """The member with the resource's ARN."""
        return f"{self.name}Arn"


INSTANCES = Kind(
    "ReplicationInstance",
    "rep",
    {"ReplicationInstanceStatus": "available", "MultiAZ": False},
    AccountRegionScopedDict(),
)
ENDPOINTS = Kind("Endpoint", "endpoint", {"Status": "active", "SslMode": "none"}, AccountRegionScopedDict())
SUBNET_GROUPS = Kind("ReplicationSubnetGroup", "subgrp", {"SubnetGroupStatus": "Complete"}, AccountRegionScopedDict())
TASKS = Kind("ReplicationTask", "task", {"Status": "ready"}, AccountRegionScopedDict())
KINDS = {kind.name: kind for kind in (INSTANCES, ENDPOINTS, SUBNET_GROUPS, TASKS)}


def kept(given: Record) -> Record:
    """What is stored of what was given, at every depth."""
    return {
        member: kept(value) if isinstance(value, dict) else value
        for member, value in given.items()
        if member not in NEVER_KEPT
    }


def create(kind: Kind, given: Record) -> Record:
    """A new resource, under its ARN (subnet groups: their name). Raises Refused."""
    name = str(given.get(kind.identifier) or "").lower()
    if not name:
        raise Refused("InvalidParameterValueException", f"{kind.identifier} is required")
    if any(record[kind.identifier] == name for record in kind.records.values()):
        raise Refused("ResourceAlreadyExistsFault", f"{kind.name} {name} already exists")
    record = kind.made | kept(given)
    record[kind.identifier] = name
    resource = (given.get("ResourceIdentifier") or new_uuid().replace("-", "")[:26]).upper()
    arn = f"arn:aws:dms:{get_region()}:{get_account_id()}:{kind.arn_kind}:{resource}"
    if kind is not SUBNET_GROUPS:
        record[kind.arn] = arn
    if kind is TASKS:
        _check_task(record)
        record["ReplicationTaskCreationDate"] = time.time()
    if kind is INSTANCES:
        record["ReplicationInstancePrivateIpAddresses"] = ["127.0.0.1"]
    kind.records[record.get(kind.arn, name)] = record
    return record


def _check_task(task: Record) -> None:
    for member, kind in (
        ("SourceEndpointArn", ENDPOINTS),
        ("TargetEndpointArn", ENDPOINTS),
        ("ReplicationInstanceArn", INSTANCES),
    ):
        if task.get(member) not in kind.records:
            raise Refused("ResourceNotFoundFault", f"{kind.name} {task.get(member)} not found")
    if task.get("MigrationType") not in MIGRATION_TYPES:
        raise Refused("InvalidParameterValueException", f"MigrationType must be one of {', '.join(MIGRATION_TYPES)}")
    mappings(task)


def mappings(task: Record) -> list[tuple[str, str]]:
    """Schema and table of each rule that includes one table by name. Raises Refused where the mappings are no JSON."""
    try:
        rules = json.loads(task.get("TableMappings") or "{}").get("rules", [])
        return [
            (rule["object-locator"]["schema-name"], rule["object-locator"]["table-name"])
            for rule in rules
            if rule.get("rule-type") == "selection" and rule.get("rule-action") == "include"
            if "%" not in rule["object-locator"]["schema-name"] + rule["object-locator"]["table-name"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("InvalidParameterValueException", "Invalid table mappings document") from error


def find(kind: Kind, name: Any) -> Record:
    """By ARN, or a subnet group by its name. Raises Refused."""
    record = kind.records.get(name)
    if record is None:
        raise Refused("ResourceNotFoundFault", f"{kind.name} {name} not found")
    if kind is TASKS:
        settle(record)
    return record


def settle(task: Record) -> None:
    """End the state between two states when its time is over."""
    following = CHANGING.get(task["Status"])
    if following and time.monotonic() >= task.get("_changes_at", 0.0):
        task["Status"] = following


def start(task: Record, kind_of_start: str) -> None:
    """StartReplicationTask. Raises Refused."""
    settle(task)
    if task["Status"] not in ("ready", "stopped", "failed"):
        raise Refused("InvalidResourceStateFault", f"Replication Task cannot be started: it is {task['Status']}")
    if "ReplicationTaskStartDate" not in task and kind_of_start != "start-replication":
        raise Refused("InvalidResourceStateFault", "The first start must be start-replication")
    running_at = time.monotonic() + CHANGING_SECONDS
    task.update(Status="starting", ReplicationTaskStartDate=time.time(), _changes_at=running_at)
    for member in ("StopReason", "LastFailureMessage"):
        task.pop(member, None)


def stop(task: Record) -> None:
    """StopReplicationTask. Raises Refused."""
    settle(task)
    if task["Status"] != "running":
        raise Refused("InvalidResourceStateFault", f"Replication Task cannot be stopped: it is {task['Status']}")
    reason = "Stop Reason NORMAL_STOP_REQUEST"
    task.update(Status="stopping", StopReason=reason, _changes_at=time.monotonic() + CHANGING_SECONDS)


def delete(kind: Kind, name: Any) -> Record:
    """Remove what nothing else needs. Raises Refused."""
    record = find(kind, name)
    if kind is TASKS and record["Status"] not in ("ready", "stopped", "failed"):
        raise Refused("InvalidResourceStateFault", f"Replication Task cannot be deleted: it is {record['Status']}")
    if kind in (INSTANCES, ENDPOINTS):
        for task in TASKS.records.values():
            if name in (task["ReplicationInstanceArn"], task["SourceEndpointArn"], task["TargetEndpointArn"]):
                raise Refused("InvalidResourceStateFault", f"{kind.name} is in use by a replication task")
    del kind.records[name]
    return record


def tables(task: Record) -> list[Record]:
    """The statistics of each table: what a test said of it, else that it was loaded."""
    said = task.get("_tables") or {}
    names = list(dict.fromkeys([*mappings(task), *said]))
    loaded = "ReplicationTaskStartDate" in task
    return [
        {
            "SchemaName": schema,
            "TableName": table,
            "Inserts": 0,
            "Deletes": 0,
            "Updates": 0,
            "Ddls": 0,
            "FullLoadRows": 0,
            "FullLoadErrorRows": 0,
            "TableState": "Table completed" if loaded else "Before load",
            "ValidationState": "Not enabled",
            "ValidationPendingRecords": 0,
            "ValidationFailedRecords": 0,
            "ValidationSuspendedRecords": 0,
            "LastUpdateTime": time.time(),
        }
        | said.get((schema, table), {})
        for schema, table in names
    ]


def shown_task(task: Record) -> Record:
    """A task with its statistics, as DescribeReplicationTasks shows it."""
    settle(task)
    states = [table["TableState"] for table in tables(task)]
    errors = states.count("Table error")
    statistics = {
        "FullLoadProgressPercent": 100 if "ReplicationTaskStartDate" in task else 0,
        "ElapsedTimeMillis": 0,
        "TablesLoaded": states.count("Table completed"),
        "TablesLoading": states.count("Full load"),
        "TablesQueued": states.count("Before load"),
        "TablesErrored": errors,
    }
    return task | {"ReplicationTaskStats": statistics}
