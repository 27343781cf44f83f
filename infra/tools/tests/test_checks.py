"""Wiring, quotas, drift, names and tags: each finds what is wrong, and nothing in what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Write

from infra_tools import drift, inventory, quotas, wiring
from infra_tools.results import Outcome, run_all, table

NESTED = """
Parameters: { Needed: { Type: String }, Optional: { Type: String, Default: "" } }
Resources: { Vpc: { Type: AWS::EC2::VPC } }
Outputs: { VpcId: { Value: !Ref Vpc } }
"""


def root(
    parameters: str = "{ Needed: a }", reads: str = "!GetAtt Network.Outputs.VpcId", url: str = "stacks/network.yaml"
) -> str:
    return f"""
Parameters: {{ TemplatePrefix: {{ Type: String }} }}
Resources:
  Network:
    Type: AWS::CloudFormation::Stack
    Properties: {{ TemplateURL: !Sub "https://b/${{TemplatePrefix}}/{url}", Parameters: {parameters} }}
Outputs: {{ VpcId: {{ Value: {reads} }} }}
"""


def test_what_fits_together(write: Write, infra: Path) -> None:
    assert wiring.check(write(root(), network=NESTED), infra).findings == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (root("{}"), "root: Network: does not pass Needed, which network needs"),
        (root("{ Needed: a, Other: b }"), "root: Network: passes Other, which network does not take"),
        (
            root(reads="!GetAtt Network.Outputs.Gone"),
            "root: reads Network.Outputs.Gone, which network does not put out",
        ),
        (
            root(reads='!Sub "x-${Network.Outputs.Gone}"'),
            "root: reads Network.Outputs.Gone, which network does not put out",
        ),
        (root(url="stacks/gone.yaml"), "root: Network: its TemplateURL names no template of infra"),
        ("Transform: AWS::Serverless-2016-10-31\n" + root(), "root: has a Transform"),
    ],
)
def test_what_does_not_fit(write: Write, infra: Path, text: str, problem: str) -> None:
    found = wiring.check(write(text, network=NESTED), infra).findings
    assert any(problem in finding for finding in found), found


def test_a_template_that_nothing_nests_and_one_that_exports(write: Write, infra: Path) -> None:
    exporting = NESTED.replace("!Ref Vpc }", "!Ref Vpc, Export: { Name: n } }")
    found = wiring.check(write(root(), network=exporting, spare=NESTED), infra).findings
    assert found == [
        "network: exports VpcId: an export in use can't be changed, so nested stacks have none",
        "spare: no stack nests this template",
    ]


def test_quotas(write: Write) -> None:
    many = "Resources: {" + ", ".join(f"R{i}: {{ Type: A }}" for i in range(501)) + "}\nOutputs: {a_b: {Value: 1}}\n"
    found = quotas.check(write(network=many, big=NESTED + "#" * 51_200, odd="Resources: { a-b: { Type: A } }")).findings
    assert [finding.split(",")[0] for finding in found] == [
        "big: bytes of YAML: 51367",
        "network: Resources: 501",
        "odd: Resources a-b: a logical id has letters and digits only",
    ]


def drift_of(write: Write, infra: Path, listed: str) -> list[str]:
    (infra / "drift.yaml").write_text(listed)
    types = ("AWS::KMS::Key", "AWS::SNS::TopicPolicy")
    return drift.check(
        write("Resources: {" + ", ".join(f"R{i}: {{ Type: '{t}' }}" for i, t in enumerate(types)) + "}"), infra
    ).findings


def test_drift(write: Write, infra: Path) -> None:
    reason = "AWS::SNS::TopicPolicy: there is no other way to say it"
    assert drift_of(write, infra, f"detected: ['AWS::KMS::Key']\nnot detected: {{ {reason} }}") == []
    assert drift_of(write, infra, f"detected: []\nnot detected: {{ {reason} }}") == [
        "AWS::KMS::Key is in use and not in infra/drift.yaml"
    ]
    assert drift_of(write, infra, "detected: ['AWS::KMS::Key', 'AWS::SNS::TopicPolicy']\nnot detected: {}") == [
        "AWS::SNS::TopicPolicy: the registry has no read handler for it, so drift is not detected"
    ]
    swapped = drift_of(
        write,
        infra,
        "detected: []\nnot detected: { 'AWS::KMS::Key': x, 'AWS::S3::Bucket': x, 'AWS::SNS::TopicPolicy': x }",
    )
    assert "AWS::KMS::Key: the registry has a read handler for it: list it under detected" in swapped
    assert "AWS::S3::Bucket is in infra/drift.yaml and not in use" in swapped
    assert "AWS::SNS::TopicPolicy: say why it is used though drift is not detected" in swapped


TAGS = ", ".join(f"{{ Key: {key}, Value: v }}" for key in inventory.TAGS)


@pytest.mark.parametrize(
    ("resource", "problems"),
    [
        (
            f"{{ Type: AWS::SNS::Topic, Properties: {{ TopicName: !Sub 'topic-${{EnvironmentName}}', Tags: [{TAGS}] }} }}",
            [],
        ),
        (
            "{ Type: AWS::SNS::Topic, Properties: { TopicName: topic } }",
            ["has no tag Environment, Project", "TopicName does not contain"],
        ),
        (
            f"{{ Type: AWS::SNS::Topic, Properties: {{ Tags: [{TAGS}] }} }}",
            ["has no TopicName, so its name would be made up"],
        ),
        ("{ Type: AWS::Lambda::Version, Properties: { FunctionName: !Ref Function } }", []),
        ("{ Type: AWS::EC2::Route, Properties: {} }", []),
        ("{ Type: Custom::Switch, Properties: {} }", []),
        ("{ Type: AWS::EC2::VPC, Properties: { Tags: !If [C, [], []] } }", ["has no tag Environment"]),
    ],
)
def test_names_and_tags(write: Write, resource: str, problems: list[str]) -> None:
    found = inventory.check(write(f"Resources: {{ R: {resource} }}")).findings
    assert len(found) == len(problems)
    for problem, finding in zip(problems, sorted(found, key=lambda f: "TAGS" not in f), strict=True):
        assert problem in finding


def test_a_color_is_a_tag_where_there_is_one(write: Write) -> None:
    vpc = f"{{ Type: AWS::EC2::VPC, Properties: {{ Tags: [{TAGS}] }} }}"
    assert inventory.check(write(f"Resources: {{ R: {vpc} }}")).findings == []
    found = inventory.check(write(f"Parameters: {{ Color: {{ Type: String }} }}\nResources: {{ R: {vpc} }}")).findings
    assert found == ["root: R: PCI_12_5_1_TAGS_ARE_COMPLETE: has no tag DeploymentColor"]


def test_a_check_that_breaks_is_a_finding_of_its_own() -> None:
    def broken() -> Outcome:
        raise RuntimeError("no such program")

    results = run_all({"broken": broken, "fine": lambda: Outcome(2, [], "all well")}, workers=2)
    assert [result.outcome.findings for result in results] == [
        ["the check itself failed: RuntimeError: no such program"],
        [],
    ]
    lines = table(results).splitlines()
    assert lines[0].split() == ["check", "files", "findings", "seconds"]
    assert lines[1].split()[:3] == ["broken", "0", "1"]
    assert lines[2].endswith("all well")
