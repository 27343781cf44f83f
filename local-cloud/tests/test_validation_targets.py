"""What a validation looks at: clusters, replication tasks, recovery points, tables, buckets, keys."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually

from cutover_cloud.dms import store

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/"
MAPPINGS = json.dumps(
    {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": "1",
                "rule-name": "1",
                "rule-action": "include",
                "object-locator": {"schema-name": "pay", "table-name": "payments"},
            }
        ]
    }
)


def cluster_template(key: str) -> dict[str, Any]:
    """An encrypted cluster with two instances in two zones, and its parameters."""
    instances = {
        f"Instance{zone}": {
            "Type": "AWS::RDS::DBInstance",
            "Properties": {
                "DBClusterIdentifier": {"Ref": "Cluster"},
                "DBInstanceIdentifier": f"declared-{zone}",
                "DBInstanceClass": "db.r7g.large",
                "Engine": "aurora-mysql",
                "AvailabilityZone": f"{REGION}{zone}",
            },
        }
        for zone in ("a", "b")
    }
    return instances | {
        "Parameters": {
            "Type": "AWS::RDS::DBClusterParameterGroup",
            "Properties": {
                "DBClusterParameterGroupName": "declared",
                "Family": "aurora-mysql8.0",
                "Description": "row format",
                "Parameters": {"binlog_format": "ROW"},
            },
        },
        "Cluster": {
            "Type": "AWS::RDS::DBCluster",
            "Properties": {
                "DBClusterIdentifier": "declared",
                "Engine": "aurora-mysql",
                "EngineVersion": "8.0.mysql_aurora.3.10.0",
                "MasterUsername": "root",
                "MasterUserPassword": "only-here-12345",
                "StorageEncrypted": "true",
                "KmsKeyId": key,
                "DBClusterParameterGroupName": {"Ref": "Parameters"},
                "EnableCloudwatchLogsExports": ["audit", "error"],
            },
        },
    }


def deploy(cloud: Cloud, name: str, resources: dict[str, Any], outputs: dict[str, Any]) -> dict[str, str]:
    """Create a stack and answer its outputs."""
    formation = cloud.client("cloudformation")
    body = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    formation.create_stack(StackName=name, TemplateBody=json.dumps(body))

    def created() -> Any:
        stack = formation.describe_stacks(StackName=name)["Stacks"][0]
        assert "ROLLBACK" not in stack["StackStatus"], formation.describe_stack_events(StackName=name)["StackEvents"]
        return stack if stack["StackStatus"] == "CREATE_COMPLETE" else None

    return {output["OutputKey"]: output["OutputValue"] for output in eventually(created)["Outputs"]}


def test_declared_cluster_is_described_in_full(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert cloud.control("database", cluster="declared", host="127.0.0.1", port=13306)[0] == 200
    outputs = deploy(
        cloud,
        "cluster",
        cluster_template(key),
        {
            "Host": {"Fn::GetAtt": ["Cluster", "Endpoint.Address"]},
            "Port": {"Fn::GetAtt": ["Cluster", "Endpoint.Port"]},
        },
    )
    assert outputs == {"Host": "127.0.0.1", "Port": "13306"}
    found = rds.describe_db_clusters(DBClusterIdentifier="declared")["DBClusters"][0]
    assert (found["Endpoint"], found["Port"]) == ("127.0.0.1", 13306)
    assert found["StorageEncrypted"] and found["KmsKeyId"] == key and found["MultiAZ"]
    assert found["EnabledCloudwatchLogsExports"] == ["audit", "error"] and found["Status"] == "available"
    writers = [member["IsClusterWriter"] for member in found["DBClusterMembers"]]
    assert sorted(writers) == [False, True] and found["DBClusterParameterGroup"] == "declared"
    instances = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["declared"]}])["DBInstances"]
    assert {instance["AvailabilityZone"] for instance in instances} == {f"{REGION}a", f"{REGION}b"}
    assert all(instance["StorageEncrypted"] and instance["KmsKeyId"] == key for instance in instances)
    parameters = rds.describe_db_cluster_parameters(DBClusterParameterGroupName="declared")["Parameters"]
    assert {one["ParameterName"]: one["ParameterValue"] for one in parameters}["binlog_format"] == "ROW"
    assert cloud.control("database", cluster="declared", status="failing-over")[0] == 200
    assert rds.describe_db_clusters(DBClusterIdentifier="declared")["DBClusters"][0]["Status"] == "failing-over"
    assert cloud.control("database", cluster="declared", status="fine")[0] == 400
    assert cloud.control("database", cluster="declared", host="127.0.0.1")[0] == 400


def test_defaults_of_a_cluster_are_those_that_a_validation_refuses(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="plain",
        Engine="aurora-postgresql",
        MasterUsername="root",
        MasterUserPassword="only-here-12345",
    )
    rds.create_db_instance(
        DBInstanceIdentifier="plain-a", DBClusterIdentifier="plain", DBInstanceClass="db.r7g.large",
        Engine="aurora-postgresql",
    )
    found = rds.describe_db_clusters(DBClusterIdentifier="plain")["DBClusters"][0]
    assert not found["StorageEncrypted"] and not found["MultiAZ"]
    assert found["Endpoint"].endswith(".rds.amazonaws.com") and not found["EnabledCloudwatchLogsExports"]
    for family, name, value in (
        ("aurora-postgresql16", "rds.logical_replication", "0"),
        ("aurora-mysql8.0", "binlog_format", "OFF"),
    ):
        group = family.replace(".", "-")
        rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=group, DBParameterGroupFamily=family, Description="defaults"
        )
        parameters = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=group)["Parameters"]
        assert {one["ParameterName"]: one["ParameterValue"] for one in parameters}[name] == value
    with pytest.raises(rds.exceptions.DBClusterNotFoundFault):
        rds.describe_db_clusters(DBClusterIdentifier="none")


def replication_template() -> dict[str, Any]:
    """An instance, two endpoints and a task."""

    def endpoint(kind: str) -> dict[str, Any]:
        properties = {
            "EndpointIdentifier": f"pay-{kind}",
            "EndpointType": kind,
            "EngineName": "aurora",
            "ServerName": "127.0.0.1",
            "Port": "3306",
            "Username": "dms",
            "Password": "never-shown-again",
        }
        return {"Type": "AWS::DMS::Endpoint", "Properties": properties}

    return {
        "Group": {
            "Type": "AWS::DMS::ReplicationSubnetGroup",
            "Properties": {
                "ReplicationSubnetGroupIdentifier": "group",
                "ReplicationSubnetGroupDescription": "two zones",
                "SubnetIds": ["subnet-a", "subnet-b"],
            },
        },
        "Instance": {
            "Type": "AWS::DMS::ReplicationInstance",
            "Properties": {
                "ReplicationInstanceIdentifier": "pay",
                "ReplicationInstanceClass": "dms.t3.medium",
                "ReplicationSubnetGroupIdentifier": {"Ref": "Group"},
                "MultiAZ": "true",
            },
        },
        "Source": endpoint("source"),
        "Target": endpoint("target"),
        "Task": {
            "Type": "AWS::DMS::ReplicationTask",
            "Properties": {
                "ReplicationTaskIdentifier": "blue-to-green",
                "MigrationType": "full-load-and-cdc",
                "ReplicationInstanceArn": {"Ref": "Instance"},
                "SourceEndpointArn": {"Ref": "Source"},
                "TargetEndpointArn": {"Ref": "Target"},
                "TableMappings": MAPPINGS,
            },
        },
    }


def test_replication_task_from_template_to_lag(cloud: Cloud) -> None:
    dms, formation = cloud.client("dms"), cloud.client("cloudformation")
    task = deploy(cloud, "replication", replication_template(), {"Task": {"Ref": "Task"}})["Task"]
    by_arn = [{"Name": "replication-task-arn", "Values": [task]}]

    def shown() -> dict[str, Any]:
        return dms.describe_replication_tasks(Filters=by_arn)["ReplicationTasks"][0]

    def table() -> dict[str, Any]:
        return dms.describe_table_statistics(ReplicationTaskArn=task)["TableStatistics"][0]

    assert shown()["Status"] == "ready" and table()["TableState"] == "Before load"
    dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="start-replication")
    assert shown()["Status"] == "starting"
    eventually(lambda: shown()["Status"] == "running")
    assert table()["TableState"] == "Table completed" and shown()["ReplicationTaskStats"]["TablesErrored"] == 0
    dimensions = {"ReplicationInstanceIdentifier": "pay", "ReplicationTaskIdentifier": task.rpartition(":")[2]}

    def lag(name: str) -> float | None:
        now = int(time.time())
        statistics = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/DMS", MetricName=name, StartTime=now - 60, EndTime=now + 60, Period=60,
            Statistics=["Maximum"], Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        )["Datapoints"]
        return max((point["Maximum"] for point in statistics), default=None)

    eventually(lambda: lag("CDCLatencySource") == lag("CDCLatencyTarget") == 0.0)
    tables = [{"schema": "pay", "table": "payments", "state": "Table error"}]
    assert cloud.control("replication", task="blue-to-green", targetLatencySeconds=120, tables=tables)[0] == 200
    eventually(lambda: lag("CDCLatencyTarget") == 120.0)
    assert table()["TableState"] == "Table error" and shown()["ReplicationTaskStats"]["TablesErrored"] == 1
    with pytest.raises(dms.exceptions.InvalidResourceStateFault):
        dms.delete_replication_task(ReplicationTaskArn=task)
    cloud.control("replication", task=task, status="failed", failure="Last Error: duplicate key")
    assert shown()["Status"] == "failed" and "duplicate" in shown()["LastFailureMessage"]
    dms.start_replication_task(ReplicationTaskArn=task, StartReplicationTaskType="resume-processing")
    eventually(lambda: shown()["Status"] == "running")
    endpoints = dms.describe_endpoints()["Endpoints"]
    assert len(endpoints) == 2 and "never-shown-again" not in json.dumps(endpoints)
    assert dms.describe_replication_instances()["ReplicationInstances"][0]["MultiAZ"] is True
    formation.delete_stack(StackName="replication")
    eventually(lambda: not dms.describe_replication_tasks()["ReplicationTasks"])


def test_passwords_of_endpoints_are_not_kept() -> None:
    given = {"ServerName": "h", "Password": "secret", "MySQLSettings": {"Password": "secret", "Port": 3306}}
    assert store.kept(given) == {"ServerName": "h", "MySQLSettings": {"Port": 3306}}


def test_unknown_and_wrong_replication_is_refused(cloud: Cloud) -> None:
    dms = cloud.client("dms")
    with pytest.raises(dms.exceptions.ResourceNotFoundFault):
        dms.describe_replication_tasks(Filters=[{"Name": "replication-task-arn", "Values": ["arn:none"]}])
    with pytest.raises(dms.exceptions.ResourceNotFoundFault):
        dms.describe_table_statistics(ReplicationTaskArn="arn:none")
    with pytest.raises(dms.exceptions.ResourceNotFoundFault):
        dms.create_replication_task(
            ReplicationTaskIdentifier="t", SourceEndpointArn="a", TargetEndpointArn="b", ReplicationInstanceArn="c",
            MigrationType="cdc", TableMappings="{}",
        )
    with pytest.raises(ClientError, match="not emulated"):
        dms.describe_certificates()
    assert cloud.control("replication", task="none")[0] == 400


def test_calls_are_authorized_by_name(cloud: Cloud) -> None:
    cloud.role("unused")
    iam = cloud.client("iam")
    iam.create_user(UserName="validator")
    allowed = {"Effect": "Allow", "Action": "dms:DescribeReplicationTasks", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="validator", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="validator")["AccessKey"]
    dms = cloud.client("dms", key["AccessKeyId"], key["SecretAccessKey"])
    assert "ReplicationTasks" in dms.describe_replication_tasks()
    with pytest.raises(ClientError, match="AccessDenied"):
        dms.describe_endpoints()


def test_recovery_points_are_listed(cloud: Cloud) -> None:
    backup = cloud.client("backup")
    backup.create_backup_vault(BackupVaultName="vault")
    resource = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:blue"
    list_points = backup.list_recovery_points_by_backup_vault
    assert list_points(BackupVaultName="vault")["RecoveryPoints"] == []
    assert cloud.control("recovery-point", vault="vault", resource=resource, ageDays=3)[0] == 200
    job = backup.start_backup_job(BackupVaultName="vault", ResourceArn=resource, IamRoleArn=cloud.role("backup"))
    points = list_points(BackupVaultName="vault", ByResourceArn=resource)["RecoveryPoints"]
    assert [point["Status"] for point in points] == ["COMPLETED"] * 2 and points[0]["ResourceType"] == "Aurora"
    assert points[1]["RecoveryPointArn"] == job["RecoveryPointArn"]
    after = time.time() - 86_400
    recent = list_points(BackupVaultName="vault", ByCreatedAfter=after)["RecoveryPoints"]
    assert [point["RecoveryPointArn"] for point in recent] == [job["RecoveryPointArn"]]
    first = list_points(BackupVaultName="vault", MaxResults=1)
    rest = list_points(BackupVaultName="vault", MaxResults=1, NextToken=first["NextToken"])
    assert len(rest["RecoveryPoints"]) == 1 and "NextToken" not in rest
    with pytest.raises(backup.exceptions.ResourceNotFoundException):
        list_points(BackupVaultName="none")
    assert cloud.control("recovery-point", vault="none", resource=resource)[0] == 400


def test_tables_buckets_and_keys_show_what_they_have(cloud: Cloud) -> None:
    """As MiniStack has it: a change there would be seen here."""
    dynamodb, s3, kms = cloud.client("dynamodb"), cloud.client("s3"), cloud.client("kms")
    dynamodb.create_table(
        TableName="validated", KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    )

    def recovery() -> str:
        found = dynamodb.describe_continuous_backups(TableName="validated")["ContinuousBackupsDescription"]
        return found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]

    assert recovery() == "DISABLED"
    dynamodb.update_continuous_backups(
        TableName="validated", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    assert recovery() == "ENABLED"
    s3.create_bucket(Bucket="validated-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert "Status" not in s3.get_bucket_versioning(Bucket="validated-bucket")
    assert s3.get_bucket_encryption(Bucket="validated-bucket")["ServerSideEncryptionConfiguration"]["Rules"]
    blocked = s3.get_public_access_block(Bucket="validated-bucket")["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    s3.delete_public_access_block(Bucket="validated-bucket")
    with pytest.raises(ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket="validated-bucket")
    key = kms.create_key()["KeyMetadata"]
    assert key["Arn"].startswith(KEY) and kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["KeyState"] == "Enabled"
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key["KeyId"])
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is True
    kms.disable_key(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
