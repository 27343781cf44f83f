"""The examples in AWS's page on missing data, and what follows from its text."""

from __future__ import annotations

import pytest

from cutover_cloud.alarms.evaluation import Missing, Rule, State, decide

OK, ALARM, NO_DATA, STAYS = State.OK, State.ALARM, State.INSUFFICIENT_DATA, None


def points(text: str) -> list[float | None]:
    """`0` does not breach, `X` does, `-` is missing; oldest first."""
    return [{"0": 0.0, "X": 2.0, "-": None}[letter] for letter in text]


def outcomes(text: str, needed: int, periods: int) -> list[State | None]:
    """The states with missing, ignore, breaching and notBreaching."""
    return [
        decide(Rule("GreaterThanThreshold", 1.0, periods, needed, missing), points(text))
        for missing in (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-X-X", [OK, OK, OK, OK]),
        ("0----", [OK, OK, OK, OK]),
        ("-----", [NO_DATA, STAYS, ALARM, OK]),
        ("0XX-X", [ALARM, ALARM, ALARM, ALARM]),
        ("--X--", [ALARM, STAYS, ALARM, OK]),
    ],
)
def test_three_of_three(text: str, expected: list[State | None]) -> None:
    assert outcomes(text, 3, 3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-X-X", [ALARM, ALARM, ALARM, ALARM]),
        ("00X0X", [ALARM, ALARM, ALARM, ALARM]),
        ("0-X--", [OK, OK, ALARM, OK]),
        ("----0", [OK, OK, ALARM, OK]),
        ("---X-", [ALARM, STAYS, ALARM, OK]),
    ],
)
def test_two_of_three(text: str, expected: list[State | None]) -> None:
    assert outcomes(text, 2, 3) == expected


def test_one_late_datapoint_does_not_alarm_early() -> None:
    assert outcomes("----X", 3, 3) == [STAYS, STAYS, ALARM, OK]


@pytest.mark.parametrize(
    ("comparison", "at_threshold"),
    [
        ("GreaterThanThreshold", OK),
        ("GreaterThanOrEqualToThreshold", ALARM),
        ("LessThanThreshold", OK),
        ("LessThanOrEqualToThreshold", ALARM),
    ],
)
def test_comparisons(comparison: str, at_threshold: State) -> None:
    assert decide(Rule(comparison, 1.0, 1, 1, Missing.MISSING), [None, None, 1.0]) == at_threshold
