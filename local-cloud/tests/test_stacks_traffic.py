"""The stacks that take traffic: load balancers, tasks, instances, names, CDN."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually
from origins import get, origins

STACKS = Path(__file__).parents[2] / "infra/stacks"
ENVIRONMENT = "dev-payment-traffic1"
COMMON = {"EnvironmentName": ENVIRONMENT, "CostCenter": "4711"}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/11111111-2222-3333-4444-555555555555"
SUBNETS = "subnet-0a,subnet-0b,subnet-0c"
BALANCER = {
    "VpcId": "vpc-0a",
    "PublicSubnetIds": SUBNETS,
    "LoadBalancerSecurityGroupId": "sg-0a",
    "AccessLogBucketName": f"access-logs-{ENVIRONMENT}-{ACCOUNT}",
    "CertificateArn": CERTIFICATE,
}
APPLICATION = {
    "Color": "green",
    "PrivateSubnetIds": SUBNETS,
    "ComputeSecurityGroupId": "sg-0b",
    "AppSecretArn": SECRET + "secret-app-green",
    "HashKeySecretArn": SECRET + "secret-hash-key",
    "SessionTableName": "sessions",
    "SessionTableArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/sessions",
    "TransactionLogBucketName": "transaction-logs",
    "TransactionLogBucketArn": "arn:aws:s3:::transaction-logs",
    "DataKeyArn": KEY,
    "SecretsKeyArn": KEY,
}
Outputs = dict[str, str]


class Stack:
    """A stack of one of the templates."""

    def __init__(self, cloud: Cloud, name: str, template: str) -> None:
        self.formation = cloud.client("cloudformation")
        self.name = name
        self.body = (STACKS / f"{template}.yaml").read_text()

    def _given(self, parameters: dict[str, Any]) -> dict[str, Any]:
        given = [
            {"ParameterKey": key, "ParameterValue": str(value)} for key, value in (COMMON | parameters).items()
        ]
        return {
            "StackName": self.name,
            "TemplateBody": self.body,
            "Parameters": given,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }

    def _settled(self, wanted: str) -> Outputs:
        def look() -> dict[str, Any] | None:
            stack = self.formation.describe_stacks(StackName=self.name)["Stacks"][0]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        stack = eventually(look, 20)
        events = self.formation.describe_stack_events(StackName=self.name)["StackEvents"]
        why = [event.get("ResourceStatusReason") for event in events if "FAILED" in event["ResourceStatus"]]
        assert stack["StackStatus"] == wanted, why
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def create(self, **parameters: Any) -> Outputs:
        """Its outputs."""
        self.formation.create_stack(**self._given(parameters))
        return self._settled("CREATE_COMPLETE")

    def update(self, **parameters: Any) -> Outputs:
        """Its outputs."""
        self.formation.update_stack(**self._given(parameters))
        return self._settled("UPDATE_COMPLETE")

    def fails(self, **parameters: Any) -> str:
        """Why it cannot be made; it is gone afterwards."""
        self.formation.create_stack(**self._given(parameters))
        self._settled("ROLLBACK_COMPLETE")
        events = self.formation.describe_stack_events(StackName=self.name)["StackEvents"]
        self.delete()
        return " ".join(event.get("ResourceStatusReason", "") for event in events)

    def ids(self) -> dict[str, str]:
        """Physical ids by logical ids."""
        listed = self.formation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}

    def delete(self) -> None:
        """Until it is gone."""
        self.formation.delete_stack(StackName=self.name)

        def is_gone() -> bool:
            try:
                stack = self.formation.describe_stacks(StackName=self.name)["Stacks"][0]
            except ClientError:
                return True
            assert stack["StackStatus"] != "DELETE_FAILED", stack
            return bool(stack["StackStatus"] == "DELETE_COMPLETE")

        eventually(is_gone, 20)


@pytest.fixture(scope="module")
def balancer(cloud: Cloud) -> Iterator[Outputs]:
    """Outputs of one load balancer for both colors."""
    stack = Stack(cloud, "traffic-balancer", "loadbalancer")
    yield stack.create(**BALANCER)
    stack.delete()
    assert not [
        group
        for group in cloud.client("elbv2").describe_target_groups()["TargetGroups"]
        if group["TargetGroupName"].endswith(ENVIRONMENT)
    ]


def url(path: str, name: str = f"alb-{ENVIRONMENT}:443") -> Any:
    """A path at a load balancer."""
    return f"/_alb/{name}{path}"


def test_nothing_is_forwarded_before_the_switch_has_its_rule(cloud: Cloud, balancer: Outputs) -> None:
    elb = cloud.client("elbv2")
    with origins("blue") as (blue,):
        target = {"Id": "127.0.0.1", "Port": blue.port}
        elb.register_targets(TargetGroupArn=balancer["BlueTargetGroupArn"], Targets=[target])
        for path in ("/payment", "/webhooks/1", "/health"):
            assert get(cloud.endpoint + url(path))[0] == 503, path
        assert '"code":"no_environment"' in get(cloud.endpoint + url("/payment"))[1]
        rule = elb.create_rule(
            ListenerArn=balancer["ListenerArn"],
            Priority=100,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": balancer["BlueTargetGroupArn"]}],
        )["Rules"][0]["RuleArn"]
        assert get(cloud.endpoint + url("/payment"))[:2] == (200, "blue /payment")
        elb.delete_rule(RuleArn=rule)
        elb.deregister_targets(TargetGroupArn=balancer["BlueTargetGroupArn"], Targets=[target])
    assert get(cloud.endpoint + url("/payment"))[0] == 503


def test_listeners_and_groups_are_as_required(cloud: Cloud, balancer: Outputs) -> None:
    elb = cloud.client("elbv2")
    assert balancer["BlueLoadBalancerFullName"] == balancer["GreenLoadBalancerFullName"]
    groups = [balancer[f"{color}TargetGroupArn"] for color in ("Blue", "Green", "BlueWebhook", "GreenWebhook")]
    described = elb.describe_target_groups(TargetGroupArns=groups)["TargetGroups"]
    assert {group["HealthCheckPath"] for group in described} == {"/health/deep", "/health"}
    assert {
        (
            group["HealthCheckIntervalSeconds"],
            group["HealthCheckTimeoutSeconds"],
            group["HealthyThresholdCount"],
            group["UnhealthyThresholdCount"],
        )
        for group in described
    } == {(30, 10, 2, 3)}
    listed = elb.describe_tags(ResourceArns=[balancer["ListenerArn"]])["TagDescriptions"][0]["Tags"]
    assert {"Key": "Environment", "Value": ENVIRONMENT} in listed
    # Named by a rule that no request meets: else ECS and scaling on requests refuse them.
    assert all(group["LoadBalancerArns"] for group in described)
    assert sorted(group["Port"] for group in described) == [80, 80, 8080, 8080]
    arn = described[0]["LoadBalancerArns"][0]
    listed = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    attributes = {attribute["Key"]: attribute["Value"] for attribute in listed}
    assert attributes["access_logs.s3.enabled"] == "true" and attributes["idle_timeout.timeout_seconds"] == "60"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    plain, tls = sorted(elb.describe_listeners(LoadBalancerArn=arn)["Listeners"], key=lambda one: one["Port"])
    assert plain["DefaultActions"][0]["RedirectConfig"]["StatusCode"] == "HTTP_301"
    assert tls["Protocol"] == "HTTPS" and tls["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    (tags,) = elb.describe_tags(ResourceArns=[groups[1]])["TagDescriptions"]
    assert {"Key": "DeploymentColor", "Value": "green"} in tags["Tags"]
    assert {"Key": "CostCenter", "Value": "4711"} in tags["Tags"]


def test_each_color_has_its_load_balancer_in_mode_dns(cloud: Cloud) -> None:
    stack = Stack(cloud, "traffic-balancers", "loadbalancer")
    suffix = {"EnvironmentName": "dev-payment-traffic2", "TrafficMode": "dns"}
    # A certificate needs a zone to be validated in.
    with pytest.raises(ClientError, match="Give CertificateArn"):
        stack.create(**(BALANCER | suffix | {"CertificateArn": ""}))
    made = stack.create(
        **(BALANCER | suffix | {"CertificateArn": "", "DomainName": "pay.example.com", "HostedZoneId": "Z1"})
    )
    assert made["ListenerArn"] == "" and made["BlueLoadBalancerDnsName"] != made["GreenLoadBalancerDnsName"]
    certificate = cloud.client("acm").describe_certificate(CertificateArn=stack.ids()["Certificate"])["Certificate"]
    assert "*.pay.example.com" in certificate["SubjectAlternativeNames"]
    with origins("green", "hook") as (green, hook):
        for group, origin in (("Green", green), ("GreenWebhook", hook)):
            cloud.client("elbv2").register_targets(
                TargetGroupArn=made[f"{group}TargetGroupArn"], Targets=[{"Id": "127.0.0.1", "Port": origin.port}]
            )
        name = "alb-g-dev-payment-traffic2:443"
        assert get(cloud.endpoint + url("/payment", name))[1] == "green /payment"
        assert get(cloud.endpoint + url("/webhooks/1", name))[1] == "hook /webhooks/1"
    changed = stack.update(**(BALANCER | suffix))
    assert changed == made
    stack.delete()


def taking(balancer: Outputs, kind: str = "Green") -> dict[str, str]:
    """What compute takes from the load balancer."""
    return {
        "TargetGroupArn": balancer[f"{kind}TargetGroupArn"],
        "WebhookTargetGroupArn": balancer[f"{kind}WebhookTargetGroupArn"],
        "LoadBalancerFullName": balancer[f"{kind}LoadBalancerFullName"],
        "TargetGroupFullName": balancer[f"{kind}TargetGroupFullName"],
    }


def test_tasks_are_made_scaled_and_deleted(cloud: Cloud, balancer: Outputs) -> None:
    stack, ecs = Stack(cloud, "traffic-fargate", "compute-fargate"), cloud.client("ecs")
    given = APPLICATION | taking(balancer) | {"ContainerImage": "example.com/payment@sha256:00", "MaxCapacity": 15}
    alone = cloud.client("elbv2").create_target_group(Name="traffic-alone", Protocol="HTTP", Port=80, VpcId="vpc-0a")
    lonely = alone["TargetGroups"][0]["TargetGroupArn"]
    why = stack.fails(**(given | {"DesiredCount": 0, "MinCapacity": 0, "TargetGroupArn": lonely}))
    assert "does not have an associated load balancer" in why
    made = stack.create(**given, DesiredCount=0, MinCapacity=0)

    def service() -> dict[str, Any]:
        found = ecs.describe_services(cluster=made["ClusterName"], services=[made["ServiceName"]])["services"]
        return dict(found[0])

    assert service()["desiredCount"] == 0 and service()["enableExecuteCommand"] is False
    breaker = service()["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert breaker == {"enable": True, "rollback": True}
    assert service()["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    first = ecs.describe_task_definition(taskDefinition=service()["taskDefinition"])["taskDefinition"]
    (container,) = first["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True and container["user"] == "65532:65532"
    variables = {variable["name"]: variable["value"] for variable in container["environment"]}
    assert variables["COLOR"] == "green" and variables["DB_SECRET_ARN"] == APPLICATION["AppSecretArn"]
    assert first["taskRoleArn"] != first["executionRoleArn"]
    changed = stack.update(**(given | {"ContainerImage": "example.com/payment@sha256:01"}), DesiredCount=3, MinCapacity=3)
    assert changed == made and service()["desiredCount"] == 3
    assert service()["taskDefinition"] != first["taskDefinitionArn"]
    # What scaling has added stays when a migration begins, though the service changes.
    ecs.update_service(cluster=made["ClusterName"], service=made["ServiceName"], desiredCount=12)
    stack.update(**given, DesiredCount=3, MinCapacity=3, MigrationPhase="migration")
    assert service()["desiredCount"] == 12
    stack.delete()
    assert not [one for one in ecs.list_clusters()["clusterArns"] if ENVIRONMENT in one]


SIZES = {"MinCapacity": 0, "DesiredCapacity": 0, "MaxCapacity": 15}
WEBHOOK_SIZES = {"WebhookMinCapacity": 3, "WebhookDesiredCapacity": 3, "WebhookMaxCapacity": 9}


def test_instances_are_made_scaled_and_deleted(cloud: Cloud, balancer: Outputs) -> None:
    stack = Stack(cloud, "traffic-instances", "compute-ec2")
    scaling, ec2 = cloud.client("autoscaling"), cloud.client("ec2")
    given = APPLICATION | taking(balancer) | SIZES | WEBHOOK_SIZES
    made = stack.create(**given)
    name = made["AutoScalingGroupName"]

    def group(which: str = name) -> dict[str, Any]:
        return dict(scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[which])["AutoScalingGroups"][0])

    assert (group()["MinSize"], group()["DesiredCapacity"], group()["MaxSize"]) == (0, 0, 15)
    assert group()["HealthCheckType"] == "ELB" and group()["HealthCheckGracePeriod"] == 300
    assert group(made["WebhookAutoScalingGroupName"])["DesiredCapacity"] == 3
    policies = scaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
    targets = {
        policy["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]: policy[
            "TargetTrackingConfiguration"
        ]["TargetValue"]
        for policy in policies
    }
    assert targets == {"ASGAverageCPUUtilization": 70, "ALBRequestCountPerTarget": 1000}

    def data() -> dict[str, Any]:
        versions = ec2.describe_launch_template_versions(
            LaunchTemplateId=stack.ids()["LaunchTemplate"], Versions=["$Latest"]
        )
        return dict(versions["LaunchTemplateVersions"][0]["LaunchTemplateData"])

    assert data()["MetadataOptions"]["HttpTokens"] == "required"
    assert data()["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert data()["ImageId"].startswith("ami-") and "KeyName" not in data()
    changed = stack.update(
        **(given | {"MinCapacity": 3, "DesiredCapacity": 6}), KeyPairName="emergency", MigrationPhase="migration"
    )
    assert changed == made and group()["DesiredCapacity"] == 6 and data()["KeyName"] == "emergency"
    # While a migration runs nothing scales in.
    policies = scaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
    assert all(policy["TargetTrackingConfiguration"]["DisableScaleIn"] for policy in policies)
    script = base64.b64decode(data()["UserData"]).decode()
    assert "--resource AutoScalingGroup" in script and "${" not in script.replace("${place", "")
    stack.delete()
    assert not scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]


def test_names_of_the_colors_are_made_and_never_the_one_of_production(cloud: Cloud, balancer: Outputs) -> None:
    stack, route53 = Stack(cloud, "traffic-names", "dns"), cloud.client("route53")
    given = {
        "DomainName": "pay.example.com",
        "BlueTarget": balancer["BlueLoadBalancerDnsName"],
        "BlueTargetZoneId": balancer["BlueLoadBalancerHostedZoneId"],
    }
    made = stack.create(**given)
    assert made["GreenHealthCheckId"] == "" and made["BlueName"] == "blue.pay.example.com"

    def names() -> set[str]:
        records = route53.list_resource_record_sets(HostedZoneId=made["HostedZoneId"])["ResourceRecordSets"]
        return {record["Name"] for record in records if record["Type"] not in ("NS", "SOA")}

    assert names() == {"blue.pay.example.com."}
    check = route53.get_health_check(HealthCheckId=made["BlueHealthCheckId"])["HealthCheck"]["HealthCheckConfig"]
    assert (check["Type"], check["RequestInterval"], check["FailureThreshold"]) == ("HTTPS", 30, 3)
    assert check["MeasureLatency"] is True and check["ResourcePath"] == "/health/deep"
    changed = stack.update(
        **given,
        GreenTarget=balancer["GreenLoadBalancerDnsName"],
        GreenTargetZoneId=balancer["GreenLoadBalancerHostedZoneId"],
        LegacyTarget="192.0.2.7",
        LegacyRecordType="A",
    )
    assert changed["HostedZoneId"] == made["HostedZoneId"] and changed["GreenHealthCheckId"]
    assert names() == {f"{name}.pay.example.com." for name in ("blue", "green", "legacy")}
    stack.delete()
    with pytest.raises(ClientError, match="NoSuchHostedZone"):
        names()


def test_only_reads_go_on_to_the_second_origin(cloud: Cloud) -> None:
    stack, cdn = Stack(cloud, "traffic-cdn", "cdn"), cloud.client("cloudfront")
    given = {"PrimaryDomain": "blue.pay.example.com", "DataKeyArn": KEY, "OriginPath": "/v1"}
    with pytest.raises(ClientError, match="With DomainName give CertificateArn"):
        stack.create(**given, DomainName="pay.example.com")
    made = stack.create(**given)

    def config() -> dict[str, Any]:
        return dict(cdn.get_distribution_config(Id=made["DistributionId"])["DistributionConfig"])

    def behaviors() -> list[dict[str, Any]]:
        return [*config().get("CacheBehaviors", {}).get("Items", []), config()["DefaultCacheBehavior"]]

    assert {behavior["TargetOriginId"] for behavior in behaviors()} == {"primary"}
    assert config()["PriceClass"] == "PriceClass_100"
    changed = stack.update(
        **given,
        SecondaryDomain="green.pay.example.com",
        DomainName="pay.example.com",
        CertificateArn=CERTIFICATE,
    )
    assert changed == made and config()["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    seen = set()
    for behavior in behaviors():
        reads = set(behavior["AllowedMethods"]["Items"]) <= {"GET", "HEAD", "OPTIONS"}
        assert behavior["TargetOriginId"] == ("reads" if reads else "primary")
        assert behavior["ViewerProtocolPolicy"] == "https-only"
        seen.add(reads)
    assert seen == {True, False}
    recorded = [entry["type"] for entry in cloud.control("recorded")[1]["recorded"] if entry["stack"] == stack.name]
    assert recorded == [f"AWS::Logs::Delivery{kind}" for kind in ("", "Destination", "Source")]
    stack.delete()
    assert made["DistributionId"] not in json.dumps(cdn.list_distributions(), default=str)
