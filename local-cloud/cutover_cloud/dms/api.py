"""The calls: JSON 1.1, with outputs cut to botocore's model of the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import error_response_json, json_response

from cutover_cloud.dms import store
from cutover_cloud.dms.store import KINDS, TASKS, Kind, Record, Refused

TARGET = "AmazonDMSv20160101"
RECORDS_MAX = 100
# Filter name -> the member that it looks at.
FILTERS = {
    "replication-task-arn": "ReplicationTaskArn",
    "replication-task-id": "ReplicationTaskIdentifier",
    "migration-type": "MigrationType",
    "endpoint-arn": "EndpointArn",
    "endpoint-id": "EndpointIdentifier",
    "endpoint-type": "EndpointType",
    "engine-name": "EngineName",
    "replication-instance-arn": "ReplicationInstanceArn",
    "replication-instance-id": "ReplicationInstanceIdentifier",
    "replication-subnet-group-id": "ReplicationSubnetGroupIdentifier",
}


@cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("dms")


def _cut(value: Any, shape: Shape) -> Any:
    """Only what the model knows: no member of ours leaves."""
    if isinstance(shape, StructureShape):
        return {
            name: _cut(value[name], member) for name, member in shape.members.items() if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_cut(item, shape.member) for item in value]
    return value


def _shown(kind: Kind, record: Record) -> Record:
    return store.shown_task(record) if kind is TASKS else record


def _create(kind: Kind) -> Callable[[Record], Record]:
    return lambda given: {kind.name: _shown(kind, store.create(kind, given))}


def _delete(kind: Kind) -> Callable[[Record], Record]:
    member = kind.identifier if kind is store.SUBNET_GROUPS else kind.arn

    def delete(given: Record) -> Record:
        record = store.delete(kind, given.get(member))
        if kind is TASKS:
            record["Status"] = "deleting"
        return {kind.name: record}

    return delete


def _describe(kind: Kind) -> Callable[[Record], Record]:
    def describe(given: Record) -> Record:
        found = list(kind.records.values())
        for wanted in given.get("Filters") or []:
            member = FILTERS.get(wanted["Name"])
            if member is None:
                raise Refused("InvalidParameterValueException", f"Unknown filter '{wanted['Name']}'")
            found = [record for record in found if record.get(member) in wanted["Values"]]
        if given.get("Filters") and not found:
            raise Refused("ResourceNotFoundFault", f"No {kind.name}s found matching the filters")
        page, marker = _page(found, given)
        return {f"{kind.name}s": [_shown(kind, record) for record in page], "Marker": marker}

    return describe


def _page(found: list[Record], given: Record) -> tuple[list[Record], str | None]:
    marker = given.get("Marker") or "0"
    if not marker.isdigit():
        raise Refused("InvalidParameterValueException", "Invalid marker")
    first, room = int(marker), min(int(given.get("MaxRecords") or RECORDS_MAX), RECORDS_MAX)
    return found[first : first + room], str(first + room) if len(found) > first + room else None


def _start(given: Record) -> Record:
    task = store.find(TASKS, given.get("ReplicationTaskArn"))
    store.start(task, given.get("StartReplicationTaskType", ""))
    return {"ReplicationTask": store.shown_task(task)}


def _stop(given: Record) -> Record:
    task = store.find(TASKS, given.get("ReplicationTaskArn"))
    store.stop(task)
    return {"ReplicationTask": store.shown_task(task)}


def _table_statistics(given: Record) -> Record:
    task = store.find(TASKS, given.get("ReplicationTaskArn"))
    page, marker = _page(store.tables(task), given)
    return {"ReplicationTaskArn": given["ReplicationTaskArn"], "TableStatistics": page, "Marker": marker}


CALLS: dict[str, Callable[[Record], Record]] = {
    "StartReplicationTask": _start,
    "StopReplicationTask": _stop,
    "DescribeTableStatistics": _table_statistics,
}
for _kind in KINDS.values():
    CALLS[f"Create{_kind.name}"] = _create(_kind)
    CALLS[f"Delete{_kind.name}"] = _delete(_kind)
    CALLS[f"Describe{_kind.name}s"] = _describe(_kind)


async def handle_request(method: str, path: str, headers: dict[str, str], body: Any, query_params: Any) -> Any:
    """One call."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    call = CALLS.get(operation)
    if call is None:
        return error_response_json("UnknownOperationException", f"{operation} is not emulated", 400)
    try:
        output = call(json.loads(body or b"{}"))
    except Refused as refused:
        return error_response_json(refused.code, str(refused), 400)
    return json_response(_cut(output, _model().operation_model(operation).output_shape))


def install() -> None:
    """Route the service's requests here, and have them authorized as `dms:<call>`."""
    router.SERVICE_PATTERNS["dms"] = {"target_prefixes": [TARGET]}
    app.SERVICE_HANDLERS["dms"] = handle_request
    iam_actions.SERVICE_TO_IAM_NAMESPACE["dms"] = "dms"
