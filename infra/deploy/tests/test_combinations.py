"""The root with all its stacks in each combination of ComputeType and DatabaseEngine, with the real functions.

Each is created with blue, gets green by an update, and is destroyed. Two local clouds run side by side.
"""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import TARGET, Transcript, as_color, local

from deploy import bucket, cloud, down, leftovers, stack, up
from deploy.account import Account, connect
from deploy.settings import Settings

CLOUDS_AT_ONCE = 2
NAME = "dev-payment-local001"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/11111111-2222-3333-4444-555555555555"
LISTENER = {"CertificateArn": CERTIFICATE}
DNS = {"TrafficMode": "dns", "DomainName": "pay.example.com", "CertificateArn": CERTIFICATE}
FARGATE = {"ContainerImage": "example.com/payments@sha256:" + "0" * 64}
# What each is deployed with beside its own two parameters; every option is in one of them at least.
COMBINATIONS: dict[tuple[str, str], dict[str, str]] = {
    ("lambda", "aurora-mysql"): {"EnableCdn": "true"},
    ("lambda", "aurora-postgresql"): {"EnableReplication": "false", "EnableAuditTrail": "true"},
    ("fargate", "aurora-mysql"): FARGATE | LISTENER,
    ("fargate", "aurora-postgresql"): FARGATE | DNS,
    ("ec2", "aurora-mysql"): DNS | {"EnableReplication": "false", "EnableCdn": "true"},
    ("ec2", "aurora-postgresql"): LISTENER,
}
# Statements that a policy has in some of the combinations only. What is in each of them, tests/tests/least_privilege.rs proves.
CONDITIONAL = {
    *("NewRules", "Rules", "RuleTags", "LoadBalancer", "Targets"),
    *("Records", "RecordsRead", "Changes"),
    *("Replication", "ReplicatedTables"),
}
# Of those, what no call here needs, and why it stays.
UNNEEDED = {
    ("environment-switcher", "Rules", "elasticloadbalancing:ModifyRule"): "each step of a migration calls it, on what DeleteRule "
    "is called on here; tests/tests/routers.rs makes such steps",
    ("environment-switcher", "RuleTags", "elasticloadbalancing:AddTags"): "AWS asks for it when CreateRule brings tags; the "
    "local cloud does not",
    ("environment-switcher", "LoadBalancer", "elasticloadbalancing:DescribeTags"): "only a rule that was there before is asked "
    "whose it is",
}
IDS = ["-".join(combination) for combination in COMBINATIONS]


@dataclass
class Seen:
    """What came of a combination."""

    blue: stack.Stack
    green: stack.Stack
    kinds: list[str]
    recorded: list[str]
    # As read back from each router.
    weights: dict[str, dict[str, int]]
    denied: list[dict[str, Any]]
    # Permissions that no call needed, by function, statement and action.
    unused: set[tuple[str, str, str]] = field(default_factory=set)
    left: list[tuple[str, str, str]] = field(default_factory=list)


def control(settings: Settings, topic: str) -> Any:
    """The answer of a control endpoint."""
    url = f"{cloud.endpoint(settings)}/_cutover/{topic}"
    with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=10) as response:
        return json.loads(response.read())


def present(account: Account) -> stack.Stack:
    """The stack that must be there."""
    found = stack.find(account, NAME)
    assert found
    return found


def invoke(account: Account, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """A function's answer."""
    answer = account.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    return found


def every_check(account: Account, outputs: dict[str, str]) -> dict[str, Any]:
    """All checks of what the switch would have validated. Databases and targets are not there: some can't pass."""
    function = account.client("lambda").get_function_configuration(FunctionName=outputs["EnvironmentSwitcherFunctionName"])
    properties = json.loads(function["Environment"]["Variables"]["VALIDATOR_PROPERTIES"])
    properties.pop("Checks", None)
    event = {"action": "validate", "properties": properties | {"Mode": "report"}}
    return invoke(account, outputs["PreMigrationValidatorFunctionName"], event)


def routers(present_stack: stack.Stack) -> list[str]:
    """What splits the traffic: with a listener payments and webhooks have a rule each."""
    if present_stack.parameters["ComputeType"] == "lambda":
        return ["lambda-alias"]
    return ["route53"] if present_stack.parameters["TrafficMode"] == "dns" else ["alb", "alb"]


def run(settings: Settings) -> Seen:
    """A combination from its beginning to its end."""
    screen = Transcript()
    try:
        up.deploy(settings, TARGET, screen)
        account = connect(settings, cloud.endpoint(settings))
        blue = present(account)
        up.deploy(as_color(settings, "green", "g-1", **settings.overrides), TARGET, screen)
        green = present(account)
        switch = green.outputs["EnvironmentSwitcherFunctionName"]
        status = invoke(account, switch, {"action": "status"})
        plan = {"action": "plan", "to": "green", "strategy": {"type": "all-at-once"}, "bakeSeconds": 60}
        assert "timeline" in json.dumps(invoke(account, switch, plan))
        every_check(account, green.outputs)
        found = down.blockers.find(account, green.id)
        # Before the deletion: an invocation that outlives its function's role is denied then, and nobody minds. What the
        # deletion itself is denied makes it fail.
        denied = control(settings, "authorizations")["denied"]
        seen = Seen(blue, green, found.kinds, cloud.recorded(settings), status["verifiedWeights"], denied)
        down.take_away(account, screen, green, found)
        down.remains(account, screen, NAME, bucket.name_of(NAME, account.id))
        for entry in control(settings, "authorizations")["unused"]:
            function = entry["role"].removeprefix("role-").removesuffix(f"-{NAME}")
            seen.unused.add((function, entry["statement"], entry["action"]))
        seen.left = leftovers.find(account, NAME)
        return seen
    except Exception as error:
        raise AssertionError(f"{error}\n\n{screen.text[-6000:]}") from error
    finally:
        cloud.stop(settings, screen)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Future[Seen]]:
    """All of them, two at a time."""
    with ThreadPoolExecutor(CLOUDS_AT_ONCE) as pool:
        return {
            (compute, engine): pool.submit(
                run,
                as_color(
                    local(tmp_path_factory.mktemp(compute)), "blue", "b-1",
                    ComputeType=compute, DatabaseEngine=engine, **more,
                ),
            )
            for (compute, engine), more in COMBINATIONS.items()
        }  # fmt: skip


@pytest.mark.parametrize("combination", COMBINATIONS, ids=IDS)
def test_it_is_created_gets_green_and_is_deleted(
    combination: tuple[str, str],
    runs: dict[tuple[str, str], Future[Seen]],
    record_property: Any,
) -> None:
    seen = runs[combination].result()
    compute, engine = combination
    outputs = seen.green.outputs

    for present_stack in (seen.blue, seen.green):
        assert present_stack.outputs["ValidationStatus"] == "pass", present_stack.outputs["ValidationMessage"]
        assert int(present_stack.outputs["ValidationChecksPassed"]) >= 5
        assert present_stack.outputs["ActiveEnvironment"] == "blue"
        assert (present_stack.outputs["BlueWeight"], present_stack.outputs["GreenWeight"]) == ("100", "0")
    assert sorted(router.partition(":")[0] for router in seen.weights) == routers(seen.green)
    assert all(weights == {"blue": 100, "green": 0} for weights in seen.weights.values()), seen.weights
    assert seen.green.parameters["DatabaseEngine"] == engine
    assert seen.green.parameters["GreenRelease"] == "g-1"
    assert seen.blue.parameters["BlueRelease"] == seen.green.parameters["BlueRelease"] == "b-1"
    assert seen.blue.outputs["BlueAlarmNames"] == outputs["BlueAlarmNames"]
    assert outputs["GreenAlarmNames"]
    if compute == "lambda":
        assert seen.blue.outputs["BlueVersionNumber"] == outputs["BlueVersionNumber"] != outputs["GreenVersionNumber"]
        assert "AWS::ApiGateway::RestApi" in seen.kinds
    else:
        wanted = "AWS::ECS::Service" if compute == "fargate" else "AWS::AutoScaling::AutoScalingGroup"
        assert seen.kinds.count(wanted) >= 2
        assert "AWS::Lambda::Alias" not in seen.kinds
    assert seen.kinds.count("AWS::RDS::DBCluster") == 2
    assert ("AWS::DMS::ReplicationTask" in seen.kinds) == (seen.green.parameters["EnableReplication"] == "true")
    assert ("AWS::CloudFront::Distribution" in seen.kinds) == (seen.green.parameters["EnableCdn"] == "true")

    assert seen.denied == []
    unneeded = {entry for entry in seen.unused if entry[1] in CONDITIONAL}
    assert unneeded <= set(UNNEEDED), unneeded - set(UNNEEDED)
    assert {kind for kind, _, _ in seen.left} <= {"key"}, seen.left
    assert all("deleted on" in note for _, _, note in seen.left)
    record_property("recorded", ", ".join(seen.recorded))
