"""The whole way against a local cloud: deploy blue, deploy green, nothing to do, refusals, destroy."""

from __future__ import annotations

import pytest
from conftest import TARGET, Transcript, as_color, local

from deploy import bucket, cloud, down, leftovers, stack, status, up
from deploy.account import Account
from deploy.refusal import Refusal
from deploy.settings import Settings

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def blue(settings: Settings) -> str:
    """What deploying blue said."""
    screen = Transcript()
    up.deploy(settings, TARGET, screen)
    return screen.text


def test_blue_is_created_after_all_was_shown(blue: str) -> None:
    told = ["deploy blue to dev-payment-local001", "templates", "functions", "parameters", "change set:", "creating", "outputs"]
    places = [blue.index(part) for part in told]
    assert places == sorted(places)
    assert "ValidationStatus" in blue


def test_green_is_published_beside_blue(blue: str, settings: Settings, account: Account, screen: Transcript) -> None:
    before = stack.find(account, "dev-payment-local001")
    up.deploy(as_color(settings, "green", "g-1"), TARGET, screen)
    after = stack.find(account, "dev-payment-local001")
    assert before and after
    assert before.outputs["BlueVersionNumber"] == after.outputs["BlueVersionNumber"]
    assert after.outputs["GreenVersionNumber"] not in ("", after.outputs["BlueVersionNumber"])
    assert after.parameters["BlueRelease"] == before.parameters["BlueRelease"]
    assert "GreenRelease" in screen.text

    again = Transcript()
    up.deploy(as_color(settings, "green", "g-1"), TARGET, again)
    assert "nothing to change" in again.text


def test_where_it_stands_is_told(blue: str, settings: Settings, screen: Transcript) -> None:
    status.show(settings, screen)
    assert "blue 100 %" in screen.text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"EnvironmentName": "Prod"}, "must be dev, staging or prod, then -payment-"),
        ({"TickSeconds": "99"}, "TickSeconds"),
        ({"ComputeType": "fargate", "CertificateArn": CERTIFICATE}, "ComputeType fargate needs ContainerImage"),
        ({"ComputeType": "ec2"}, "The load balancer needs a certificate. Set CertificateArn"),
        ({"TrafficMode": "listener"}, "Set TrafficMode to auto or alias"),
        (
            {"ComputeType": "ec2", "CertificateArn": CERTIFICATE, "TrafficMode": "listener", "EnableDnsShift": "true"},
            "EnableDnsShift true contradicts TrafficMode",
        ),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else None,
)
def test_a_bad_parameter_is_refused_by_the_template_before_anything_is_made(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, account: Account, overrides: dict[str, str], said: str
) -> None:
    other = Settings(**(vars(as_color(settings, "blue", "1", **overrides)) | {"suffix": "refused1"}))
    with pytest.raises(Refusal) as refusal:
        up.deploy(other, TARGET, Transcript())
    assert said in str(refusal.value)
    assert stack.find(account, "dev-payment-refused1") is None
    left = [thing for kind, thing, _ in leftovers.find(account, "dev-payment-refused1") if kind != "bucket"]
    assert left == []


def test_a_failure_names_the_resource_and_its_reason(settings: Settings, account: Account) -> None:
    # A table of the stack's name, made by hand.
    account.client("dynamodb").create_table(
        TableName="sessions-dev-payment-failed01", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    other = Settings(**(vars(settings) | {"suffix": "failed01"}))
    with pytest.raises(Refusal) as refusal:
        up.deploy(other, TARGET, Transcript())
    assert "SessionTable" in str(refusal.value)
    assert "another SUFFIX, or delete it" in str(refusal.value)

    account.client("dynamodb").delete_table(TableName="sessions-dev-payment-failed01")
    again = Transcript()
    up.deploy(other, TARGET, again)
    assert "it is deleted first" in again.text


def test_a_destroyed_environment_leaves_nothing_but_keys_that_wait(
    blue: str, settings: Settings, account: Account, screen: Transcript
) -> None:
    name = "dev-payment-local001"
    account.client("s3").put_object(Bucket=f"transaction-logs-{name}-{account.id}", Key="transactions/x", Body=b"1")
    left = leave(settings, account, screen, name)
    assert {kind for kind, _, _ in left} == {"key"}
    assert all("deleted on" in note for _, _, note in left)
    assert f"emptied transaction-logs-{name}" in screen.text


def leave(settings: Settings, account: Account, screen: Transcript, name: str) -> list[tuple[str, str, str]]:
    """Destroy, and keep the local cloud for a look."""
    present = stack.find(account, name)
    assert present
    found = down.blockers.find(account, present.id)
    down.introduce(screen, account, name, present, found, bucket.name_of(name, account.id))
    down.take_away(account, screen, present, found)
    down.remains(account, screen, name, bucket.name_of(name, account.id))
    return leftovers.find(account, name)


def test_a_local_cloud_is_started_and_ended_by_the_tool(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = local(tmp_path_factory.mktemp("own"))
    screen = Transcript()
    assert not cloud.answers(own)
    cloud.start(own, screen)
    assert cloud.answers(own)
    down.destroy(own, screen)
    assert not cloud.answers(own)
    assert "there is none" in screen.text
    assert "nothing is left" in screen.text
    down.destroy(own, screen)
    assert "there is nothing to destroy" in screen.text
