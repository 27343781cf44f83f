"""Types that the templates need and MiniStack lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, Cloud, eventually

STACK = "declared-types"


def typed(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource of a template."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str, attribute: str = "") -> dict[str, Any]:
    """Ref or Fn::GetAtt."""
    return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}


def resources(port: int) -> dict[str, Any]:
    """One of each type."""
    rule = {"IpProtocol": "tcp", "FromPort": str(port), "ToPort": str(port)}
    check = {"Type": "HTTP", "IPAddress": "127.0.0.1", "Port": str(port), "RequestInterval": "10", "Disabled": "true"}
    backup_rule = {"RuleName": "daily", "TargetBackupVault": ref("Vault")}
    return {
        "Vpc": typed("EC2::VPC", CidrBlock="10.0.0.0/16"),
        "Subnet": typed("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.1.0/24"),
        "Address": typed("EC2::EIP", Domain="vpc"),
        "Nat": typed("EC2::NatGateway", SubnetId=ref("Subnet"), AllocationId=ref("Address", "AllocationId")),
        "Group": typed("EC2::SecurityGroup", GroupDescription="database", VpcId=ref("Vpc")),
        "Clients": typed("EC2::SecurityGroup", GroupDescription="functions", VpcId=ref("Vpc")),
        "In": typed("EC2::SecurityGroupIngress", GroupId=ref("Group"), SourceSecurityGroupId=ref("Clients"), **rule),
        "Out": typed(
            "EC2::SecurityGroupEgress", GroupId=ref("Clients"), DestinationSecurityGroupId=ref("Group"), **rule
        ),
        "Flow": typed("EC2::FlowLog", ResourceId=ref("Vpc"), ResourceType="VPC", TrafficType="ALL", LogGroupName="f"),
        "Zone": typed("Route53::HostedZone", Name="declared.test"),
        "Check": typed("Route53::HealthCheck", HealthCheckConfig=check),
        "Records": typed(
            "Route53::RecordSetGroup",
            HostedZoneId=ref("Zone"),
            RecordSets=[{"Name": "a.declared.test", "Type": "A", "TTL": "60", "ResourceRecords": ["127.0.0.1"]}],
        ),
        "Vault": typed("Backup::BackupVault", BackupVaultName="declared"),
        "Plan": typed("Backup::BackupPlan", BackupPlan={"BackupPlanName": "p", "BackupPlanRule": [backup_rule]}),
        "Selection": typed(
            "Backup::BackupSelection",
            BackupPlanId=ref("Plan"),
            BackupSelection={"SelectionName": "s", "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/b", "Resources": ["*"]},
        ),
        "Scaled": typed(
            "ApplicationAutoScaling::ScalableTarget",
            ResourceId="service/c/s",
            ScalableDimension="ecs:service:DesiredCount",
            ServiceNamespace="ecs",
            MinCapacity=1,
            MaxCapacity=2,
        ),
    }


def settle(cloud: Cloud) -> str:
    """Wait for the stack; its status."""

    def look() -> str | None:
        status = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else status

    return eventually(look, 20)


def why(cloud: Cloud) -> list[Any]:
    """Reasons of what failed."""
    events = cloud.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    return [(event["LogicalResourceId"], event.get("ResourceStatusReason")) for event in events]


def test_types_are_made_changed_and_deleted(cloud: Cloud) -> None:
    formation, ec2, route53 = (cloud.client(name) for name in ("cloudformation", "ec2", "route53"))
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources(3306)}))
    assert settle(cloud) == "CREATE_COMPLETE", why(cloud)
    listed = formation.describe_stack_resources(StackName=STACK)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}
    gateway = ec2.describe_nat_gateways(NatGatewayIds=[ids["Nat"]])["NatGateways"][0]
    assert gateway["State"] == "available" and gateway["SubnetId"] == ids["Subnet"]

    def ports() -> list[int]:
        group = ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"][0]
        return [rule["FromPort"] for rule in group["IpPermissions"]]

    assert ports() == [3306]
    assert ec2.describe_flow_logs(FlowLogIds=[ids["Flow"]])["FlowLogs"][0]["FlowLogStatus"] == "ACTIVE"
    assert route53.get_health_check(HealthCheckId=ids["Check"])["HealthCheck"]["HealthCheckConfig"]["Port"] == 3306
    selections = cloud.client("backup").list_backup_selections(BackupPlanId=ids["Plan"])["BackupSelectionsList"]
    assert [selection["SelectionName"] for selection in selections] == ["s"]
    recorded = [entry["type"] for entry in cloud.control("recorded")[1]["recorded"] if entry["stack"] == STACK]
    assert recorded == ["AWS::ApplicationAutoScaling::ScalableTarget"]
    formation.update_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources(5432)}))
    assert settle(cloud) == "UPDATE_COMPLETE", why(cloud)
    assert ports() == [5432]
    config = route53.get_health_check(HealthCheckId=ids["Check"])["HealthCheck"]["HealthCheckConfig"]
    assert config["Port"] == 5432 and config["Disabled"] is True
    formation.delete_stack(StackName=STACK)
    with pytest.raises(ClientError, match="does not exist"):
        settle(cloud)
        settle(cloud)
    assert not ec2.describe_addresses()["Addresses"]
    assert cloud.control("recorded")[1]["recorded"] == []


def test_unknown_types_are_refused(cloud: Cloud) -> None:
    formation = cloud.client("cloudformation")
    body = json.dumps({"Resources": {"Thing": typed("GuardDuty::Detector", Enable=True)}})
    try:
        formation.create_stack(StackName="unknown-type", TemplateBody=body)
    except ClientError:
        return
    eventually(
        lambda: "ROLLBACK" in formation.describe_stacks(StackName="unknown-type")["Stacks"][0]["StackStatus"]
    )
