"""What a test says of a task, and the latency metrics of tasks that run.

https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Monitoring.html
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ministack.core.responses import request_scope

from cutover_cloud import control
from cutover_cloud.dms import store
from cutover_cloud.metrics import store as metrics

LOOK_SECONDS = 0.5
# DMS publishes each minute; here often enough for alarms with periods of ten seconds.
PUBLISH_SECONDS = 5.0
LATENCIES = {"sourceLatencySeconds": "CDCLatencySource", "targetLatencySeconds": "CDCLatencyTarget"}
STATUSES = ("creating", "ready", "starting", "running", "stopping", "stopped", "failed", "modifying", "deleting")
COUNTS = {"inserts": "Inserts", "updates": "Updates", "deletes": "Deletes", "errorRows": "FullLoadErrorRows"}


def dimensions(task: dict[str, Any]) -> dict[str, str]:
    """The metrics' dimensions: the instance's name, and the last part of the task's ARN, not its name."""
    instance = store.INSTANCES.records[task["ReplicationInstanceArn"]]
    return {
        "ReplicationInstanceIdentifier": instance["ReplicationInstanceIdentifier"],
        "ReplicationTaskIdentifier": task["ReplicationTaskArn"].rpartition(":")[2],
    }


def _publish(task: dict[str, Any]) -> None:
    for member, name in LATENCIES.items():
        seconds = task.get("_latencies", {}).get(member, 0.0)
        if seconds is not None:
            metrics.record("AWS/DMS", name, dimensions(task), float(seconds), "Seconds", time.time())


async def run() -> None:
    """Publish for every running task with change capture, for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = time.monotonic()
        for (account, region, _arn), task in list(store.TASKS.records._data.items()):
            with request_scope(account, region):
                store.settle(task)
                captures = task["Status"] == "running" and task["MigrationType"] != "full-load"
                if captures and now >= task.get("_next_publish", 0.0):
                    task["_next_publish"] = now + PUBLISH_SECONDS
                    _publish(task)


def _seconds(given: dict[str, Any], member: str) -> float | None:
    value = given[member]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
        raise control.Mistake(f"'{member}' is a number of seconds, or null for no metric")
    return value


def _table(entry: Any) -> tuple[tuple[str, str], dict[str, Any]]:
    if not isinstance(entry, dict):
        raise control.Mistake("'tables' is a list of objects with 'schema', 'table', 'state' and counts")
    said: dict[str, Any] = {"TableState": control.text(entry, "state")} if "state" in entry else {}
    said |= {member: int(entry[name]) for name, member in COUNTS.items() if name in entry}
    if "validation" in entry:
        said["ValidationState"] = control.text(entry, "validation")
    return (control.text(entry, "schema"), control.text(entry, "table")), said


def _tell(given: dict[str, Any]) -> Any:
    name = control.text(given, "task")
    task = next(
        (
            one
            for one in store.TASKS.records.values()
            if name in (one["ReplicationTaskArn"], one["ReplicationTaskIdentifier"])
        ),
        None,
    )
    if task is None:
        raise control.Mistake(f"no replication task '{name}' in this account and region")
    latencies = {member: _seconds(given, member) for member in LATENCIES if member in given}
    tables = dict(_table(entry) for entry in given.get("tables") or [])
    if "status" in given:
        task["Status"] = control.choice(given, "status", STATUSES)
        task.setdefault("ReplicationTaskStartDate", time.time())
    if "failure" in given:
        task["LastFailureMessage"] = control.text(given, "failure")
    task["_latencies"] = task.get("_latencies", {}) | latencies
    task["_tables"] = task.get("_tables", {}) | tables
    task["_next_publish"] = 0.0
    return {"task": task["ReplicationTaskArn"], "status": task["Status"]}


def install() -> None:
    """Let a test say how far a task is."""
    control.register("replication", _tell)
