"""How it reads: tables that fit, failures that say what failed first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from conftest import Transcript

from deploy import changes, progress, screen
from deploy.refusal import Refusal
from deploy.stack import STACK, Event

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(path: str, kind: str, reason: str, second: int, status: str = "CREATE_FAILED") -> Event:
    """An event at a second."""
    return Event(path, kind, "id", status, reason, START + timedelta(seconds=second))


def test_the_innermost_failure_is_the_one_that_is_told() -> None:
    failures = [
        event("Network", STACK, "something below failed", 1),
        event("Network/Gateway", "AWS::EC2::NatGateway", "The maximum number of addresses: LimitExceeded", 3),
        event("Network/Route", "AWS::EC2::Route", "later", 4),
    ]
    told = progress.explain(failures, None)
    assert told.startswith("Network/Gateway (AWS::EC2::NatGateway) failed first:")
    assert "Service Quotas" in told


def test_what_another_failure_brought_about_is_no_failure() -> None:
    assert not event("A", "AWS::SQS::Queue", "Resource creation cancelled", 1).failed
    assert event("A", "AWS::SQS::Queue", "Access denied", 1).failed
    assert not event("A", "AWS::SQS::Queue", "", 1, "CREATE_COMPLETE").failed


def test_a_table_fits_the_terminal() -> None:
    assert screen.fitted([40, 100, 10], 80) == [33, 33, 10] or sum(screen.fitted([40, 100, 10], 80)) + 4 <= 80
    assert screen.shortened("abcdef", 4) == "abc…"


def test_columns_stand_below_each_other(screen: Transcript) -> None:
    screen.table(["name", "count"], [["a", "1"], ["long-name", "1000"]], frozenset({1}))
    assert screen.text.splitlines() == ["  name       count", "  a              1", "  long-name   1000"]


def test_a_question_that_nobody_can_answer_is_a_no(screen: Transcript, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refusal, match="YES=1"):
        screen.confirm("Really?", "yes")


@pytest.mark.parametrize(("answer", "taken"), [("dev-payment-ab12cd34", True), ("yes", False), ("", False)])
def test_only_the_very_name_is_a_yes(
    screen: Transcript, monkeypatch: pytest.MonkeyPatch, answer: str, taken: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    if taken:
        screen.confirm("Really?", "dev-payment-ab12cd34")
    else:
        with pytest.raises(Refusal, match="nothing was changed"):
            screen.confirm("Really?", "dev-payment-ab12cd34")


def change(action: str, name: str, replacement: str = "", kind: str = "AWS::SQS::Queue") -> changes.Change:
    """One change."""
    return changes.Change(action, replacement, name, kind, "id", "Name")


def test_what_would_be_replaced_of_the_other_color_is_found() -> None:
    made = changes.ChangeSet("c", "s", False, [
        change("Modify", "BlueQueue", "True"), change("Modify", "BlueOther", "False"), change("Remove", "BlueGone"),
        change("Modify", "GreenQueue", "True"), change("Modify", "BlueStack", "True", STACK),
    ])  # fmt: skip
    assert [found.name for found in changes.touched("green", made)] == ["BlueQueue", "BlueGone"]
    assert [found.name for found in changes.touched("blue", made)] == ["GreenQueue"]
    assert made.summary == "1 to change, 3 to REPLACE, 1 to REMOVE"


def test_much_that_is_new_is_counted_by_type(screen: Transcript) -> None:
    many = [change("Add", f"Queue{number}") for number in range(50)]
    changes.show(screen, changes.ChangeSet("c", "s", True, [*many, change("Remove", "Old")]), {})
    lines = screen.text.splitlines()
    assert "change set: 50 to add, 1 to REMOVE" in lines
    assert any("50  AWS::SQS::Queue" in line for line in lines)
    assert any("REMOVE  Old" in line for line in lines)
    assert not any("Queue7" in line for line in lines)


def test_a_refusal_of_the_template_says_which_value_was_given() -> None:
    told = changes.refused("Parameter 'TickSeconds' must be a number not greater than 60", {"TickSeconds": "99", "A": "1"})
    assert "must be a number not greater than 60" in told
    assert told.endswith("given: TickSeconds='99'")
