"""What the command line takes, and what it says of the rest."""

from __future__ import annotations

import pytest

from deploy.account import connect
from deploy.refusal import Refusal, WrongArgument
from deploy.settings import Settings, read

GOOD = {"env": "dev", "color": "blue", "release": "1.2.3", "suffix": "ab12cd34", "region": "eu-central-1"}


def test_a_name_is_made_of_environment_and_suffix() -> None:
    assert read(GOOD, needs_color=True).name("123456789012") == "dev-payment-ab12cd34"
    assert read(GOOD | {"suffix": ""}, needs_color=True).name("123456789012") == "dev-payment-56789012"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"env": ""}, "ENV is missing: it takes dev, staging or prod"),
        ({"env": "qa"}, "ENV is 'qa': it takes dev, staging or prod"),
        ({"color": ""}, "COLOR is missing: it takes blue or green"),
        ({"color": "red"}, "COLOR is 'red': it takes blue or green"),
        ({"suffix": "AB12"}, "SUFFIX is 'AB12': it takes eight of a-z 0-9"),
        ({"local": "yes"}, "LOCAL is 'yes': it takes 1"),
        ({"yes": "y"}, "YES is 'y': it takes 1"),
        ({"local_port": "70000"}, "LOCAL_PORT is '70000': it takes 1 to 65535"),
        ({"local_port": "x"}, "LOCAL_PORT is 'x'"),
        ({"release": "a b"}, "RELEASE is 'a b': it takes 1 to 64 of"),
        ({"role_arn": "deployer"}, "ROLE_ARN is 'deployer': it takes arn:aws:iam::<account>:role/<name>"),
        ({"set": "Name"}, "SET has 'Name': it takes Name=value"),
    ],
)
def test_a_mistake_names_what_is_taken(given: dict[str, str], said: str) -> None:
    with pytest.raises(WrongArgument) as refusal:
        read(GOOD | given, needs_color=True)
    assert said in str(refusal.value)


def test_parameters_of_the_command_line_may_hold_equals_signs() -> None:
    assert read(GOOD | {"set": "A=1 B=x=y"}, needs_color=True).overrides == {"A": "1", "B": "x=y"}


def test_nothing_local_is_asked_for() -> None:
    assert read(GOOD, needs_color=True).asks
    assert not read(GOOD | {"yes": "1"}, needs_color=True).asks
    assert not read(GOOD | {"local": "1"}, needs_color=True).asks


@pytest.mark.parametrize(
    ("region", "said"), [("eu-central-1", "no AWS credentials"), ("eu-nowhere-1", "no region of CloudFormation")]
)
def test_without_credentials_or_region_it_says_what_is_taken(
    monkeypatch: pytest.MonkeyPatch, region: str, said: str
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Refusal) as refusal:
        connect(Settings("dev", "ab12cd34", region=region), None)
    assert said in str(refusal.value)
