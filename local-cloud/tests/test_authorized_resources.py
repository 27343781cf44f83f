"""Policies on one resource: what a role with the least privilege may do here is what it may do on AWS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud

RDS = f"arn:aws:rds:{REGION}:{ACCOUNT}"
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:scoped"
# Call -> action, resource that allows it, resource that does not. Names in braces are made by `made`.
CALLS: dict[str, tuple[str, str, str]] = {
    "ModifyListener": ("elasticloadbalancing:ModifyListener", "{listener}", "{group}"),
    "ModifyRule": ("elasticloadbalancing:ModifyRule", "{rule}", "{listener}"),
    "DescribeTargetHealth": ("elasticloadbalancing:DescribeTargetHealth", "*", "{group}"),
    "ChangeResourceRecordSets": (
        "route53:ChangeResourceRecordSets",
        "arn:aws:route53:::hostedzone/{zone}",
        "arn:aws:route53:::hostedzone/Z0",
    ),
    "GetChange": ("route53:GetChange", "arn:aws:route53:::change/*", "arn:aws:route53:::hostedzone/*"),
    "GetHealthCheckStatus": (
        "route53:GetHealthCheckStatus",
        "arn:aws:route53:::healthcheck/{check}",
        "arn:aws:route53:::healthcheck/x",
    ),
    "UpdateStage": (
        "apigateway:PATCH",
        f"arn:aws:apigateway:{REGION}::/restapis/{{api}}/stages/prod",
        f"arn:aws:apigateway:{REGION}::/restapis/{{api}}/stages/other",
    ),
    "GetFunctionConfiguration": ("lambda:GetFunctionConfiguration", f"{LAMBDA}:*", LAMBDA),
    "Invoke": ("lambda:InvokeFunction", f"{LAMBDA}:1", f"{LAMBDA}:2"),
    "SetAlarmState": (
        "cloudwatch:SetAlarmState",
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:scoped",
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:other",
    ),
    "DescribeDBClusters": ("rds:DescribeDBClusters", f"{RDS}:cluster:scoped", f"{RDS}:cluster:other"),
    "DescribeDBInstances": ("rds:DescribeDBInstances", f"{RDS}:db:*", f"{RDS}:cluster:*"),
    "DescribeDBClusterParameters": (
        "rds:DescribeDBClusterParameters",
        f"{RDS}:cluster-pg:scoped",
        f"{RDS}:cluster-pg:other",
    ),
    "ListRecoveryPoints": (
        "backup:ListRecoveryPointsByBackupVault",
        f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:scoped",
        f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:other",
    ),
    "CancelRotateSecret": ("secretsmanager:CancelRotateSecret", "{secret}", "{group}"),
}
_users = itertools.count()


@pytest.fixture(scope="module")
def made(cloud: Cloud) -> dict[str, str]:
    """One of each resource."""
    elb, route53, rds = cloud.client("elbv2"), cloud.client("route53"), cloud.client("rds")
    group = elb.create_target_group(Name="scoped", Protocol="HTTP", Port=80, TargetType="ip")["TargetGroups"][0]
    forward = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    balancer = elb.create_load_balancer(Name="scoped")["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.create_listener(LoadBalancerArn=balancer, Port=80, Protocol="HTTP", DefaultActions=forward)
    listener_arn = listener["Listeners"][0]["ListenerArn"]
    condition = [{"Field": "path-pattern", "Values": ["/a"]}]
    rule = elb.create_rule(ListenerArn=listener_arn, Priority=1, Conditions=condition, Actions=forward)["Rules"][0]
    zone = route53.create_hosted_zone(Name="scoped.test", CallerReference="scoped")["HostedZone"]["Id"].split("/")[2]
    check = route53.create_health_check(
        CallerReference="scoped", HealthCheckConfig={"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 1}
    )["HealthCheck"]["Id"]
    cloud.colors("scoped")
    api = cloud.rest_api(LAMBDA).split("/")[5]
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="scoped", Namespace="N", MetricName="M", Period=60, Statistic="Sum", Threshold=1,
        EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold",
    )
    rds.create_db_cluster(
        DBClusterIdentifier="scoped", Engine="aurora-mysql", MasterUsername="root", MasterUserPassword="only-here-12345"
    )
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="scoped", DBParameterGroupFamily="aurora-mysql8.0", Description="d"
    )
    cloud.client("backup").create_backup_vault(BackupVaultName="scoped")
    secret = cloud.client("secretsmanager").create_secret(Name="scoped", SecretString="x")["ARN"]
    return {
        "group": group["TargetGroupArn"],
        "listener": listener_arn,
        "rule": rule["RuleArn"],
        "zone": zone,
        "check": check,
        "api": api,
        "secret": secret,
        "change": upsert(route53, zone),
    }


def upsert(route53: Any, zone: str) -> str:
    """ChangeResourceRecordSets; answers the change's id."""
    record = {"Name": "a.scoped.test", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "127.0.0.1"}]}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]["Id"].split("/")[2]


def performed(name: str, made: dict[str, str], client: Callable[[str], Any]) -> Any:
    """Make the call as the user."""
    forward = [{"Type": "forward", "TargetGroupArn": made["group"]}]
    stage = [{"op": "replace", "path": "/variables/a", "value": "1"}]
    calls: dict[str, Callable[[], Any]] = {
        "ModifyListener": lambda: client("elbv2").modify_listener(ListenerArn=made["listener"], DefaultActions=forward),
        "ModifyRule": lambda: client("elbv2").modify_rule(RuleArn=made["rule"], Actions=forward),
        "DescribeTargetHealth": lambda: client("elbv2").describe_target_health(TargetGroupArn=made["group"]),
        "ChangeResourceRecordSets": lambda: upsert(client("route53"), made["zone"]),
        "GetChange": lambda: client("route53").get_change(Id=made["change"]),
        "GetHealthCheckStatus": lambda: client("route53").get_health_check_status(HealthCheckId=made["check"]),
        "UpdateStage": lambda: client("apigateway").update_stage(
            restApiId=made["api"], stageName="prod", patchOperations=stage
        ),
        "GetFunctionConfiguration": lambda: client("lambda").get_function_configuration(
            FunctionName="scoped", Qualifier="1"
        ),
        "Invoke": lambda: client("lambda").invoke(FunctionName="scoped", Qualifier="1"),
        "SetAlarmState": lambda: client("cloudwatch").set_alarm_state(
            AlarmName="scoped", StateValue="OK", StateReason="r"
        ),
        "DescribeDBClusters": lambda: client("rds").describe_db_clusters(DBClusterIdentifier="scoped"),
        "DescribeDBInstances": lambda: client("rds").describe_db_instances(),
        "DescribeDBClusterParameters": lambda: client("rds").describe_db_cluster_parameters(
            DBClusterParameterGroupName="scoped"
        ),
        "ListRecoveryPoints": lambda: client("backup").list_recovery_points_by_backup_vault(BackupVaultName="scoped"),
        "CancelRotateSecret": lambda: client("secretsmanager").cancel_rotate_secret(SecretId="scoped"),
    }
    return calls[name]()


@pytest.mark.parametrize("name", CALLS)
def test_call_is_authorized_on_its_resource(cloud: Cloud, made: dict[str, str], name: str) -> None:
    action, right, wrong = CALLS[name]
    iam = cloud.client("iam")
    for resource, allowed in ((right, True), (wrong, False)):
        user = f"scoped-{next(_users)}"
        statement = {"Effect": "Allow", "Action": action, "Resource": resource.format(**made)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]

        def client(service: str, key: dict[str, str] = key) -> Any:
            return cloud.client(service, key["AccessKeyId"], key["SecretAccessKey"])

        if allowed:
            performed(name, made, client)
        else:
            with pytest.raises(ClientError, match="AccessDenied|not authorized"):
                performed(name, made, client)
