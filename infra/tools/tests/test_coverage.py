"""A requirement is met by what is there, or decided; never silently neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Write

from infra_tools import coverage

ROOT_TEMPLATE = """
Parameters: { Name: { Type: String, AllowedPattern: "^a$" } }
Resources:
  Key: { Type: AWS::KMS::Key, Properties: { EnableKeyRotation: true, Tags: [{ Key: Name, Value: !Sub "key-${Name}" }] } }
  Spare: { Type: AWS::KMS::Key, Properties: { EnableKeyRotation: true } }
Outputs: { KeyId: { Value: !Ref Key } }
"""


def findings(
    write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch, entries: str, numbers: tuple[str, ...] = ("R001",)
) -> list[str]:
    monkeypatch.setattr(coverage, "NUMBERS", numbers)
    (infra / "requirements.yaml").write_text(entries)
    (infra / "guard").mkdir(exist_ok=True)
    (infra / "guard" / "a.guard").write_text("rule KEYS_ROTATE when %keys !empty {\n}\n")
    (infra.parent / "README.md").write_text("how to go back\n")
    return coverage.check(write(ROOT_TEMPLATE), infra).findings


@pytest.mark.parametrize(
    "matcher",
    [
        "{ root: [Key, Spare] }",
        "{ root.parameters: [Name] }",
        "{ root.outputs: [KeyId] }",
        "{ in: root, type: 'AWS::KMS::Key', count: 2 }",
        "{ in: root, type: 'AWS::KMS::Key' }",
        "{ in: root, path: Parameters.Name.AllowedPattern, is: '^a$' }",
        "{ in: root, path: 'Resources.Key.Properties.Tags.*.Value', has: key- }",
        "{ every: 'AWS::KMS::Key', path: Properties.EnableKeyRotation, is: true }",
        "{ file: README.md }",
        "{ file: README.md, says: go back }",
        "{ guard: KEYS_ROTATE }",
    ],
)
def test_met(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch, matcher: str) -> None:
    assert findings(write, infra, monkeypatch, f"R001: {{ asks: Keys, met: [{matcher}] }}") == []


@pytest.mark.parametrize(
    ("matcher", "problem"),
    [
        ("{ root: [Gone] }", "root has no Gone in its Resources"),
        ("{ root: [] }", "root has no  in its Resources"),
        ("{ network: [Key] }", "there is no template network"),
        ("{ root.parameter: [Name] }", "root.parameter: a template has no Parameter"),
        ("{ in: network, path: Resources }", "there is no template network"),
        ("{ in: root, type: 'AWS::KMS::Key', count: 3 }", "root has 2 of AWS::KMS::Key, not 3"),
        ("{ in: root, type: 'AWS::S3::Bucket' }", "root has 0 of AWS::S3::Bucket, not one at least"),
        (
            "{ in: root, path: Parameters.Name.AllowedPattern, is: b }",
            "Parameters.Name.AllowedPattern is ['^a$'], not 'b'",
        ),
        ("{ in: root, path: Parameters.Name.Default, is: b }", "root has nothing at Parameters.Name.Default"),
        ("{ in: root, path: 'Resources.Key.Properties.Tags.*.Value', has: table- }", "does not have 'table-'"),
        ("{ every: 'AWS::KMS::Key', path: Properties.Tags }", "root: Spare has nothing at Properties.Tags"),
        ("{ every: 'AWS::S3::Bucket', path: Properties }", "there is no AWS::S3::Bucket"),
        ("{ file: GONE.md }", "there is no file GONE.md"),
        ("{ file: README.md, says: forward }", "README.md does not say 'forward'"),
        ("{ guard: GONE }", "GONE is no rule of infra/guard"),
    ],
)
def test_not_met(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch, matcher: str, problem: str) -> None:
    found = findings(write, infra, monkeypatch, f"R001: {{ asks: Keys, met: [{matcher}] }}")
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ("R002: { asks: Keys, met: [{ root: [Key] }] }", "R001: is neither met nor decided: it is missing"),
        (
            "R001: { asks: Keys, met: [] }\nR002: { asks: Keys, met: [{ root: [Key] }] }",
            "R001: is neither met nor decided",
        ),
        (
            "R001: { asks: Keys, decided: never }\nR002: { asks: Keys, met: [{ root: [Key] }] }",
            "R001: is neither met nor decided",
        ),
        (
            "R001: { met: [{ root: [Key] }] }\nR002: { asks: Keys, met: [{ root: [Key] }] }",
            "R001: does not say what is asked",
        ),
        (
            "R001: { asks: K, met: [{ root: [Key] }] }\nR003: { asks: K, met: [{ root: [Key] }] }",
            "R003: no such number",
        ),
        (
            "R002: { asks: K, met: [{ root: [Key] }] }\nR001: { asks: K, met: [{ root: [Key] }] }",
            "the numbers are in order",
        ),
        ("R001: { asks: K, meet: [] }\nR002: { asks: K, met: [{ root: [Key] }] }", "R001: has meet"),
    ],
)
def test_no_number_is_silent(
    write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch, entries: str, problem: str
) -> None:
    found = findings(write, infra, monkeypatch, entries, ("R001", "R002"))
    assert any(problem in finding for finding in found), found


def test_a_decision_is_enough(write: Write, infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        findings(write, infra, monkeypatch, "R001: { asks: Tags of others, decided: They are those of another team. }")
        == []
    )
