"""The same templates give the same files, and a change of either is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Write

from infra_tools import coverage, generated

ROOT_TEMPLATE = """
Parameters: { TemplatePrefix: { Type: String } }
Resources:
  Network:
    Type: AWS::CloudFormation::Stack
    Properties: { TemplateURL: !Sub "https://b/${TemplatePrefix}/stacks/network.yaml", Tags: [{ Key: K, Value: keep.yaml }] }
"""
NETWORK = "Resources: { Vpc: { Type: 'AWS::EC2::VPC', Condition: Has } }\n"


def prepared(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> list:
    monkeypatch.setattr(coverage, "NUMBERS", ("R001",))
    (infra / "requirements.yaml").write_text("R001: { asks: A network, met: [{ network: [Vpc] }] }\n")
    (infra / "checkov.yaml").write_text("[]")
    (infra / "guard").mkdir()
    return write(ROOT_TEMPLATE, network=NETWORK)


def test_what_was_generated_passes_and_is_the_same_again(
    write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = prepared(write, infra, monkeypatch)
    assert len(generated.write(templates, infra)) == 5
    assert generated.write(templates, infra) == []
    assert generated.check(templates, infra).findings == []


def test_nested_urls_end_in_json_and_nothing_else_does(
    write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated.write(prepared(write, infra, monkeypatch), infra)
    properties = json.loads((infra / "generated/template.json").read_text())["Resources"]["Network"]["Properties"]
    assert properties["TemplateURL"] == {"Fn::Sub": "https://b/${TemplatePrefix}/stacks/network.json"}
    assert properties["Tags"][0]["Value"] == "keep.yaml"


def test_a_change_is_found_and_told(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated.write(prepared(write, infra, monkeypatch), infra)
    templates = write(ROOT_TEMPLATE, network=NETWORK.replace("Has", "Other"))
    found = "\n".join(generated.check(templates, infra).findings)
    assert "infra/generated/stacks/network.json differs in 2 lines: make generate" in found
    assert '-      "Condition": "Has"' in found
    assert '+      "Condition": "Other"' in found


def test_missing_and_stray_files_are_found(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = prepared(write, infra, monkeypatch)
    generated.write(templates, infra)
    (infra / "generated/stacks/network.json").rename(infra / "generated/stacks/old.json")
    assert generated.check(templates, infra).findings == [
        "infra/generated/stacks/network.json is missing: make generate",
        "infra/generated/stacks/old.json is generated no more: make generate",
    ]
    generated.write(templates, infra)
    assert generated.check(templates, infra).findings == []


def test_the_tables(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generated.write(prepared(write, infra, monkeypatch), infra)
    assert "| R001 | A network | network: `Vpc` |" in (infra / "REQUIREMENTS.md").read_text()
    resources = (infra / "RESOURCES.md").read_text()
    assert "| `Vpc` | `AWS::EC2::VPC` | Has |" in resources
    assert "| root | 1 | 1 | 0 | 0 |" in resources


GUARD = """
let networks = Resources.*[ Type == 'AWS::EC2::VPC'
  Metadata.guard.SuppressedRules not exists ]

rule PCI_1_3_1_VPC_IS_CLOSED when %networks !empty {
  %networks.Properties.Closed == true <<PCI DSS 1.3.1: a VPC is closed>>
}
"""


def test_the_page_of_rules(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = prepared(write, infra, monkeypatch)
    (infra / "guard" / "a.guard").write_text(GUARD)
    generated.write(templates, infra)
    page = (infra / "guard" / "RULES.md").read_text()
    assert (
        "| 1.3.1 | What comes in is only what is needed | `PCI_1_3_1_VPC_IS_CLOSED` | a VPC is closed | network 1 |"
        in page
    )


def test_a_rule_of_an_unknown_requirement_is_refused(
    write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = prepared(write, infra, monkeypatch)
    (infra / "guard" / "a.guard").write_text(GUARD.replace("PCI_1_3_1_", "PCI_99_1_"))
    with pytest.raises(ValueError, match=r"PCI DSS 99\.1 is not in"):
        generated.render(templates, infra)
