"""Route 53 from change batch to routed request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from cloud import REGION, Cloud, eventually
from origins import get, origins

from cutover_cloud.dns import resolver

NAME = "pay.example.test"
REQUESTS = 100


class Zone:
    """A hosted zone with the tests' records."""

    def __init__(self, cloud: Cloud, name: str = "example.test") -> None:
        self.cloud, self.route53 = cloud, cloud.client("route53")
        self.id = self.route53.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]

    def change(self, *changes: tuple[str, dict[str, Any]]) -> str:
        """ChangeResourceRecordSets; answers the change's id."""
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
        return self.route53.change_resource_record_sets(HostedZoneId=self.id, ChangeBatch=batch)["ChangeInfo"]["Id"]

    def settle(self, change: str) -> float:
        """Wait for INSYNC; the seconds that it took."""
        started = time.monotonic()
        eventually(lambda: self.route53.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC")
        return time.monotonic() - started

    def weights(self, name: str = NAME) -> dict[str, int]:
        """The weights that the zone has."""
        records = self.route53.list_resource_record_sets(HostedZoneId=self.id)["ResourceRecordSets"]
        return {found["SetIdentifier"]: found["Weight"] for found in records if found["Name"] == f"{name}."}


def weighted(identifier: str, weight: int, value: str = "127.0.0.1", name: str = NAME, **more: Any) -> dict[str, Any]:
    """A weighted record."""
    return {
        "Name": name,
        "Type": "A",
        "SetIdentifier": identifier,
        "Weight": weight,
        "TTL": 60,
        "ResourceRecords": [{"Value": value}],
    } | more


@pytest.fixture(scope="module")
def zone(cloud: Cloud) -> Zone:
    """A zone with blue and green, all on blue."""
    made = Zone(cloud)
    made.settle(made.change(("CREATE", weighted("blue", 255)), ("CREATE", weighted("green", 0))))
    return made


def test_batch_is_a_compare_and_swap(zone: Zone) -> None:
    stale = [("DELETE", weighted("blue", 254)), ("CREATE", weighted("blue", 0))]
    right = [("DELETE", weighted("blue", 255)), ("CREATE", weighted("blue", 0))]
    green = [("DELETE", weighted("green", 0)), ("CREATE", weighted("green", 255))]
    with pytest.raises(zone.route53.exceptions.InvalidChangeBatch, match="do not match"):
        zone.change(*green, *stale)
    assert zone.weights() == {"blue": 255, "green": 0}
    zone.change(*green, *right)
    assert zone.weights() == {"blue": 0, "green": 255}
    zone.settle(zone.change(("UPSERT", weighted("blue", 255)), ("UPSERT", weighted("green", 0))))


def test_change_is_pending_and_unanswered_for_its_time(zone: Zone) -> None:
    change = zone.change(("UPSERT", weighted("blue", 0)), ("UPSERT", weighted("green", 255)))
    assert zone.route53.get_change(Id=change)["ChangeInfo"]["Status"] == "PENDING"
    assert zone.route53.get_change(Id=change)["ChangeInfo"]["Status"] == "PENDING"
    assert zone.cloud.control("dns", name=NAME)[1]["setIdentifier"] == "blue"
    assert 1.0 < zone.settle(change) < 3.0
    assert zone.cloud.control("dns", name=NAME)[1] == {
        "status": "NOERROR", "setIdentifier": "green", "answers": ["127.0.0.1"], "alias": False, "ttl": 60
    }
    zone.settle(zone.change(("UPSERT", weighted("blue", 255)), ("UPSERT", weighted("green", 0))))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (weighted("red", 256), "between 0 and 255"),
        (weighted("red", 1, TTL=30), "same TTL"),
        (weighted("red", 1, name="pay.other.test"), "not permitted in zone"),
        (weighted("red", 1, HealthCheckId="none"), "does not exist"),
        ({"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "127.0.0.1"}]}, "another routing"),
        ({"Name": NAME, "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "a.b"}]}, "other records exist"),
    ],
)
def test_wrong_records_change_nothing(zone: Zone, record: dict[str, Any], why: str) -> None:
    with pytest.raises(zone.route53.exceptions.InvalidChangeBatch, match=why):
        zone.change(("UPSERT", weighted("blue", 7)), ("CREATE", record))
    assert zone.weights() == {"blue": 255, "green": 0}


def test_unknown_change_and_name(zone: Zone) -> None:
    with pytest.raises(zone.route53.exceptions.NoSuchChange):
        zone.route53.get_change(Id="/change/none")
    assert zone.cloud.control("dns", name="none.example.test")[1]["status"] == "NXDOMAIN"
    assert zone.cloud.control("dns")[0] == 400 and "takes" in zone.cloud.control("nothing")[1]["error"]


def test_health_checks_ask_the_endpoint_and_the_alarm(zone: Zone) -> None:
    route53, cloudwatch = zone.route53, zone.cloud.client("cloudwatch")

    def create(reference: str, **config: Any) -> str:
        made = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)
        return made["HealthCheck"]["Id"]

    def status(check: str) -> str:
        found = route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]
        return found[0]["StatusReport"]["Status"].partition(":")[0]

    with origins("endpoint") as (origin,):
        endpoint = {"Type": "HTTP", "Port": origin.port, "ResourcePath": "/health", "RequestInterval": 10}
        real = create("real", IPAddress="127.0.0.1", **endpoint)
        far = create("far", IPAddress="192.0.2.1", **endpoint)
        eventually(lambda: status(real) == "Success")
        assert status(far) == "Failure"
        assert zone.cloud.control("health-check", id=real, status="Failure") == (200, {"id": real, "healthy": False})
        assert status(real) == "Failure"
        zone.cloud.control("health-check", id=real, status="real")
        assert status(real) == "Success"
    cloudwatch.put_metric_alarm(
        AlarmName="dns", Namespace="N", MetricName="M", Period=60, Statistic="Sum", Threshold=1, EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )
    alarm = create("alarm", Type="CLOUDWATCH_METRIC", AlarmIdentifier={"Region": REGION, "Name": "dns"},
                   InsufficientDataHealthStatus="Unhealthy")
    assert status(alarm) == "Failure"
    cloudwatch.set_alarm_state(AlarmName="dns", StateValue="OK", StateReason="test")
    assert status(alarm) == "Success"
    with pytest.raises(route53.exceptions.NoSuchHealthCheck):
        route53.get_health_check_status(HealthCheckId="none")


@pytest.fixture(scope="module")
def balancers(cloud: Cloud) -> Iterator[dict[str, str]]:
    """The DNS names of two load balancers, each with a server of its color."""
    elb = cloud.client("elbv2")
    with origins("blue", "green") as running:
        names = {}
        for color, origin in zip(("blue", "green"), running, strict=True):
            group = elb.create_target_group(
                Name=f"dns-{color}", Protocol="HTTP", Port=80, TargetType="ip", HealthCheckIntervalSeconds=5
            )["TargetGroups"][0]["TargetGroupArn"]
            elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": origin.port}])
            made = elb.create_load_balancer(Name=f"dns-{color}")["LoadBalancers"][0]
            elb.create_listener(
                LoadBalancerArn=made["LoadBalancerArn"], Port=80, Protocol="HTTP",
                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            )
            names[color] = made["DNSName"]
        yield names


def test_requests_follow_the_name(cloud: Cloud, balancers: dict[str, str]) -> None:
    zone = Zone(cloud, "routed.test")

    def alias(color: str, weight: int) -> dict[str, Any]:
        target = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": balancers[color], "EvaluateTargetHealth": False}
        return {"Name": "www.routed.test", "Type": "A", "SetIdentifier": color, "Weight": weight, "AliasTarget": target}

    def asked() -> Counter[str]:
        host = {"Host": "www.routed.test"}
        return Counter(get(f"{cloud.endpoint}/p?a=1", host)[1] for _ in range(REQUESTS))

    zone.settle(zone.change(("CREATE", alias("blue", 192)), ("CREATE", alias("green", 64))))
    seen = asked()
    # 75 expected; six standard deviations.
    assert set(seen) == {"blue /p?a=1", "green /p?a=1"} and seen["blue /p?a=1"] >= 49
    zone.settle(zone.change(("UPSERT", alias("blue", 0)), ("UPSERT", alias("green", 255))))
    assert asked() == {"green /p?a=1": REQUESTS}


def test_answers_by_weight_and_health() -> None:
    blue, green, idle = {"Weight": 3, "id": "blue"}, {"Weight": 1, "id": "green"}, {"Weight": 0, "id": "idle"}

    def drawn(records: list[dict[str, Any]], *unhealthy: str) -> dict[str, int]:
        points = (point / 100 for point in range(100))
        return dict(
            Counter(
                resolver.answer(records, lambda record: record["id"] not in unhealthy, point)["id"] for point in points
            )
        )

    assert drawn([blue, green, idle]) == {"blue": 75, "green": 25}
    assert drawn([blue, green, idle], "blue") == {"green": 100}
    assert drawn([blue, green, idle], "blue", "green") == {"idle": 100}
    assert drawn([blue, green, idle], "blue", "green", "idle") == {"blue": 75, "green": 25}
    assert drawn([idle, idle | {"id": "other"}]) == {"idle": 50, "other": 50}
    assert resolver.answer([], lambda _record: True, 0.5) is None
