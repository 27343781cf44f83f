"""Where a parameter's value comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import parameters
from deploy.packages import Package
from deploy.refusal import Refusal
from deploy.settings import Settings
from deploy.templates import Templates, load

TEMPLATE = b"""
Parameters:
  EnvironmentName: { Type: String }
  CodeBucket: { Type: String }
  PaymentValidationKey: { Type: String }
  DeployColor: { Type: String, Default: blue }
  BlueRelease: { Type: String }
  GreenRelease: { Type: String, Default: "" }
  GreenSize: { Type: Number, Default: 1 }
  Password: { Type: String, NoEcho: true, Default: "" }
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: !Sub "q-${EnvironmentName}" } }
"""
TEMPLATES = Templates({"template.yaml": TEMPLATE})
PACKAGES = [Package("payment-validation", "x86_64", "1", None, "ab" * 32, 1)]
DEPLOYED = {"EnvironmentName": "n", "BlueRelease": "b-1", "GreenRelease": "g-1", "GreenSize": "1", "Gone": "x"}


def chosen(project: Path, color: str, release: str, values: dict[str, str], **more: str) -> Settings:
    """Settings of a project whose file says `values`."""
    folder = project / "infra" / "params"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dev.json").write_text(json.dumps({"Parameters": values}))
    return Settings("dev", "ab12cd34", color, release, overrides=more, project=project)


def test_green_gets_the_release_and_blue_keeps_its_own(tmp_path: Path) -> None:
    settings = chosen(tmp_path, "green", "g-2", {})
    wanted, _ = parameters.merged(settings, TEMPLATES, DEPLOYED, PACKAGES, "n", "bucket")
    assert (wanted["DeployColor"], wanted["GreenRelease"], wanted["BlueRelease"]) == ("green", "g-2", "b-1")
    settings = chosen(tmp_path, "blue", "b-2", {})
    wanted, _ = parameters.merged(settings, TEMPLATES, DEPLOYED, PACKAGES, "n", "bucket")
    assert (wanted["DeployColor"], wanted["GreenRelease"], wanted["BlueRelease"]) == ("blue", "g-1", "b-2")


def test_green_without_blue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="COLOR=blue is deployed first"):
        parameters.merged(chosen(tmp_path, "green", "1", {}), TEMPLATES, None, PACKAGES, "n", "bucket")


def test_what_is_the_other_colors_stays_as_it_is_deployed(tmp_path: Path) -> None:
    settings = chosen(tmp_path, "blue", "b-2", {"GreenSize": "5"})
    wanted, held = parameters.merged(settings, TEMPLATES, DEPLOYED, PACKAGES, "n", "bucket")
    assert (wanted["GreenSize"], held) == ("1", {"GreenSize": "1"})
    settings = chosen(tmp_path, "green", "g-2", {"GreenSize": "5"})
    wanted, held = parameters.merged(settings, TEMPLATES, DEPLOYED, PACKAGES, "n", "bucket")
    assert (wanted["GreenSize"], held) == ("5", {})


def test_the_command_line_stands_above_the_file(tmp_path: Path) -> None:
    settings = chosen(tmp_path, "green", "g-2", {"GreenSize": "5"}, GreenSize="7")
    wanted, _ = parameters.merged(settings, TEMPLATES, DEPLOYED, PACKAGES, "n", "bucket")
    assert wanted["GreenSize"] == "7"


def test_a_name_that_the_template_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"dev\.json names Surprise.*It has .*GreenSize"):
        parameters.chosen(chosen(tmp_path, "blue", "1", {"Surprise": "1"}), TEMPLATES)
    with pytest.raises(Refusal, match="SET names Surprise"):
        parameters.chosen(chosen(tmp_path, "blue", "1", {}, Surprise="1"), TEMPLATES)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = chosen(tmp_path, "blue", "1", {})
    path = parameters.file_of(settings, "dev")
    for text, said in (("{", "is no JSON"), ("[]", "takes"), ('{"Parameters": {"GreenSize": 1}}', "every value a string")):
        path.write_text(text)
        with pytest.raises(Refusal, match=said):
            parameters.chosen(settings, TEMPLATES)
    path.unlink()
    with pytest.raises(Refusal, match="is missing"):
        parameters.chosen(settings, TEMPLATES)


def test_the_comparison_has_what_changes_what_goes_and_hides_what_is_secret() -> None:
    rows = {row.name: row for row in parameters.compared(TEMPLATES, DEPLOYED, {"GreenSize": "2", "Password": "x"})}
    assert (rows["GreenSize"].deployed, rows["GreenSize"].wanted, rows["GreenSize"].changes) == ("1", "2", True)
    assert (rows["Gone"].wanted, rows["Gone"].changes) == (None, True)
    assert rows["Password"].shown("x") == "****"


def test_parameters_without_value_and_default_are_found() -> None:
    assert parameters.missing(TEMPLATES, {"EnvironmentName": "n"}) == ["CodeBucket", "PaymentValidationKey", "BlueRelease"]


def test_the_prefix_follows_the_contents_and_the_names() -> None:
    prefixes = {
        Templates({"template.yaml": TEMPLATE}).prefix,
        Templates({"template.yaml": TEMPLATE + b"\n"}).prefix,
        Templates({"template.yaml": TEMPLATE, "stacks/a.yaml": b""}).prefix,
        Templates({"template.yaml": TEMPLATE, "stacks/b.yaml": b""}).prefix,
    }
    assert len(prefixes) == 4
    assert Templates({"template.yaml": TEMPLATE}).prefix in prefixes


def test_a_template_that_is_too_large_for_cloudformation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(Refusal, match="CloudFormation takes 1,000,000"):
        load(tmp_path)
