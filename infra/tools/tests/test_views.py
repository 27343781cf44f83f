"""Each branch of an Fn::If is looked at, and none with another's."""

from __future__ import annotations

import pytest

from infra_tools.views import MAX_DEPTH, views


def branch(first: object, second: object) -> dict:
    return {"Fn::If": ["C", first, second]}


def test_without_conditions_there_is_one_view() -> None:
    assert views({"a": [1, {"b": 2}]}) == [{"a": [1, {"b": 2}]}]


def test_each_branch_has_a_view() -> None:
    assert views({"a": branch(1, 2), "b": branch(3, 4)}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


def test_no_value_is_nothing() -> None:
    absent = {"Ref": "AWS::NoValue"}
    assert views({"a": branch(1, absent), "b": [branch(absent, 2), 3]}) == [{"a": 1, "b": [3]}, {"b": [2, 3]}]


def test_each_branch_of_a_branch_has_a_view() -> None:
    seen = [view["a"] for view in views({"a": branch(branch(1, 2), branch(3, 4))})]
    assert sorted(seen) == [1, 2, 3, 4]


def test_a_condition_in_rules_is_no_branch() -> None:
    body = {"Fn::If": "text", "b": {"Fn::If": ["C", 1]}}
    assert views(body) == [body]


def test_too_deep_is_refused() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH + 1):
        value = branch(value, 0)
    with pytest.raises(ValueError, match="at most 4"):
        views({"a": value})
