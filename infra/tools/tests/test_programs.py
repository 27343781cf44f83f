"""cfn-guard, cfn-lint and checkov as the checks run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, Write

from infra_tools import guard, lint, policy_scan

BINARY = ROOT / "run" / "tools" / "bin" / "cfn-guard"
RULES = (ROOT / "infra" / "guard" / "encryption.guard").read_text()
RULE = "PCI_3_7_4_KEY_ROTATES"


@pytest.fixture
def rules(infra: Path) -> Path:
    """A folder of one of our rule files."""
    assert BINARY.exists(), "cfn-guard is not installed: make check installs it"
    (infra / "guard" / "tests").mkdir(parents=True)
    (infra / "guard" / "encryption.guard").write_text(RULES)
    return infra / "guard"


def key(rotation: str, metadata: str = "") -> str:
    return (
        f"Resources: {{ Key: {{ Type: AWS::KMS::Key, {metadata} Properties: {{ EnableKeyRotation: {rotation} }} }} }}"
    )


def suppressed(reason: str) -> str:
    return f"Metadata: {{ guard: {{ SuppressedRules: [{RULE}], Reasons: {{ {RULE}: {reason} }} }} }},"


@pytest.mark.parametrize(
    ("template", "finding"),
    [
        (key("true"), None),
        (key("false"), f"root: Key: {RULE}: PCI DSS 3.7.4"),
        (key("!If [C, true, false]"), f"root: Key: {RULE}: PCI DSS 3.7.4"),
        (key("!If [C, true, true]"), None),
        (key("false", suppressed("keys of a test are gone before they could turn")), None),
        (key("false", suppressed("why not")), f"root: Key: suppresses {RULE} without a reason"),
        (
            key("true", suppressed("keys of a test are gone before they could turn")),
            f"root: Key: suppresses {RULE} needlessly",
        ),
        (
            key("true", "Metadata: { guard: { SuppressedRules: [GONE] } },"),
            "root: Key: suppresses GONE, which is no rule of ours",
        ),
        (
            key("true", f"Metadata: {{ guard: {{ Reasons: {{ {RULE}: x }} }} }},"),
            f"root: Key: has a reason for {RULE}, which it does not suppress",
        ),
    ],
)
def test_templates_against_rules(
    write: Write, infra: Path, rules: Path, tmp_path: Path, template: str, finding: str | None
) -> None:
    found = guard.check(write(template), infra, BINARY, tmp_path / "views").findings
    if finding is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(finding)


def test_a_rule_without_a_test_is_found(infra: Path, rules: Path) -> None:
    tests = (ROOT / "infra" / "guard" / "tests" / "encryption_tests.yaml").read_text()
    (rules / "tests" / "encryption_tests.yaml").write_text(tests)
    assert guard.check_rules(infra, BINARY).findings == []
    (rules / "tests" / "encryption_tests.yaml").write_text(tests.replace(f"      {RULE}: FAIL\n", ""))
    assert f"{RULE}: no test in infra/guard/tests expects FAIL" in guard.check_rules(infra, BINARY).findings


def test_a_rule_that_says_otherwise_than_its_test_is_found(infra: Path, rules: Path) -> None:
    tests = (ROOT / "infra" / "guard" / "tests" / "encryption_tests.yaml").read_text()
    (rules / "tests" / "encryption_tests.yaml").write_text(tests)
    (rules / "encryption.guard").write_text(RULES.replace("EnableKeyRotation == true", "EnableKeyRotation exists"))
    found = guard.check_rules(infra, BINARY).findings
    assert len(found) == 1
    assert RULE in found[0]


def test_rules_that_can_not_be_read_break_the_check(write: Write, infra: Path, rules: Path, tmp_path: Path) -> None:
    (rules / "broken.guard").write_text("rule {")
    with pytest.raises(RuntimeError, match="cfn-guard"):
        guard.check(write(key("true")), infra, BINARY, tmp_path / "views")


def test_lint_finds_and_asks_for_reasons(write: Write) -> None:
    assert any(
        "E3002" in finding
        for finding in lint.check(
            write("Resources: { K: { Type: AWS::KMS::Key, Properties: { Nothing: 1 } } }")
        ).findings
    )
    ignored = "Metadata: { cfn-lint: { config: { ignore_checks: [W2001] } } }\nParameters: { P: { Type: String } }\n"
    found = lint.check(write(ignored + "Resources: { T: { Type: AWS::SNS::Topic } }")).findings
    assert found == ["root: template: ignores W2001 without a reason in Metadata, cfn-lint, Reasons"]


def scanner(tmp_path: Path, failed: list[tuple[str, str]], errors: int = 0) -> Path:
    """A checkov that says this."""
    report = {
        "summary": {"passed": 3, "parsing_errors": errors},
        "results": {
            "parsing_errors": ["x.yaml"] * errors,
            "failed_checks": [
                {"check_id": c, "resource": f"AWS::S3::Bucket.{r}", "check_name": "name", "file_path": "/template.yaml"}
                for c, r in failed
            ],
        },
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    program = tmp_path / "checkov"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path}/report.json'\nexit 1\n")
    program.chmod(0o755)
    return program


EXCEPTION = '- { check: CKV_1, resources: ["root: Logs"], reason: a log of a log bucket has no end }\n'


@pytest.mark.parametrize(
    ("exceptions", "failed", "findings"),
    [
        (EXCEPTION, [("CKV_1", "Logs")], []),
        ("[]", [("CKV_1", "Logs")], ["root: Logs: CKV_1: name"]),
        (EXCEPTION, [("CKV_1", "Logs"), ("CKV_1", "Other")], ["root: Other: CKV_1: name"]),
        (EXCEPTION, [], ["infra/checkov.yaml: CKV_1 has no failure at root: Logs: take it out"]),
        (
            EXCEPTION.replace("a log of a log bucket has no end", "why"),
            [("CKV_1", "Logs")],
            ["infra/checkov.yaml: CKV_1 has no reason"],
        ),
    ],
)
def test_scan(write: Write, infra: Path, tmp_path: Path, exceptions: str, failed: list, findings: list[str]) -> None:
    templates = write()
    (infra / "checkov.yaml").write_text(exceptions)
    program = scanner(tmp_path, failed)
    assert policy_scan.check(templates, infra, program).findings == findings


def test_a_scan_that_could_not_read_a_template_breaks(write: Write, infra: Path, tmp_path: Path) -> None:
    (infra / "checkov.yaml").write_text("[]")
    with pytest.raises(RuntimeError, match="can't read"):
        policy_scan.check(write(), infra, scanner(tmp_path, [], errors=1))
