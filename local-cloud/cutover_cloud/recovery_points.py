"""Recovery points of AWS Backup: MiniStack counts them and lists none.

https://docs.aws.amazon.com/aws-backup/latest/devguide/API_ListRecoveryPointsByBackupVault.html
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, json_response
from ministack.services import backup

from cutover_cloud import control

STATUSES = ("COMPLETED", "PARTIAL", "EXPIRED", "DELETING", "STOPPED", "CREATING", "AVAILABLE")
RESULTS_MAX = 1000
DAY_SECONDS = 86_400
RESOURCE_TYPES = {"rds": "Aurora", "dynamodb": "DynamoDB", "s3": "S3", "ec2": "EC2", "elasticfilesystem": "EFS"}

# Vault name -> its points, newest last.
_points = AccountRegionScopedDict()


def _keep(vault: str, arn: str, resource: str, created: float, status: str) -> dict[str, Any]:
    kind = resource.split(":")[2] if resource.count(":") > 2 else ""
    # An RDS instance has the same service in its ARN as an Aurora cluster.
    resource_type = "RDS" if kind == "rds" and ":db:" in resource else RESOURCE_TYPES.get(kind, kind)
    point = {
        "RecoveryPointArn": arn,
        "BackupVaultName": vault,
        "BackupVaultArn": backup._vault_arn(vault),
        "ResourceArn": resource,
        "ResourceType": resource_type,
        "Status": status,
        "CreationDate": created,
        "CompletionDate": created,
        "IsEncrypted": True,
        "EncryptionKeyArn": backup._vaults[vault].get("EncryptionKeyArn", ""),
    }
    _points.setdefault(vault, []).append(point)
    return point


def _matches(point: dict[str, Any], query: dict[str, Any]) -> bool:
    def asked(name: str) -> str:
        value = query.get(name) or ""
        return value[0] if isinstance(value, list) else value

    return all(
        (
            not asked("resourceArn") or point["ResourceArn"] == asked("resourceArn"),
            not asked("resourceType") or point["ResourceType"] == asked("resourceType"),
            not asked("createdAfter") or point["CreationDate"] > _epoch(asked("createdAfter")),
            not asked("createdBefore") or point["CreationDate"] < _epoch(asked("createdBefore")),
        )
    )


def _epoch(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _listed(points: list[dict[str, Any]], query: dict[str, Any]) -> Any:
    def asked(name: str, default: str) -> int:
        value = query.get(name) or default
        return int(value[0] if isinstance(value, list) else value)

    found = [point for point in points if _matches(point, query)]
    first, room = asked("nextToken", "0"), min(asked("maxResults", str(RESULTS_MAX)), RESULTS_MAX)
    answer: dict[str, Any] = {"RecoveryPoints": found[first : first + room]}
    if len(found) > first + room:
        answer["NextToken"] = str(first + room)
    return json_response(answer)


def _tell(given: dict[str, Any]) -> Any:
    vault, resource = control.text(given, "vault"), control.text(given, "resource")
    if vault not in backup._vaults:
        raise control.Mistake(f"no backup vault '{vault}' in this account and region")
    age = given.get("ageDays", 0)
    if isinstance(age, bool) or not isinstance(age, int | float) or age < 0:
        raise control.Mistake("'ageDays' is a number of days, 0 or more")
    status = control.choice({"status": "COMPLETED"} | given, "status", STATUSES)
    arn = backup._recovery_point_arn(vault)
    backup._vaults[vault]["NumberOfRecoveryPoints"] += 1
    return _keep(vault, arn, resource, time.time() - age * DAY_SECONDS, status)


def install() -> None:
    """Keep the point of each backup job, and list them."""
    start = backup._start_job
    by_vault = backup._list_recovery_points_by_vault

    def start_backup_job(body: dict[str, Any]) -> Any:
        response = start(body)
        if response[0] == 200:
            arn = json.loads(response[2])["RecoveryPointArn"]
            _keep(body["BackupVaultName"], arn, body["ResourceArn"], time.time(), "COMPLETED")
        return response

    def list_by_vault(vault: str, query: dict[str, Any]) -> Any:
        return _listed(_points.get(vault, []), query) if vault in backup._vaults else by_vault(vault, query)

    backup._start_job = start_backup_job
    backup._list_recovery_points_by_vault = list_by_vault
    control.register("recovery-point", _tell)
