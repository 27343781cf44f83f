"""Conditions of templates, with the functions that AWS takes in them and MiniStack does not: FindInMap, Join, Split, Sub.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

FUNCTIONS = frozenset({"Fn::FindInMap", "Fn::Join", "Fn::Split", "Fn::Sub"})


def _plain(value: Any, params: dict[str, Any], mappings: dict[str, Any]) -> Any:
    """The expression with those functions replaced by what they give, and the rest as it is."""
    if isinstance(value, list):
        return [_plain(member, params, mappings) for member in value]
    if not isinstance(value, dict):
        return value
    if FUNCTIONS & value.keys():
        return engine._resolve_refs(value, {}, params, {}, mappings, "", "")
    return {name: _plain(member, params, mappings) for name, member in value.items()}


def install() -> None:
    """Replace them before MiniStack looks."""
    evaluate = engine._evaluate_conditions

    def evaluate_conditions(template: dict[str, Any], params: dict[str, Any]) -> dict[str, bool]:
        declared = template.get("Conditions")
        if declared:
            template = {**template, "Conditions": _plain(declared, params, template.get("Mappings", {}))}
        result: dict[str, bool] = evaluate(template, params)
        return result

    for module in (engine, stacks, handlers, changesets):
        module._evaluate_conditions = evaluate_conditions
