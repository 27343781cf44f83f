"""The templates are read as CloudFormation reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra_tools.documents import DocumentError, parse

HERE = Path("t.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: !Ref B", {"a": {"Ref": "B"}}),
        ("a: !GetAtt B.C", {"a": {"Fn::GetAtt": ["B", "C"]}}),
        ("a: !GetAtt B.Outputs.C", {"a": {"Fn::GetAtt": ["B", "Outputs.C"]}}),
        ("a: !GetAtt [B, C]", {"a": {"Fn::GetAtt": ["B", "C"]}}),
        ("a: !Condition B", {"a": {"Condition": "B"}}),
        ("a: !If [B, !Ref C, !Sub '${D}']", {"a": {"Fn::If": ["B", {"Ref": "C"}, {"Fn::Sub": "${D}"}]}}),
        ("a: 2012-10-17", {"a": "2012-10-17"}),
        ("a: [1, true, '1', 'true', ~]", {"a": [1, True, "1", "true", None]}),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse(text, HERE) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1\nb: *x", "t.yaml:1: CloudFormation takes no anchors"),
        ("a: 1\nb: 2\na: 3", "t.yaml:3: a stands here twice"),
        ("a: 03:00", None),
        ("a: 3:10", "t.yaml:1: 3:10 is read as a number in another base"),
        ("a: 010", "t.yaml:1: 010 is read as a number in another base"),
        ("a: 1_000", "t.yaml:1: 1_000 is read as a number in another base"),
        ("a: on", "t.yaml:1: on is read as true or false"),
        ("a: !Reff B", "t.yaml:1: !Reff is not a function of CloudFormation"),
        ("a: [1", "t.yaml:1: expected ',' or ']'"),
        ("? [a]\n: 1", "t.yaml:1: a key is a word"),
    ],
)
def test_what_is_not_what_it_looks_like(text: str, problem: str | None) -> None:
    if problem is None:
        assert parse(text, HERE) == {"a": "03:00"}
        return
    with pytest.raises(DocumentError) as refused:
        parse(text, HERE)
    assert str(refused.value).startswith(problem)
