"""What a template says with its `Fn::If` taken one way, then the other.

Guard's rules read values, not conditions. Looking only at the template as written would miss what stands in a branch;
putting both branches side by side would let one answer for the other. So each branch is looked at in a view of its own.
"""

from __future__ import annotations

from itertools import product
from typing import Any

_IF = "Fn::If"
#: A template with deeper conditions is refused: the number of views doubles with each level.
MAX_DEPTH = 4

_ABSENT = object()


def views(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The template's views: one without conditions, two per level of nested ones."""
    levels = _depth(body)
    if levels > MAX_DEPTH:
        raise ValueError(f"Fn::If is nested {levels} deep: at most {MAX_DEPTH}")
    return [_resolve(body, choice, 0) for choice in product((1, 2), repeat=levels)]


def _branches(value: Any) -> list[Any] | None:
    if not isinstance(value, dict) or list(value) != [_IF]:
        return None
    found = value[_IF]
    return found if isinstance(found, list) and len(found) == 3 else None


def _depth(value: Any) -> int:
    branches = _branches(value)
    if branches:
        return 1 + max(_depth(branches[1]), _depth(branches[2]))
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_depth(child) for child in children), default=0)


def _resolve(value: Any, choice: tuple[int, ...], level: int) -> Any:
    branches = _branches(value)
    if branches:
        return _resolve(branches[choice[level]], choice, level + 1)
    if value == {"Ref": "AWS::NoValue"}:
        return _ABSENT
    if isinstance(value, dict):
        resolved = {key: _resolve(item, choice, level) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _ABSENT}
    if isinstance(value, list):
        items = [_resolve(item, choice, level) for item in value]
        return [item for item in items if item is not _ABSENT]
    return value
