"""What keeps a stack from being deleted: objects, recovery points, running tasks, protection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from deploy import bucket
from deploy.account import Account, code, said
from deploy.refusal import Refusal
from deploy.screen import Screen
from deploy.stack import resources

STOP_SECONDS_MAX = 900.0
POINTS_SECONDS_MAX = 600.0
LOOK_SECONDS, LOOK_SECONDS_LOCAL = 5.0, 0.2
GONE = ("DBClusterNotFoundFault", "LoadBalancerNotFound", "ResourceNotFoundFault", "ResourceNotFoundException")


@dataclass
class Blockers:
    """Of one stack with all that it nests."""

    kinds: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    # Vault -> ARNs.
    points: dict[str, list[str]] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    # Kind and id.
    protected: list[tuple[str, str]] = field(default_factory=list)


def find(account: Account, stack_id: str) -> Blockers:
    """Look at each resource that may block."""
    found = Blockers()
    for resource in resources(account, stack_id):
        found.kinds.append(resource.kind)
        if resource.kind == "AWS::S3::Bucket" and bucket.exists(account, resource.id):
            found.buckets.append(resource.id)
        elif resource.kind == "AWS::Backup::BackupVault":
            points = recovery_points(account, resource.id)
            if points:
                found.points[resource.id] = points
        elif resource.kind == "AWS::DMS::ReplicationTask" and task_status(account, resource.id) in ("running", "starting"):
            found.tasks.append(resource.id)
        elif resource.kind == "AWS::RDS::DBCluster" and cluster_protected(account, resource.id):
            found.protected.append(("cluster", resource.id))
        elif resource.kind.endswith("V2::LoadBalancer") and balancer_protected(account, resource.id):
            found.protected.append(("load balancer", resource.id))
    return found


def recovery_points(account: Account, vault: str) -> list[str]:
    """ARNs of a vault's recovery points."""
    pages = account.client("backup").get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=vault)
    try:
        return [point["RecoveryPointArn"] for page in pages for point in page["RecoveryPoints"]]
    except ClientError as error:
        if code(error) in GONE:
            return []
        raise


def task_status(account: Account, arn: str) -> str:
    """How a replication task is; empty where there is none."""
    try:
        found = account.client("dms").describe_replication_tasks(
            Filters=[{"Name": "replication-task-arn", "Values": [arn]}], WithoutSettings=True
        )["ReplicationTasks"]
    except ClientError as error:
        if code(error) in GONE:
            return ""
        raise
    return str(found[0]["Status"]) if found else ""


def cluster_protected(account: Account, cluster: str) -> bool:
    """Whether a database cluster is protected against deletion."""
    try:
        found = account.client("rds").describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    except ClientError as error:
        if code(error) in GONE:
            return False
        raise
    return bool(found and found[0].get("DeletionProtection"))


def balancer_protected(account: Account, arn: str) -> bool:
    """Whether a load balancer is protected against deletion."""
    try:
        found = account.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    except ClientError as error:
        if code(error) in GONE:
            return False
        raise
    return any(a["Key"] == "deletion_protection.enabled" and a["Value"] == "true" for a in found)


def clear(account: Account, screen: Screen, found: Blockers) -> None:
    """Take all of it away. Raises Refusal when something stays."""
    for kind, thing in found.protected:
        if kind == "cluster":
            account.client("rds").modify_db_cluster(DBClusterIdentifier=thing, DeletionProtection=False, ApplyImmediately=True)
        else:
            off = [{"Key": "deletion_protection.enabled", "Value": "false"}]
            account.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=thing, Attributes=off)
        screen.line(f"  unprotected {kind} {thing}")
    for task in found.tasks:
        account.client("dms").stop_replication_task(ReplicationTaskArn=task)
    for task in found.tasks:
        _until(account, STOP_SECONDS_MAX, f"{task} does not stop", lambda t=task: task_status(account, t) != "stopping")
        screen.line(f"  stopped replication task {task}")
    for vault, points in found.points.items():
        for point in points:
            _delete_point(account, vault, point)
        _until(account, POINTS_SECONDS_MAX, f"{vault} keeps recovery points", lambda v=vault: not recovery_points(account, v))
        screen.line(f"  deleted {len(points)} recovery points of {vault}")
    for name in found.buckets:
        screen.update(f"  emptying {name}")
        screen.line(f"  emptied {name}: {bucket.empty(account, name):,} versions")


def _delete_point(account: Account, vault: str, point: str) -> None:
    try:
        account.client("backup").delete_recovery_point(BackupVaultName=vault, RecoveryPointArn=point)
    except ClientError as error:
        if code(error) not in GONE:
            raise Refusal(f"{point} of {vault} can't be deleted: {said(error)}") from error


def _until(account: Account, seconds_max: float, problem: str, done: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds_max
    while not done():
        if time.monotonic() > until:
            raise Refusal(f"{problem} in {seconds_max:.0f} s; `make destroy` may be run again")
        time.sleep(LOOK_SECONDS_LOCAL if account.is_local else LOOK_SECONDS)


def keep_empty(account: Account, found: Blockers) -> None:
    """Functions write until they are gone: what comes meanwhile goes, too."""
    for name in found.buckets:
        bucket.empty(account, name)
