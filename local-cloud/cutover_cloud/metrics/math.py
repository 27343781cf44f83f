"""Metric math: the part of CloudWatch's expression language that alarms on error rates are made of.

Numbers, ids of other queries, `+ - * / ^`, comparisons, `&& ||` (also `AND OR`), parentheses, arrays, and the
functions FILL, IF, SUM, MAX, MIN, AVG, ABS, RATE and METRICS.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

# The value of each period by its start in epoch seconds.
Series = dict[int, float]
Value = float | Series | list[Series]

_TOKEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[A-Za-z_]\w*|&&|\|\||[<>=!]=|[-+*/^<>()\[\],])")
# Loosest first.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||", "OR"),
    ("&&", "AND"),
    ("==", "!=", "<", ">", "<=", ">="),
    ("+", "-"),
    ("*", "/"),
    ("^",),
)
_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "||": lambda a, b: float(bool(a) or bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
    "&&": lambda a, b: float(bool(a) and bool(b)),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}


class ExpressionError(ValueError):
    """The expression is not of the language, or names something unknown."""


@dataclass(frozen=True)
class Scope:
    """What an expression may name, and the periods that it is evaluated over."""

    lookup: Callable[[str], Value]
    metrics: Callable[[], list[Series]]
    grid: range


def evaluate(expression: str, scope: Scope) -> Value:
    """The value of an expression. Raises ExpressionError."""
    parser = _Parser(_tokens(expression), scope)
    value = parser.level(0)
    parser.end()
    return value


def as_series(value: Value, grid: range) -> Series:
    """A scalar is the same at each period; an array of series is no series."""
    if isinstance(value, list):
        raise ExpressionError("the expression returns several time series")
    return {at: value for at in grid} if isinstance(value, float) else value


def _tokens(expression: str) -> list[str]:
    tokens, position = [], 0
    text = expression.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"unexpected {text[position : position + 10]!r}")
        tokens.append(found[1])
        position = found.end()
    return tokens


class _Parser:
    """Recursive descent that computes while it parses: expressions are short and evaluated seldom."""

    def __init__(self, tokens: list[str], scope: Scope) -> None:
        self._tokens = tokens
        self._at = 0
        self._scope = scope

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._at]!r}")

    def level(self, depth: int) -> Value:
        if depth == len(_LEVELS):
            return self._unary()
        value = self.level(depth + 1)
        while self._peek() in _LEVELS[depth]:
            symbol = self._next()
            value = _combine(_OPERATORS[symbol], value, self.level(depth + 1))
        return value

    def _unary(self) -> Value:
        if self._peek() == "-":
            self._next()
            return _combine(operator.mul, -1.0, self._unary())
        return self._atom()

    def _atom(self) -> Value:
        token = self._next()
        if token == "(":
            value = self.level(0)
            self._expect(")")
            return value
        if token == "[":
            return [as_series(item, self._scope.grid) for item in self._list("]")]
        if token[0].isdigit() or token[0] == ".":
            return float(token)
        if self._peek() == "(":
            self._next()
            return self._call(token.upper())
        if token[0].isalpha() or token[0] == "_":
            return self._scope.lookup(token)
        raise ExpressionError(f"unexpected {token!r}")

    def _call(self, name: str) -> Value:
        if name == "METRICS":
            self._expect(")")
            return list(self._scope.metrics())
        if name == "FILL":
            return self._fill()
        arguments = self._list(")")
        if name == "IF" and len(arguments) in (2, 3):
            return _choose(arguments, self._scope.grid)
        if name in ("ABS", "RATE") and len(arguments) == 1 and isinstance(arguments[0], dict):
            series = arguments[0]
            return {at: abs(value) for at, value in series.items()} if name == "ABS" else _rate(series)
        if name in _AGGREGATES and len(arguments) == 1:
            return _aggregate(_AGGREGATES[name], arguments[0])
        raise ExpressionError(f"{name} with {len(arguments)} arguments is not supported")

    def _fill(self) -> Value:
        series = self.level(0)
        self._expect(",")
        mode: Value | str
        if self._peek().upper() == "REPEAT":
            mode = self._next().upper()
        else:
            mode = self.level(0)
        self._expect(")")
        if isinstance(series, list):
            return [_filled(each, mode, self._scope.grid) for each in series]
        return _filled(as_series(series, self._scope.grid), mode, self._scope.grid)

    def _list(self, closing: str) -> list[Value]:
        values: list[Value] = []
        while self._peek() != closing:
            values.append(self.level(0))
            if self._peek() != closing:
                self._expect(",")
        self._expect(closing)
        return values

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise ExpressionError("unexpected end")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise ExpressionError(f"expected {token!r}")


def _combine(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Scalar with scalar, or per period where both sides have a value. A division by zero has no value."""
    if isinstance(left, list):
        return [_as_one(_combine(function, each, right)) for each in left]
    if isinstance(right, list):
        return [_as_one(_combine(function, left, each)) for each in right]
    if isinstance(left, float) and isinstance(right, float):
        try:
            return float(function(left, right))
        except (ZeroDivisionError, OverflowError):
            return {}
    periods = left.keys() if isinstance(left, dict) else right.keys()  # type: ignore[union-attr]
    result: Series = {}
    for at in periods:
        a = left.get(at) if isinstance(left, dict) else left
        b = right.get(at) if isinstance(right, dict) else right
        if a is not None and b is not None:
            try:
                result[at] = float(function(a, b))
            except (ZeroDivisionError, OverflowError):
                continue
    return result


def _as_one(value: Value) -> Series:
    if not isinstance(value, dict):
        raise ExpressionError("arrays cannot be nested")
    return value


def _choose(arguments: list[Value], grid: range) -> Series:
    condition = as_series(arguments[0], grid)
    branches = [as_series(branch, grid) for branch in arguments[1:]]
    chosen: Series = {}
    for at, value in condition.items():
        branch = branches[0] if value else (branches[1] if len(branches) == 2 else {})
        if at in branch:
            chosen[at] = branch[at]
    return chosen


def _filled(series: Series, mode: Value | str, grid: range) -> Series:
    filled: Series = {}
    last: float | None = None
    constant = as_series(mode, grid) if not isinstance(mode, str) else {}
    for at in grid:
        value = series.get(at, last if mode == "REPEAT" else constant.get(at))
        if value is not None:
            filled[at] = last = value
    return filled


def _rate(series: Series) -> Series:
    ordered = sorted(series.items())
    return {
        at: (value - before) / (at - earlier)
        for (earlier, before), (at, value) in zip(ordered, ordered[1:], strict=False)
    }


_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": lambda values: float(sum(values)),
    "MAX": max,
    "MIN": min,
    "AVG": lambda values: sum(values) / len(values),
}


def _aggregate(function: Callable[[list[float]], float], value: Value) -> Value:
    """One series gives a scalar; an array gives a series of those that have a value at each period."""
    if isinstance(value, dict):
        return float(function(list(value.values()))) if value else {}
    if isinstance(value, float):
        return value
    periods = sorted({at for each in value for at in each})
    return {at: float(function([each[at] for each in value if at in each])) for at in periods}
