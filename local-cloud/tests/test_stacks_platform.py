"""The stacks below the functions, as they are deployed: keys and secrets, network, storage, databases, replication."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually

STACKS = Path(__file__).parents[2] / "infra" / "stacks"
ENVIRONMENT = "dev-payment-platform"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic-{ENVIRONMENT}"
BLUE_PORT = 13_306
Outputs = dict[str, str]


class Estate:
    """The stacks of one environment: what each gave, in the order in which they were made."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.formation = cloud.client("cloudformation")
        self.outputs: dict[str, Outputs] = {}
        self._parameters: dict[str, dict[str, str]] = {}

    def create(self, stack: str, file: str, **parameters: str) -> Outputs:
        """Make a stack of a template's file and wait for it."""
        self._parameters[stack] = {"EnvironmentName": ENVIRONMENT} | parameters
        self.formation.create_stack(
            StackName=stack,
            TemplateBody=(STACKS / file).read_text(),
            Parameters=self._given(stack),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        return self._done(stack, "CREATE_COMPLETE")

    def update(self, stack: str, file: str, **parameters: str) -> Outputs:
        """Update it, with the parameters that are not named here as they were."""
        self._parameters[stack] |= parameters
        self.formation.update_stack(
            StackName=stack,
            TemplateBody=(STACKS / file).read_text(),
            Parameters=self._given(stack),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        return self._done(stack, "UPDATE_COMPLETE")

    def refused(self, file: str, **parameters: str) -> str:
        """Why a stack with these parameters is not even begun."""
        given = {"EnvironmentName": ENVIRONMENT} | parameters
        with pytest.raises(ClientError) as refusal:
            self.formation.create_stack(
                StackName="platform-refused",
                TemplateBody=(STACKS / file).read_text(),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
        return str(refusal.value)

    def delete(self, stack: str) -> None:
        """Delete it and wait until it is gone."""
        self.formation.delete_stack(StackName=stack)

        def gone() -> bool:
            try:
                status = self.formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            except ClientError:
                return True
            assert status != "DELETE_FAILED", self._failures(stack)
            return status == "DELETE_COMPLETE"

        eventually(gone, 30)

    def _given(self, stack: str) -> list[dict[str, str]]:
        return [{"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters[stack].items()]

    def _failures(self, stack: str) -> list[str]:
        events = self.formation.describe_stack_events(StackName=stack)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def _done(self, stack: str, wanted: str) -> Outputs:
        def settled() -> Any:
            found = self.formation.describe_stacks(StackName=stack)["Stacks"][0]
            return None if found["StackStatus"].endswith("IN_PROGRESS") else found

        found = eventually(settled, 30)
        assert found["StackStatus"] == wanted, self._failures(stack)
        self.outputs[stack] = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        return self.outputs[stack]


def create_database(estate: Estate, color: str, **parameters: str) -> Outputs:
    """A color's database with the keys, secrets and subnets of the estate."""
    security, network = estate.outputs["platform-security"], estate.outputs["platform-network"]
    return estate.create(
        f"platform-{color}",
        "database.yaml",
        Color=color,
        MasterSecretArn=security[f"{color.capitalize()}MasterSecretArn"],
        DatabaseSubnetIds=network["DatabaseSubnetIds"],
        DatabaseSecurityGroupId=network["DatabaseSecurityGroupId"],
        DatabaseKeyArn=security["DatabaseKeyArn"],
        SecretsKeyArn=security["SecretsKeyArn"],
        DataKeyArn=security["DataKeyArn"],
        **parameters,
    )


@pytest.fixture(scope="module")
def estate(cloud: Cloud) -> Iterator[Estate]:
    """Everything but the replication: blue on MySQL where the lab runs it, green on PostgreSQL."""
    made = Estate(cloud)
    security = made.create("platform-security", "security.yaml", DatabaseTls="false")
    made.create("platform-network", "network.yaml", DataKeyArn=security["DataKeyArn"], HasReplication="true")
    made.create("platform-storage", "storage.yaml", DataKeyArn=security["DataKeyArn"])
    assert cloud.control("database", cluster=f"cluster-blue-{ENVIRONMENT}", host="127.0.0.1", port=BLUE_PORT)[0] == 200
    create_database(made, "blue", DatabaseTls="false")
    postgres = {"DatabaseEngine": "aurora-postgresql", "EngineVersion": "17.11"}
    create_database(made, "green", **postgres, FirstZone="2", ThirdZone="0")
    yield made
    for stack in reversed(made.outputs):
        made.delete(stack)
    nothing_is_left(cloud)


def nothing_is_left(cloud: Cloud) -> None:
    """No stack kept anything of what it made."""
    names = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    names += cloud.client("dynamodb").list_tables()["TableNames"]
    names += [one["DBClusterIdentifier"] for one in cloud.client("rds").describe_db_clusters()["DBClusters"]]
    names += [one["DBInstanceIdentifier"] for one in cloud.client("rds").describe_db_instances()["DBInstances"]]
    names += [role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]]
    names += [secret["Name"] for secret in cloud.client("secretsmanager").list_secrets()["SecretList"]]
    names += [alias["AliasName"] for alias in cloud.client("kms").list_aliases()["Aliases"]]
    names += [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]]
    names += [group["GroupName"] for group in cloud.client("ec2").describe_security_groups()["SecurityGroups"]]
    names += [alarm["AlarmName"] for alarm in cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    names += [one["EndpointIdentifier"] for one in cloud.client("dms").describe_endpoints()["Endpoints"]]
    assert [name for name in names if ENVIRONMENT in name] == []
    assert not cloud.client("ec2").describe_nat_gateways(
        Filter=[{"Name": "state", "Values": ["available", "pending"]}]
    )["NatGateways"]


def policy(cloud: Cloud, key_arn: str) -> dict[str, Any]:
    """A key's policy, by statement."""
    text = cloud.client("kms").get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"]
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}


def secret(cloud: Cloud, arn: str) -> Any:
    """A secret's present value."""
    text = cloud.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return json.loads(text) if text.startswith("{") else text


# -------------------------------------------------------------------- security


def test_each_kind_of_data_has_a_key_that_rotates(cloud: Cloud, estate: Estate) -> None:
    outputs = estate.outputs["platform-security"]
    kms = cloud.client("kms")
    keys = [outputs[f"{kind}KeyArn"] for kind in ("Data", "Secrets", "Database", "Backup")]
    assert len(set(keys)) == 4 and outputs["DataKeyArn"].endswith(outputs["DataKeyId"])
    assert all(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] for key in keys)
    # Only the data key is used by services in their own name.
    assert all(set(policy(cloud, key)) == {"AccountAdministers"} for key in keys[1:])
    log_groups = policy(cloud, keys[0])["LogGroups"]["Condition"]["ArnLike"]
    assert list(log_groups.values()) == [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*{ENVIRONMENT}*"]


def test_instances_change_who_may_use_the_data_key_and_no_secret(cloud: Cloud, estate: Estate) -> None:
    outputs = estate.outputs["platform-security"]
    before = secret(cloud, outputs["BlueMasterSecretArn"])
    assert not [sid for sid in policy(cloud, outputs["DataKeyArn"]) if sid.startswith("AutoScaling")]
    updated = estate.update("platform-security", "security.yaml", HasInstances="true")
    assert updated == outputs
    statements = policy(cloud, outputs["DataKeyArn"])
    for sid in ("AutoScalingStartsInstances", "AutoScalingAttachesVolumes"):
        condition = statements[sid]["Condition"]
        assert condition["StringEquals"] == {"kms:CallerAccount": ACCOUNT}
        assert condition["ArnEquals"]["aws:PrincipalArn"].endswith("/AWSServiceRoleForAutoScaling")
    assert statements["AutoScalingAttachesVolumes"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    assert secret(cloud, outputs["BlueMasterSecretArn"]) == before


def test_secrets_are_made_and_never_given(cloud: Cloud, estate: Estate) -> None:
    outputs = estate.outputs["platform-security"]
    masters = [secret(cloud, outputs[f"{color}MasterSecretArn"]) for color in ("Blue", "Green")]
    assert masters[0]["password"] != masters[1]["password"]
    assert all(len(master["password"]) == 32 and master["password"].isalnum() for master in masters)
    hash_key = secret(cloud, outputs["HashKeySecretArn"])
    assert len(hash_key) == 64 and int(hash_key, 16) >= 0 and hash_key == hash_key.lower()
    described = cloud.client("secretsmanager").describe_secret(SecretId=outputs["HashKeySecretArn"])
    assert outputs["SecretsKeyArn"].endswith(f":key/{described['KmsKeyId']}")


def test_a_name_that_an_engine_keeps_for_itself_is_refused(estate: Estate) -> None:
    assert "none of admin, postgres" in estate.refused("security.yaml", MasterUsername="admin")
    assert "none of admin, postgres" in estate.refused("security.yaml", MasterUsername="a" * 17)


# -------------------------------------------------------------------- network


def test_subnets_lie_in_three_zones_and_give_no_public_address(cloud: Cloud, estate: Estate) -> None:
    outputs, ec2 = estate.outputs["platform-network"], cloud.client("ec2")
    for kind in ("Public", "Private", "Database"):
        ids = outputs[f"{kind}SubnetIds"].split(",")
        found = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets(SubnetIds=ids)["Subnets"]}
        zones = [found[one]["AvailabilityZone"] for one in ids]
        assert zones == [f"{REGION}{zone}" for zone in "abc"], kind
        assert not any(subnet["MapPublicIpOnLaunch"] for subnet in found.values())
        assert all(subnet["CidrBlock"].endswith("/20") for subnet in found.values())


def default_route(cloud: Cloud, subnet: str) -> dict[str, str]:
    """Where a subnet's traffic to the internet goes."""
    by_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
    (table,) = cloud.client("ec2").describe_route_tables(Filters=by_subnet)["RouteTables"]
    return next((route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"), {})


def test_each_zone_has_its_way_out_and_databases_have_none(cloud: Cloud, estate: Estate) -> None:
    outputs = estate.outputs["platform-network"]
    private = [default_route(cloud, subnet)["NatGatewayId"] for subnet in outputs["PrivateSubnetIds"].split(",")]
    assert len(set(private)) == 3
    public = [default_route(cloud, subnet)["GatewayId"] for subnet in outputs["PublicSubnetIds"].split(",")]
    assert len(set(public)) == 1 and public[0].startswith("igw-")
    assert [default_route(cloud, subnet) for subnet in outputs["DatabaseSubnetIds"].split(",")] == [{}] * 3


def peers(cloud: Cloud, group: str, member: str = "IpPermissions") -> set[tuple[int | None, str]]:
    """Port and other side of each rule of a security group."""
    (found,) = cloud.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return {
        (rule.get("FromPort"), other)
        for rule in found[member]
        for other in [pair["GroupId"] for pair in rule["UserIdGroupPairs"]]
        + [block["CidrIp"] for block in rule["IpRanges"]]
        + [entry["PrefixListId"] for entry in rule.get("PrefixListIds", [])]
    }


def test_who_reaches_whom_with_functions_alone(cloud: Cloud, estate: Estate) -> None:
    outputs = estate.outputs["platform-network"]
    assert outputs["LoadBalancerSecurityGroupId"] == outputs["ComputeSecurityGroupId"] == ""
    function, database = outputs["FunctionSecurityGroupId"], outputs["DatabaseSecurityGroupId"]
    replication = outputs["ReplicationSecurityGroupId"]
    assert peers(cloud, database) == {(3306, function), (3306, replication)}
    # To its own loopback address, which is nowhere: with no rule at all everything would be allowed.
    assert peers(cloud, database, "IpPermissionsEgress") == {(None, "127.0.0.1/32")}
    assert peers(cloud, function) == set()
    reached = peers(cloud, function, "IpPermissionsEgress")
    assert "0.0.0.0/0" not in {other for _port, other in reached}
    assert {(3306, database), (443, "pl-63a5400a"), (443, "pl-02cd2c6b")} < reached and len(reached) == 5


def endpoints(cloud: Cloud, vpc: str) -> dict[str, dict[str, Any]]:
    """The endpoints of a VPC by service."""
    found = cloud.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    return {one["ServiceName"].partition(f"{REGION}.")[2]: one for one in found if one["VpcId"] == vpc}


def test_what_functions_call_has_an_endpoint(cloud: Cloud, estate: Estate) -> None:
    found = endpoints(cloud, estate.outputs["platform-network"]["VpcId"])
    gateways = {"dynamodb", "s3"}
    called = {"secretsmanager", "kms", "monitoring", "lambda", "rds", "backup", "dms"}
    assert set(found) == gateways | called
    assert {found[service]["VpcEndpointType"] for service in gateways} == {"Gateway"}
    assert all(found[service]["PrivateDnsEnabled"] and len(found[service]["SubnetIds"]) == 3 for service in called)
    statements = json.loads(found["s3"]["PolicyDocument"])["Statement"]
    answers = next(statement for statement in statements if statement["Sid"] == "AnswersOfCustomResources")
    assert answers["Resource"] == "arn:aws:s3:::cloudformation-custom-resource-response-eucentral1/*"
    # What a service is called in an action; another one than in its endpoint's name for CloudWatch.
    prefixes = {service: service for service in called} | {"monitoring": "cloudwatch"}
    for service in called:
        (statement,) = json.loads(found[service]["PolicyDocument"])["Statement"]
        assert statement["Action"] == f"{prefixes[service]}:*"
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


def test_a_load_balancer_opens_the_network_no_further_than_it_must(cloud: Cloud, estate: Estate) -> None:
    before = estate.outputs["platform-network"]
    outputs = estate.update("platform-network", "network.yaml", HasLoadBalancer="true", NatGatewayCount="1")
    balancer, compute = outputs["LoadBalancerSecurityGroupId"], outputs["ComputeSecurityGroupId"]
    kept = ("VpcId", "PrivateSubnetIds", "DatabaseSubnetIds", "DatabaseSecurityGroupId", "FunctionSecurityGroupId")
    assert [outputs[name] for name in kept] == [before[name] for name in kept]
    assert peers(cloud, balancer) == {(80, "0.0.0.0/0"), (443, "0.0.0.0/0")}
    assert peers(cloud, compute) == {(80, balancer), (8080, balancer)}
    assert (3306, compute) in peers(cloud, outputs["DatabaseSecurityGroupId"])
    # Packages over plain HTTP are for instances, which there are none of.
    assert (80, "0.0.0.0/0") not in peers(cloud, compute, "IpPermissionsEgress")
    routes = {default_route(cloud, subnet)["NatGatewayId"] for subnet in outputs["PrivateSubnetIds"].split(",")}
    assert len(routes) == 1
    found = endpoints(cloud, outputs["VpcId"])
    assert {"ecr.api", "ecr.dkr", "logs", "ssm", "ssmmessages", "elasticloadbalancing"} < set(found)
    assert len(found["kms"]["SubnetIds"]) == 1
    estate.update("platform-network", "network.yaml", HasInstances="true")
    assert (80, "0.0.0.0/0") in peers(cloud, compute, "IpPermissionsEgress")


def test_traffic_is_logged_and_the_log_encrypted(cloud: Cloud, estate: Estate) -> None:
    (flow,) = [
        one
        for one in cloud.client("ec2").describe_flow_logs()["FlowLogs"]
        if one["ResourceId"] == estate.outputs["platform-network"]["VpcId"]
    ]
    assert flow["TrafficType"] == "ALL"
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=flow["LogDestination"])["logGroups"]
    assert groups[0]["kmsKeyId"] == estate.outputs["platform-security"]["DataKeyArn"]
    assert groups[0]["retentionInDays"] == 365


def test_contradictions_of_the_network_are_refused(estate: Estate) -> None:
    key = estate.outputs["platform-security"]["DataKeyArn"]
    assert "as in 10.0.0.0/16" in estate.refused("network.yaml", DataKeyArn=key, VpcCidr="10.0.0.0/24")
    assert "same" in estate.refused("network.yaml", DataKeyArn=key, ApplicationPort="8080")
    assert "zone twice" in estate.refused("network.yaml", DataKeyArn=key, FirstZone="2")
    assert "HasReplication" in estate.refused("network.yaml", DataKeyArn=key, ExternalDatabaseCidr="192.168.1.0/24")


# -------------------------------------------------------------------- storage


def test_tables_are_encrypted_recoverable_and_indexed(cloud: Cloud, estate: Estate) -> None:
    outputs, dynamodb = estate.outputs["platform-storage"], cloud.client("dynamodb")
    for name in (outputs["SessionTableName"], outputs["StateTableName"]):
        table = dynamodb.describe_table(TableName=name)["Table"]
        assert table["SSEDescription"]["KMSMasterKeyArn"] == estate.outputs["platform-security"]["DataKeyArn"]
        assert "StreamSpecification" not in table and table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    sessions = dynamodb.describe_table(TableName=outputs["SessionTableName"])["Table"]
    indexes = {index["IndexName"]: index for index in sessions["GlobalSecondaryIndexes"]}
    assert set(indexes) == {"UserIdIndex", "LeaseIndex"}
    assert [key["AttributeName"] for key in indexes["LeaseIndex"]["KeySchema"]] == ["leaseShard", "leaseUntil"]
    assert indexes["LeaseIndex"]["Projection"]["ProjectionType"] == "KEYS_ONLY"


def test_transaction_logs_are_kept_as_told(cloud: Cloud, estate: Estate) -> None:
    outputs, s3 = estate.outputs["platform-storage"], cloud.client("s3")
    bucket = outputs["TransactionLogBucketName"]
    assert outputs["AccessLogBucketName"] == ""

    def first_rule() -> dict[str, Any]:
        return s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]

    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default["KMSMasterKeyID"] == estate.outputs["platform-security"]["DataKeyArn"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags["Environment"] == ENVIRONMENT and {"Project", "CostCenter", "MigrationPhase", "Name"} < set(tags)
    assert first_rule()["Expiration"]["Days"] == 90 and not first_rule().get("Transitions")
    assert first_rule()["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    estate.update("platform-storage", "storage.yaml", TransactionLogDays="365", HasLoadBalancer="true")
    assert first_rule()["Expiration"]["Days"] == 365
    assert first_rule()["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER_IR"}]


def test_load_balancers_deliver_their_logs_and_nobody_else(cloud: Cloud, estate: Estate) -> None:
    s3 = cloud.client("s3")
    if not estate.outputs["platform-storage"]["AccessLogBucketName"]:
        estate.update("platform-storage", "storage.yaml", HasLoadBalancer="true")
    bucket = estate.outputs["platform-storage"]["AccessLogBucketName"]
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    # A load balancer can't write to a bucket with a customer's key.
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    balancers = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/*"
    assert allowed["Condition"] == {"ArnLike": {"aws:SourceArn": balancers}}
    assert all(f"/AWSLogs/{ACCOUNT}/" in resource for resource in allowed["Resource"])


def test_logs_are_refused_under_another_key(cloud: Cloud, estate: Estate) -> None:
    bucket = estate.outputs["platform-storage"]["TransactionLogBucketName"]
    statements = json.loads(cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    denied = {statement["Sid"]: statement for statement in statements if statement["Effect"] == "Deny"}
    assert set(denied) == {"TlsOnly", "NoOtherKey"}
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    key = estate.outputs["platform-security"]["DataKeyArn"]
    assert denied["NoOtherKey"]["Condition"] == {"Null": {header: "false"}, "StringNotEquals": {header: key}}
    iam = cloud.client("iam")
    iam.create_user(UserName="platform-writer")
    anything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    iam.put_user_policy(UserName="platform-writer", PolicyName="p", PolicyDocument=document)
    access = iam.create_access_key(UserName="platform-writer")["AccessKey"]
    s3 = cloud.client("s3", access["AccessKeyId"], access["SecretAccessKey"])
    for given in ({}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}):
        stored = s3.put_object(Bucket=bucket, Key="transactions/kept", Body=b"{}", **given)
        assert stored["SSEKMSKeyId"] == key
    with pytest.raises(ClientError, match="AccessDenied"):
        other = estate.outputs["platform-security"]["BackupKeyArn"]
        s3.put_object(Bucket=bucket, Key="a", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=other)
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


# -------------------------------------------------------------------- database


def parameters_of(cloud: Cloud, color: str) -> tuple[str, dict[str, str]]:
    """Name and values of a cluster's and its writer's parameter groups together."""
    rds = cloud.client("rds")
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=f"cluster-{color}-{ENVIRONMENT}")["DBClusters"]
    instance = rds.describe_db_instances(DBInstanceIdentifier=f"instance-{color}-1-{ENVIRONMENT}")["DBInstances"][0]
    group = cluster["DBClusterParameterGroup"]
    found = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=group)["Parameters"]
    found += rds.describe_db_parameters(
        DBParameterGroupName=instance["DBParameterGroups"][0]["DBParameterGroupName"]
    )["Parameters"]
    return group, {one["ParameterName"]: one.get("ParameterValue", "") for one in found if one.get("Source") == "user"}


def test_a_mysql_database_is_what_a_validation_asks_for(cloud: Cloud, estate: Estate) -> None:
    rds = cloud.client("rds")
    outputs, security = estate.outputs["platform-blue"], estate.outputs["platform-security"]
    assert (outputs["Endpoint"], outputs["Port"]) == ("127.0.0.1", str(BLUE_PORT))
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=outputs["ClusterId"])["DBClusters"]
    assert cluster["StorageEncrypted"] and cluster["KmsKeyId"] == security["DatabaseKeyArn"]
    assert cluster["EngineVersion"].startswith("8.0.mysql_aurora.3.10.") and cluster["MultiAZ"]
    assert cluster["BackupRetentionPeriod"] == 7 and cluster["IAMDatabaseAuthenticationEnabled"]
    assert cluster["EnabledCloudwatchLogsExports"] == ["audit", "error", "slowquery"]
    group, values = parameters_of(cloud, "blue")
    assert group == f"cluster-parameters-blue-mysql-8-0-{ENVIRONMENT}"
    wanted = {
        "binlog_format": "ROW", "character_set_server": "utf8mb4", "collation_server": "utf8mb4_unicode_ci",
        "require_secure_transport": "OFF", "general_log": "0", "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
        "max_connections": "500",
    }
    assert {name: values.get(name) for name in wanted} == wanted
    for log in cluster["EnabledCloudwatchLogsExports"]:
        name = f"/aws/rds/cluster/{outputs['ClusterId']}/{log}"
        (log_group,) = cloud.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert log_group["kmsKeyId"] == security["DataKeyArn"] and log_group["retentionInDays"] == 365


def test_a_postgres_database_logs_no_statement_and_can_be_replicated(cloud: Cloud, estate: Estate) -> None:
    group, values = parameters_of(cloud, "green")
    assert group == f"cluster-parameters-green-postgresql-17-{ENVIRONMENT}"
    wanted = {
        "rds.logical_replication": "1", "rds.force_ssl": "1", "log_statement": "none",
        "shared_preload_libraries": "pg_stat_statements,pgaudit", "log_min_duration_statement": "1000",
        "pg_stat_statements.track": "all",
    }
    assert {name: values.get(name) for name in wanted} == wanted
    cluster_id = estate.outputs["platform-green"]["ClusterId"]
    (cluster,) = cloud.client("rds").describe_db_clusters(DBClusterIdentifier=cluster_id)["DBClusters"]
    assert cluster["EnabledCloudwatchLogsExports"] == ["postgresql"]
    writer = cloud.client("rds").describe_db_instances(DBInstanceIdentifier=f"instance-green-1-{ENVIRONMENT}")
    assert writer["DBInstances"][0]["AvailabilityZone"] == f"{REGION}c"
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/rds/cluster/{cluster_id}")["logGroups"]
    assert [one["logGroupName"] for one in found] == [f"/aws/rds/cluster/{cluster_id}/postgresql"]


def test_secrets_lead_to_the_colors_own_database(cloud: Cloud, estate: Estate) -> None:
    security, blue, green = (estate.outputs[f"platform-{name}"] for name in ("security", "blue", "green"))
    master = secret(cloud, security["BlueMasterSecretArn"])
    place = {"engine": "mysql", "host": "127.0.0.1", "port": BLUE_PORT, "dbname": "payments", "ssl": False}
    assert master.items() >= place.items() and master["username"] == "paymentsmaster"
    for name, user in (("AppSecretArn", "payments_app"), ("OperationsSecretArn", "payments_operations")):
        value = secret(cloud, blue[name])
        assert value.items() >= (place | {"username": user, "masterarn": security["BlueMasterSecretArn"]}).items()
        assert len(value["password"]) == 32 and not set("/@\"'\\") & set(value["password"])
    value = secret(cloud, green["AppSecretArn"])
    assert (value["engine"], value["host"], value["ssl"]) == ("postgres", green["Endpoint"], True)
    assert secret(cloud, security["GreenMasterSecretArn"])["host"] == green["Endpoint"]


def test_readers_come_and_go_and_no_password_changes(cloud: Cloud, estate: Estate) -> None:
    rds, outputs = cloud.client("rds"), estate.outputs["platform-blue"]
    of_cluster = [{"Name": "db-cluster-id", "Values": [outputs["ClusterId"]]}]

    def zones() -> list[str]:
        found = rds.describe_db_instances(Filters=of_cluster)["DBInstances"]
        assert not any(instance["PubliclyAccessible"] for instance in found)
        return sorted(instance["AvailabilityZone"] for instance in found)

    before = secret(cloud, outputs["AppSecretArn"])
    assert zones() == [f"{REGION}a", f"{REGION}b"]
    updated = estate.update("platform-blue", "database.yaml", ReaderCount="2", MaxConnections="800")
    assert zones() == [f"{REGION}a", f"{REGION}b", f"{REGION}c"]
    assert parameters_of(cloud, "blue")[1]["max_connections"] == "800"
    assert updated == outputs and secret(cloud, outputs["AppSecretArn"]) == before
    estate.update("platform-blue", "database.yaml", ReaderCount="0")
    assert zones() == [f"{REGION}a"]


def test_a_version_of_no_engine_is_refused(estate: Estate) -> None:
    reason = estate.refused("database.yaml", Color="blue", EngineVersion="5.7.mysql_aurora.2.11.1")
    assert "must be such as 8.0.mysql_aurora" in reason or "Parameters" in reason


# -------------------------------------------------------------------- replication


@pytest.fixture(scope="module")
def replication(estate: Estate) -> Outputs:
    """The replication between both databases, as if both were MySQL: the emulator replicates nothing."""
    security, network = estate.outputs["platform-security"], estate.outputs["platform-network"]
    blue, green = estate.outputs["platform-blue"], estate.outputs["platform-green"]
    return estate.create(
        "platform-replication",
        "replication.yaml",
        DatabaseSubnetIds=network["DatabaseSubnetIds"],
        ReplicationSecurityGroupId=network["ReplicationSecurityGroupId"],
        DataKeyArn=security["DataKeyArn"],
        SecretsKeyArn=security["SecretsKeyArn"],
        BlueEndpoint=blue["Endpoint"],
        BluePort=blue["Port"],
        BlueMasterSecretArn=security["BlueMasterSecretArn"],
        GreenEndpoint=green["Endpoint"],
        GreenPort=green["Port"],
        GreenMasterSecretArn=security["GreenMasterSecretArn"],
        TopicArn=TOPIC,
        CreateServiceRoles="true",
    )


def tasks(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The environment's tasks by direction."""
    found = cloud.client("dms").describe_replication_tasks()["ReplicationTasks"]
    ending = f"-{ENVIRONMENT}"
    return {
        name.removeprefix("task-").removesuffix(ending): task
        for task in found
        if (name := task["ReplicationTaskIdentifier"]).endswith(ending)
    }


def test_tasks_bring_the_ledger_both_ways_without_an_echo(cloud: Cloud, replication: Outputs) -> None:
    found = tasks(cloud)
    assert {name: task["MigrationType"] for name, task in found.items()} == {
        "blue-to-green": "full-load-and-cdc",
        "green-to-blue": "cdc",
    }
    assert found["blue-to-green"]["ReplicationTaskArn"] == replication["BlueToGreenTaskArn"]
    assert found["green-to-blue"]["ReplicationTaskArn"] == replication["GreenToBlueTaskArn"]
    for task in found.values():
        assert task["Status"] == "ready"
        (rule,) = json.loads(task["TableMappings"])["rules"]
        assert rule["object-locator"] == {"schema-name": "payments", "table-name": "payments"}
        settings = json.loads(task["ReplicationTaskSettings"])
        assert settings["LoopbackPreventionSettings"]["EnableLoopbackPrevention"] is True
        # Loopback prevention can't be had with batches.
        assert settings["TargetMetadata"]["BatchApplyEnabled"] is False
        assert settings["TargetMetadata"]["TaskRecoveryTableEnabled"] is True
        assert not any(settings["ChangeProcessingDdlHandlingPolicy"].values())
        assert "DEBUG" not in task["ReplicationTaskSettings"]
    loops = [json.loads(task["ReplicationTaskSettings"])["LoopbackPreventionSettings"] for task in found.values()]
    assert loops[0]["SourceSchema"] == loops[1]["TargetSchema"] and loops[1]["SourceSchema"] == loops[0]["TargetSchema"]


def test_endpoints_log_in_by_secret_and_over_verified_tls(cloud: Cloud, estate: Estate, replication: Outputs) -> None:
    found = {
        one["EndpointIdentifier"].removesuffix(f"-{ENVIRONMENT}"): one
        for one in cloud.client("dms").describe_endpoints()["Endpoints"]
        if one["EndpointIdentifier"].endswith(ENVIRONMENT)
    }
    assert set(found) == {f"endpoint-{kind}-{color}" for kind in ("source", "target") for color in ("blue", "green")}
    for name, endpoint in found.items():
        color = name.rpartition("-")[2].capitalize()
        assert endpoint["SslMode"] == "verify-full" and ":cert:" in endpoint["CertificateArn"]
        settings = endpoint["MySQLSettings"]
        assert ("binlog retention hours" in settings["AfterConnectScript"]) == (endpoint["EndpointType"] == "source")
        assert settings["SecretsManagerSecretId"] == estate.outputs["platform-security"][f"{color}MasterSecretArn"]
        assert settings["SecretsManagerAccessRoleArn"].endswith(f":role/role-replication-secrets-{ENVIRONMENT}")
    role = cloud.client("iam").get_role(RoleName=f"role-replication-secrets-{ENVIRONMENT}")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": f"dms.{REGION}.amazonaws.com"}


def test_postgres_is_replicated_out_of_its_own_schema(cloud: Cloud, estate: Estate, replication: Outputs) -> None:
    try:
        estate.update("platform-replication", "replication.yaml", DatabaseEngine="aurora-postgresql")
        for task in tasks(cloud).values():
            (rule,) = json.loads(task["TableMappings"])["rules"]
            assert rule["object-locator"] == {"schema-name": "public", "table-name": "payments"}
        for endpoint in cloud.client("dms").describe_endpoints()["Endpoints"]:
            if endpoint["EndpointIdentifier"].endswith(ENVIRONMENT):
                assert (endpoint["EngineName"], endpoint["DatabaseName"]) == ("aurora-postgresql", "payments")
                assert endpoint["PostgreSQLSettings"]["SecretsManagerAccessRoleArn"]
                # What DMS keeps for itself lies where no comparison of the ledgers looks.
                script = endpoint["PostgreSQLSettings"]["AfterConnectScript"]
                assert script == "CREATE SCHEMA IF NOT EXISTS awsdms_control"
    finally:
        estate.update("platform-replication", "replication.yaml", DatabaseEngine="aurora-mysql")


def test_an_outside_database_is_read_over_tls_into_blue(cloud: Cloud, estate: Estate, replication: Outputs) -> None:
    assert replication["ExternalToBlueTaskArn"] == ""
    outside = cloud.client("secretsmanager").create_secret(Name="platform-outside", SecretString="{}")["ARN"]
    certificate = f"arn:aws:dms:{REGION}:{ACCOUNT}:cert:OUTSIDE"
    mappings = json.dumps({"rules": []})
    try:
        outputs = estate.update(
            "platform-replication",
            "replication.yaml",
            ExternalSecretArn=outside,
            ExternalCertificateArn=certificate,
            ExternalTableMappings=mappings,
        )
        task = tasks(cloud)["external-to-blue"]
        assert task["ReplicationTaskArn"] == outputs["ExternalToBlueTaskArn"]
        assert task["TableMappings"] == mappings and "LoopbackPrevention" not in task["ReplicationTaskSettings"]
        assert task["TargetEndpointArn"] == tasks(cloud)["green-to-blue"]["TargetEndpointArn"]
        by_arn = [{"Name": "endpoint-arn", "Values": [task["SourceEndpointArn"]]}]
        (endpoint,) = cloud.client("dms").describe_endpoints(Filters=by_arn)["Endpoints"]
        assert (endpoint["SslMode"], endpoint["CertificateArn"]) == ("verify-full", certificate)
        assert endpoint["MySQLSettings"]["SecretsManagerSecretId"] == outside
        iam, arn = cloud.client("iam"), f"arn:aws:iam::{ACCOUNT}:policy/policy-replication-secrets-{ENVIRONMENT}"
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        assert outside in document["Statement"][0]["Resource"]
    finally:
        estate.update("platform-replication", "replication.yaml", ExternalSecretArn="")
        cloud.client("secretsmanager").delete_secret(SecretId=outside, ForceDeleteWithoutRecovery=True)
    assert "external-to-blue" not in tasks(cloud)


def lag_alarms(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The lag alarms by what and direction."""
    found = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="alarm-replication-")["MetricAlarms"]
    return {
        alarm["AlarmName"].removeprefix("alarm-replication-").removesuffix(f"-{ENVIRONMENT}"): alarm
        for alarm in found
        if "-lag-" in alarm["AlarmName"]
    }


def test_alarms_look_at_what_running_tasks_publish(cloud: Cloud, estate: Estate, replication: Outputs) -> None:
    alarms, dms = lag_alarms(cloud), cloud.client("dms")
    directions = {"blue-to-green": "BlueToGreenTaskArn", "green-to-blue": "GreenToBlueTaskArn"}
    assert set(alarms) == {f"{side}-lag-{one}" for side in ("source", "target") for one in directions}
    assert all(alarm["TreatMissingData"] == "breaching" for alarm in alarms.values())
    assert all(alarm["AlarmActions"] == [TOPIC] and alarm["Threshold"] == 30 for alarm in alarms.values())
    for arn in (replication["BlueToGreenTaskArn"], replication["GreenToBlueTaskArn"]):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    eventually(lambda: all(task["Status"] == "running" for task in tasks(cloud).values()))
    assert cloud.control("replication", task=replication["GreenToBlueTaskArn"], targetLatencySeconds=77)[0] == 200

    def highest(alarm: dict[str, Any]) -> float | None:
        now = int(time.time())
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=alarm["Dimensions"],
            StartTime=now - 60, EndTime=now + 60, Period=60, Statistics=["Maximum"],
        )["Datapoints"]
        return max((point["Maximum"] for point in points), default=None)

    eventually(lambda: highest(alarms["target-lag-green-to-blue"]) == 77.0)
    eventually(lambda: highest(alarms["source-lag-blue-to-green"]) == 0.0)
    # Running tasks can't be changed: what an operator changes while they run must not touch them.
    estate.update("platform-replication", "replication.yaml", MaxLagSeconds="60", InstanceClass="dms.r6i.xlarge")
    assert all(alarm["Threshold"] == 60 for alarm in lag_alarms(cloud).values())
    assert {task["Status"] for task in tasks(cloud).values()} == {"running"}


def test_a_source_outside_needs_a_certificate_and_mappings(estate: Estate) -> None:
    master = estate.outputs["platform-security"]["BlueMasterSecretArn"]
    key = estate.outputs["platform-security"]["DataKeyArn"]
    reason = estate.refused(
        "replication.yaml",
        DatabaseSubnetIds="subnet-a,subnet-b", ReplicationSecurityGroupId="sg-1", DataKeyArn=key, SecretsKeyArn=key,
        BlueEndpoint="b", BluePort="3306", BlueMasterSecretArn=master, GreenEndpoint="g", GreenPort="3306",
        GreenMasterSecretArn=master, TopicArn=TOPIC, ExternalSecretArn=master,
    )
    assert "ExternalCertificateArn" in reason
