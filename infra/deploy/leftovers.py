"""What an environment leaves behind, found by its name: every resource bears it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from deploy.account import Account, said

# Service, its paginated call, the list in the answer, the member with the name (None: the item is it), what it is called.
LISTS: tuple[tuple[str, str, str, str | None, str], ...] = (
    ("s3", "list_buckets", "Buckets", "Name", "bucket"),
    ("dynamodb", "list_tables", "TableNames", None, "table"),
    ("lambda", "list_functions", "Functions", "FunctionName", "function"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName", "log group"),
    ("iam", "list_roles", "Roles", "RoleName", "role"),
    ("sns", "list_topics", "Topics", "TopicArn", "topic"),
    ("sqs", "list_queues", "QueueUrls", None, "queue"),
    ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier", "database cluster"),
    ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier", "database instance"),
    ("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", "DBClusterSnapshotIdentifier", "cluster snapshot"),
    ("dms", "describe_replication_tasks", "ReplicationTasks", "ReplicationTaskIdentifier", "replication task"),
    ("dms", "describe_replication_instances", "ReplicationInstances", "ReplicationInstanceIdentifier", "replication instance"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName", "load balancer"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName", "target group"),
    ("ecs", "list_clusters", "clusterArns", None, "ECS cluster"),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName", "Auto Scaling group"),
    ("apigateway", "get_rest_apis", "items", "name", "REST API"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", "alarm"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName", "dashboard"),
    ("backup", "list_backup_vaults", "BackupVaultList", "BackupVaultName", "backup vault"),
)
# What services make by themselves, beside the stack: log groups of functions that ended late, of databases and of APIs.
SWEPT_LOG_GROUPS = 200


def sweep(account: Account, name: str) -> Iterator[str]:
    """Delete what no stack owns: log groups that services made, and the switch's status parameters."""
    logs = account.client("logs")
    for number, group in enumerate(_names(account, "logs", "describe_log_groups", "logGroups", "logGroupName")):
        if name in group and number < SWEPT_LOG_GROUPS:
            logs.delete_log_group(logGroupName=group)
            yield f"log group {group}"
    for parameter in _parameters(account, name):
        account.client("ssm").delete_parameter(Name=parameter)
        yield f"parameter {parameter}"


def _parameters(account: Account, name: str) -> list[str]:
    pages = account.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=f"/cutover/{name}/", Recursive=True)
    return [parameter["Name"] for page in pages for parameter in page["Parameters"]]


def find(account: Account, name: str) -> list[tuple[str, str, str]]:
    """What is left: kind, name, note. What can't be looked at is told as such: not seen is not gone."""
    left: list[tuple[str, str, str]] = []
    for service, call, member, key, kind in LISTS:
        try:
            left += [(kind, found, "") for found in _names(account, service, call, member, key) if name in found]
        except ClientError as error:
            left.append((kind, "?", f"not looked at: {said(error)}"))
    try:
        left += [*_stacks(account, name), *_secrets(account, name), *_keys(account, name), *_network(account, name)]
        left += [("parameter", parameter, "") for parameter in _parameters(account, name)]
    except ClientError as error:
        left.append(("stacks, secrets, keys, networks, parameters", "?", f"not looked at: {said(error)}"))
    return left


def _names(account: Account, service: str, call: str, member: str, key: str | None) -> list[str]:
    client = account.client(service)
    answers: Any = client.get_paginator(call).paginate() if client.can_paginate(call) else [getattr(client, call)()]
    return [str(found if key is None else found.get(key, "")) for page in answers for found in page.get(member) or []]


def _stacks(account: Account, name: str) -> Iterator[tuple[str, str, str]]:
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    for page in pages:
        for found in page["Stacks"]:
            if name in found["StackName"] and found["StackStatus"] != "DELETE_COMPLETE":
                yield "stack", found["StackName"], found["StackStatus"]


def _secrets(account: Account, name: str) -> Iterator[tuple[str, str, str]]:
    pages = account.client("secretsmanager").get_paginator("list_secrets").paginate(IncludePlannedDeletion=True)
    for page in pages:
        for found in page["SecretList"]:
            if name in found["Name"]:
                yield "secret", found["Name"], f"deleted since {found['DeletedDate']}" if found.get("DeletedDate") else ""


def _keys(account: Account, name: str) -> Iterator[tuple[str, str, str]]:
    """Keys by their description: a key has no name, and one that waits for its deletion has no alias."""
    client = account.client("kms")
    for page in client.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            try:
                found = client.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            except ClientError:
                # Another owner's key, which the caller may not look at.
                continue
            if name in found.get("Description", ""):
                when = found.get("DeletionDate")
                note = f"deleted on {when:%Y-%m-%d} (CloudFormation has keys wait)" if when else found["KeyState"]
                yield "key", found["KeyId"], note


def _network(account: Account, name: str) -> Iterator[tuple[str, str, str]]:
    """Networks and addresses by their tag: they have no name."""
    client = account.client("ec2")
    tag = {"Key": "Environment", "Value": name}
    filters = [{"Name": "tag:Environment", "Values": [name]}]
    for page in client.get_paginator("describe_vpcs").paginate(Filters=filters):
        yield from (("network", found["VpcId"], "") for found in page["Vpcs"] if tag in found.get("Tags", []))
    for found in client.describe_addresses(Filters=filters)["Addresses"]:
        if tag in found.get("Tags", []):
            yield "address", found.get("PublicIp", found["AllocationId"]), ""
