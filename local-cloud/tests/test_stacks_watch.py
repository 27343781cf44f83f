"""The stacks that watch, answer, configure and back up: made, changed and deleted from the templates as they are."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud import ACCOUNT, REGION, Cloud, eventually, post

STACKS = Path(__file__).parents[2] / "infra" / "stacks"
ENVIRONMENT = "dev-payment-ab12cd34"
FUNCTION = f"payment-validation-{ENVIRONMENT}"
SWITCHER = f"environment-switcher-{ENVIRONMENT}"
COMMON = {"EnvironmentName": ENVIRONMENT, "Project": "cutover", "CostCenter": "test", "MigrationPhase": "preparation"}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
BALANCED = {
    "ComputeType": "fargate",
    "TrafficMode": "listener",
    "BlueLoadBalancerFullName": "app/alb/1",
    "GreenLoadBalancerFullName": "app/alb/1",
    "BlueTargetGroupFullName": "targetgroup/tg-b/1",
    "GreenTargetGroupFullName": "targetgroup/tg-g/1",
}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that enforces Lambda permissions, with the templates in a bucket and the functions that they name."""
    cloud = Cloud(tmp_path_factory.mktemp("estate"), flags=("--enforce-permissions",))
    storage = cloud.client("s3")
    storage.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    storage.put_object(
        Bucket="code",
        Key="templates/stacks/color-monitoring.yaml",
        Body=(STACKS / "color-monitoring.yaml").read_bytes(),
    )
    assert cloud.colors(FUNCTION) == ("1", "2")
    cloud.client("lambda").create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1")
    cloud.function(SWITCHER)
    yield cloud
    assert cloud.stop() < 5


def parameters(given: dict[str, str]) -> list[dict[str, str]]:
    """As CloudFormation takes them."""
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in (COMMON | given).items()]


def settle(cloud: Cloud, name: str, wanted: str) -> dict[str, str]:
    """Wait for the stack to be as wanted; its outputs."""
    formation = cloud.client("cloudformation")

    def look() -> Any:
        stack = formation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack = eventually(look, 20)
    failed = [
        (event["LogicalResourceId"], event.get("ResourceStatusReason"))
        for event in formation.describe_stack_events(StackName=name)["StackEvents"]
        if "FAILED" in event["ResourceStatus"]
    ]
    assert stack["StackStatus"] == wanted, failed
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def create(cloud: Cloud, stack: str, given: dict[str, str]) -> dict[str, str]:
    """A stack of the template of the same name; its outputs."""
    cloud.client("cloudformation").create_stack(
        StackName=f"watch-{stack}",
        TemplateBody=(STACKS / f"{stack}.yaml").read_text(),
        Parameters=parameters(given),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    return settle(cloud, f"watch-{stack}", "CREATE_COMPLETE")


def update(cloud: Cloud, stack: str, given: dict[str, str]) -> dict[str, str]:
    """The same with other parameters."""
    cloud.client("cloudformation").update_stack(
        StackName=f"watch-{stack}",
        TemplateBody=(STACKS / f"{stack}.yaml").read_text(),
        Parameters=parameters(given),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    return settle(cloud, f"watch-{stack}", "UPDATE_COMPLETE")


def delete(cloud: Cloud, stack: str) -> None:
    """Delete it and wait until it is gone."""
    formation = cloud.client("cloudformation")
    formation.delete_stack(StackName=f"watch-{stack}")

    def gone() -> bool:
        try:
            status = formation.describe_stacks(StackName=f"watch-{stack}")["Stacks"][0]["StackStatus"]
        except ClientError:
            return True
        assert status != "DELETE_FAILED"
        return status == "DELETE_COMPLETE"

    eventually(gone, 20)


def watched(**given: str) -> dict[str, str]:
    """What monitoring is given, with functions unless told otherwise."""
    return {
        "CodeBucket": "code",
        "ComputeType": "lambda",
        "TrafficMode": "alias",
        "HasGreen": "false",
        "BlueVersion": "1",
        "DataKeyArn": KEY,
        "BlueClusterId": f"cluster-blue-{ENVIRONMENT}",
        "GreenClusterId": f"cluster-green-{ENVIRONMENT}",
        "SwitcherFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{SWITCHER}",
        "DeadLetterQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters-{ENVIRONMENT}",
    } | given


def alarms(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Every alarm of the environment, by what its name says before the environment."""
    found = cloud.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    every = found["MetricAlarms"] + found["CompositeAlarms"]
    assert all(alarm["AlarmName"].endswith(f"-{ENVIRONMENT}") for alarm in every)
    return {alarm["AlarmName"].removesuffix(f"-{ENVIRONMENT}").removeprefix("alarm-"): alarm for alarm in every}


def guards(color: str, *what: str) -> str:
    """The guards' names as an output has them."""
    return ",".join(f"alarm-{each}-{color}-{ENVIRONMENT}" for each in what)


def test_functions_are_watched_by_color(estate: Cloud) -> None:
    outputs = create(estate, "monitoring", watched(AlertEmail="ops@example.com"))
    assert outputs["BlueAlarmNames"] == guards("blue", "errors", "heartbeat", "crashes")
    assert outputs.get("GreenAlarmNames", "") == ""
    made = alarms(estate)
    assert {"database-cpu-green", "any-green", "switcher-silent", "dead-letters"} <= made.keys()
    assert not {"errors-green", "hosts-blue", "database-connections-blue"} & made.keys()
    heartbeat = made["heartbeat-blue"]
    assert (heartbeat["Period"], heartbeat["EvaluationPeriods"], heartbeat["TreatMissingData"]) == (60, 2, "breaching")
    counted = [query["MetricStat"]["Metric"] for query in made["crashes-blue"]["Metrics"] if "MetricStat" in query]
    names = [{each["Name"]: each["Value"] for each in metric["Dimensions"]} for metric in counted]
    assert [each["ExecutedVersion"] for each in names] == ["1", "1"]
    subscribed = estate.client("sns").list_subscriptions_by_topic(TopicArn=outputs["TopicArn"])["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in subscribed] == [("email", "ops@example.com")]
    assert "PagerTopicArn" not in outputs

    outputs = update(
        estate,
        "monitoring",
        watched(HasGreen="true", GreenVersion="2", MaxConnections="500", PagerEndpoint="https://pager.example.com/x"),
    )
    assert outputs["GreenAlarmNames"] == guards("green", "errors", "heartbeat", "crashes")
    made = alarms(estate)
    assert {"errors-green", "heartbeat-green", "crashes-green", "database-connections-blue"} <= made.keys()
    assert made["any-green"]["AlarmActions"] == [outputs["PagerTopicArn"]]
    paged = estate.client("sns").list_subscriptions_by_topic(TopicArn=outputs["PagerTopicArn"])["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in paged] == [("https", "https://pager.example.com/x")]
    shown = estate.client("cloudwatch").get_dashboard(DashboardName=outputs["DashboardName"])["DashboardBody"]
    titles = {each["properties"]["title"] for each in json.loads(shown)["widgets"]}
    assert {"Blue: payments", "Green: payments"} <= titles


def test_a_failed_backup_is_told(estate: Cloud) -> None:
    events, name = estate.client("events"), f"rule-backup-failed-{ENVIRONMENT}"
    pattern = events.describe_rule(Name=name)["EventPattern"]

    def matches(state: str, vault: str) -> bool:
        event = {
            "id": "1",
            "account": ACCOUNT,
            "region": REGION,
            "time": "2026-11-20T05:00:00Z",
            "resources": [],
            "source": "aws.backup",
            "detail-type": "Backup Job State Change",
            "detail": {"state": state, "backupVaultName": vault},
        }
        return events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]

    assert matches("FAILED", f"vault-{ENVIRONMENT}") and matches("EXPIRED", f"vault-{ENVIRONMENT}")
    assert not matches("COMPLETED", f"vault-{ENVIRONMENT}") and not matches("FAILED", "vault-of-others")
    assert [target["Arn"] for target in events.list_targets_by_rule(Rule=name)["Targets"]] == [
        f"arn:aws:sns:{REGION}:{ACCOUNT}:topic-{ENVIRONMENT}"
    ]


def test_a_guard_calls_the_switch_itself(estate: Cloud) -> None:
    cloudwatch = estate.client("cloudwatch")
    name = f"alarm-errors-green-{ENVIRONMENT}"
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    # No rule forwards events in this cloud, so what arrives is the alarm's own call.
    eventually(lambda: name in estate.log(SWITCHER))
    eventually(lambda: alarms(estate)["any-green"]["StateValue"] == "ALARM")
    assert "alarm-any-" not in estate.log(SWITCHER)
    delete(estate, "monitoring")
    assert alarms(estate) == {}
    assert estate.client("events").list_rules()["Rules"] == []
    assert estate.client("sns").list_topics()["Topics"] == []
    assert not permitted(estate)


def permitted(cloud: Cloud) -> bool:
    """Whether any service may call the switch."""
    try:
        statements = json.loads(cloud.client("lambda").get_policy(FunctionName=SWITCHER)["Policy"])["Statement"]
    except ClientError:
        return False
    return bool(statements)


def seen(cloud: Cloud, alarm: dict[str, Any], data: dict[str, list[float]]) -> list[float]:
    """The values that an alarm's metrics have if a load balancer says `data`, a value for each minute."""
    start = int(time.time()) // 60 * 60 - 60 * 10
    cloudwatch = cloud.client("cloudwatch")
    stats = {query["MetricStat"]["Metric"]["MetricName"]: query for query in alarm["Metrics"] if "MetricStat" in query}
    assert set(data) <= set(stats)
    for name, values in data.items():
        metric = stats[name]["MetricStat"]["Metric"]
        cloudwatch.put_metric_data(
            Namespace=metric["Namespace"],
            MetricData=[
                {"MetricName": name, "Dimensions": metric["Dimensions"], "Timestamp": start + 60 * at, "Value": value}
                for at, value in enumerate(values)
                if value >= 0
            ],
        )
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=alarm["Metrics"], StartTime=start, EndTime=start + 180, ScanBy="TimestampAscending"
    )
    return answer["MetricDataResults"][0]["Values"]


def test_targets_are_watched_without_gaps(estate: Cloud) -> None:
    outputs = create(estate, "monitoring", watched(HasGreen="true", BlueVersion="", **BALANCED))
    assert outputs["BlueAlarmNames"] == guards("blue", "errors", "latency", "hosts")
    assert outputs["GreenAlarmNames"] == guards("green", "errors", "latency", "hosts")
    made = alarms(estate)
    assert "heartbeat-blue" not in made and "function-errors" not in made and "load-balancer-errors" in made
    assert (made["hosts-green"]["TreatMissingData"], made["hosts-green"]["EvaluationPeriods"]) == ("breaching", 2)
    nothing = -1.0
    # A quiet minute; a minute in which two of twelve fail, one of them at the connection; a minute of refusals alone.
    rates = seen(
        estate,
        made["errors-blue"],
        {
            "HealthyHostCount": [2, 2, 2],
            "RequestCount": [nothing, 11, nothing],
            "HTTPCode_Target_5XX_Count": [nothing, 1, nothing],
            "TargetConnectionErrorCount": [nothing, 1, 3],
        },
    )
    assert rates == pytest.approx([0, 100 * 2 / 12, 100])
    slow = seen(
        estate, made["latency-blue"], {"HealthyHostCount": [1, 1, 1], "TargetResponseTime": [nothing, 0.75, nothing]}
    )
    assert slow == pytest.approx([0, 0.75, 0])
    # Nothing of green was said: its guard of the hosts is the one that must say so.
    eventually(lambda: alarms(estate)["hosts-green"]["StateValue"] == "ALARM", 10)

    update(estate, "monitoring", watched(HasGreen="true", BlueVersion="", **BALANCED | {"TrafficMode": "dns"}))
    made = alarms(estate)
    assert [made[f"{what}-green"]["EvaluationPeriods"] for what in ("errors", "latency", "hosts")] == [1, 1, 1]
    delete(estate, "monitoring")
    assert alarms(estate) == {}


def test_an_audit_trail_is_optional(estate: Cloud) -> None:
    create(estate, "monitoring", watched(EnableAuditTrail="true"))
    bucket = f"audit-trail-{ENVIRONMENT}-{ACCOUNT}"
    assert estate.client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    recorded = estate.control("recorded")[1]["recorded"]
    assert {"type": "AWS::CloudTrail::Trail", "id": f"trail-{ENVIRONMENT}"}.items() <= recorded[0].items()
    update(estate, "monitoring", watched())
    assert bucket not in [each["Name"] for each in estate.client("s3").list_buckets()["Buckets"]]
    delete(estate, "monitoring")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"AlertEmail": "nobody"}, "AlertEmail"),
        ({"PagerEndpoint": "http://pager.example.com"}, "PagerEndpoint"),
        ({"AlarmPeriodSeconds": "45"}, "AlarmPeriodSeconds"),
        ({"EnvironmentName": "prod"}, "prod-payment-ab12cd34"),
    ],
)
def test_bad_parameters_are_refused(estate: Cloud, given: dict[str, str], named: str) -> None:
    with pytest.raises(ClientError, match=named):
        estate.client("cloudformation").create_stack(
            StackName="watch-refused",
            TemplateBody=(STACKS / "monitoring.yaml").read_text(),
            Parameters=parameters(watched(**given)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )


def test_the_api_reaches_the_alias(estate: Cloud) -> None:
    outputs = create(estate, "api", {"DataKeyArn": KEY})
    gateway = estate.client("apigateway")
    stage = gateway.get_stage(restApiId=outputs["ApiId"], stageName=outputs["StageName"])
    settings = stage["methodSettings"]["*/*"]
    assert (settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == (100, 200)
    assert settings["loggingLevel"] == "OFF" and settings["dataTraceEnabled"] is False
    url = f"{estate.endpoint}/_aws/execute-api/{outputs['ApiId']}/{outputs['StageName']}"
    status, answer = post(f"{url}/payment", {})
    # Unsigned: API Gateway refuses it, in the words that the function would use.
    assert (status, answer["code"], answer["effect"]) == (403, "gateway_refused", "unknown")
    with urllib.request.urlopen(f"{url}/health", timeout=10) as response:
        assert json.loads(response.read())["color"] == "blue"
    wide = estate.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]
    assert [each["Name"] for each in wide] == [f"acl-{ENVIRONMENT}"]
    groups = {each["logGroupName"] for each in estate.client("logs").describe_log_groups()["logGroups"]}
    assert {f"/aws/apigateway/api-{ENVIRONMENT}", f"aws-waf-logs-{ENVIRONMENT}"} <= groups

    update(estate, "api", {"DataKeyArn": KEY, "RequireWaf": "false", "EnableAccessLog": "false", "ThrottleRate": "50"})
    assert estate.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    stage = gateway.get_stage(restApiId=outputs["ApiId"], stageName=outputs["StageName"])
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 50
    delete(estate, "api")
    assert gateway.get_rest_apis()["items"] == []


def configured(**given: str) -> dict[str, str]:
    """What configuration is given."""
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:secret-app"
    return {
        "BlueDatabaseEndpoint": "blue.example.com",
        "BlueDatabaseReaderEndpoint": "blue-ro.example.com",
        "BlueDatabasePort": "3306",
        "BlueAppSecretArn": f"{secret}-blue",
        "GreenDatabaseEndpoint": "green.example.com",
        "GreenDatabaseReaderEndpoint": "green-ro.example.com",
        "GreenDatabasePort": "3306",
        "GreenAppSecretArn": f"{secret}-green",
        "DatabaseName": "payments",
        "HasLoadBalancer": "false",
        "ApiEndpoint": "https://api.example.com/v1",
        "ComputeType": "lambda",
        "TrafficMode": "alias",
        "BlueRelease": "1.0.0",
    } | given


def test_configuration_is_looked_up_by_path(estate: Cloud) -> None:
    systems = estate.client("ssm")
    prefix = create(estate, "configuration", configured())["ParameterPrefix"]
    assert prefix == f"/cutover/{ENVIRONMENT}"
    # The switch's own, which a stack must neither make nor take away.
    systems.put_parameter(Name=f"{prefix}/runtime/status", Value="{}", Type="String")

    def values() -> dict[str, str]:
        pages = systems.get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True)
        return {each["Name"].removeprefix(f"{prefix}/"): each["Value"] for page in pages for each in page["Parameters"]}

    found = values()
    assert found["database/blue/endpoint"] == "blue.example.com" and found["database/green/port"] == "3306"
    assert found["api/endpoint"] == "https://api.example.com/v1"
    assert not [name for name in found if name.startswith("alb/")] and "deployment/green/release" not in found
    arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup"
    update(
        estate,
        "configuration",
        configured(
            HasLoadBalancer="true",
            ApiEndpoint="-",
            BlueLoadBalancerDnsName="alb.example.com",
            GreenLoadBalancerDnsName="alb.example.com",
            BlueTargetGroupArn=f"{arn}/tg-b/1",
            GreenTargetGroupArn=f"{arn}/tg-g/1",
            GreenRelease="1.1.0",
            ComputeType="fargate",
            TrafficMode="listener",
        ),
    )
    found = values()
    assert found["alb/green/target-group-arn"] == f"{arn}/tg-g/1" and found["deployment/green/release"] == "1.1.0"
    assert "api/endpoint" not in found and found["deployment/traffic-mode"] == "listener"
    delete(estate, "configuration")
    assert values() == {"runtime/status": "{}"}


def test_backups_are_planned_by_name(estate: Cloud) -> None:
    backup = estate.client("backup")
    cluster = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:cluster"
    given = {
        "BlueClusterArn": f"{cluster}-blue-{ENVIRONMENT}",
        "GreenClusterArn": f"{cluster}-green-{ENVIRONMENT}",
        "SessionTableArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/sessions-{ENVIRONMENT}",
        "BackupKeyArn": KEY,
    }
    outputs = create(estate, "backup", given)
    assert outputs["VaultName"] == f"vault-{ENVIRONMENT}"
    assert backup.describe_backup_vault(BackupVaultName=outputs["VaultName"])["EncryptionKeyArn"] == KEY

    def kept() -> int:
        rules = backup.get_backup_plan(BackupPlanId=outputs["PlanId"])["BackupPlan"]["Rules"]
        return int(rules[0]["Lifecycle"]["DeleteAfterDays"])

    assert kept() == 7
    listed = backup.list_backup_selections(BackupPlanId=outputs["PlanId"])["BackupSelectionsList"]
    chosen = backup.get_backup_selection(BackupPlanId=outputs["PlanId"], SelectionId=listed[0]["SelectionId"])
    assert sorted(chosen["BackupSelection"]["Resources"]) == sorted(
        value for name, value in given.items() if name != "BackupKeyArn"
    )
    update(estate, "backup", given | {"BackupRetentionDays": "14"})
    assert kept() == 14
    delete(estate, "backup")
    assert backup.list_backup_vaults()["BackupVaultList"] == []
