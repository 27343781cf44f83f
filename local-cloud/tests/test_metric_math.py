"""The expression language."""

from __future__ import annotations

import pytest

from cutover_cloud.metrics.math import ExpressionError, Scope, Value, as_series, evaluate

GRID = range(0, 180, 60)
NAMED: dict[str, Value] = {"errors": {0: 1.0, 120: 3.0}, "requests": {0: 10.0, 60: 0.0, 120: 30.0}, "none": {}}


def lookup(name: str) -> Value:
    """A named series."""
    if name not in NAMED:
        raise ExpressionError(name)
    return NAMED[name]


SCOPE = Scope(lookup, lambda: [NAMED["errors"], NAMED["requests"]], GRID)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("-2 ^ 2", 4.0),
        ("10 / 4 - 1", 1.5),
        ("1.5e1", 15.0),
        ("2 > 1 && 1 >= 2", 0.0),
        ("errors", {0: 1.0, 120: 3.0}),
        ("100 * errors / requests", {0: 10.0, 120: 10.0}),
        ("FILL(errors, 0)", {0: 1.0, 60: 0.0, 120: 3.0}),
        ("FILL(errors, REPEAT)", {0: 1.0, 60: 1.0, 120: 3.0}),
        ("FILL(none, 0)", {0: 0.0, 60: 0.0, 120: 0.0}),
        ("FILL(errors, 0) / requests", {0: 0.1, 120: 0.1}),
        ("IF(requests >= 10, 100 * errors / requests, 0)", {0: 10.0, 60: 0.0, 120: 10.0}),
        ("IF(requests > 0, FILL(errors, 0) / requests)", {0: 0.1, 120: 0.1}),
        ("SUM(errors)", 4.0),
        ("SUM([errors, requests])", {0: 11.0, 60: 0.0, 120: 33.0}),
        ("SUM(METRICS())", {0: 11.0, 60: 0.0, 120: 33.0}),
        ("MAX([errors, requests])", {0: 10.0, 60: 0.0, 120: 30.0}),
        ("MAX(requests)", 30.0),
        ("MIN(requests) + AVG(errors)", 2.0),
        ("RATE(requests)", {60: -1 / 6, 120: 0.5}),
        ("1 / 0", {}),
    ],
)
def test_value(expression: str, expected: Value) -> None:
    assert evaluate(expression, SCOPE) == pytest.approx(expected)


@pytest.mark.parametrize(
    "expression",
    ["", "1 +", "(1", "unknown", "errors requests", "SUM()", "EXEC(1)", "1 $ 2", "FILL(errors)", "[[errors]]"],
)
def test_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, SCOPE)


def test_array_is_no_series() -> None:
    with pytest.raises(ExpressionError):
        as_series(evaluate("[errors, requests]", SCOPE), GRID)
