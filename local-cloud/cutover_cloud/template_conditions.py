"""Conditions in templates that compare more than a parameter: MiniStack resolves `Ref` and `Fn::Select` in them only.

Fn::Join, Fn::Split and Fn::Sub over parameters and pseudo parameters are replaced by what they give, before it looks.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html
"""

from __future__ import annotations

import re
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import changesets, engine, handlers, stacks

_NAMED = re.compile(r"\$\{(!?[^}]+)\}")


class _Resolver:
    """Gives the values of functions over the parameters of one stack."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters

    def named(self, name: str) -> str:
        """The value of a parameter or pseudo parameter."""
        if name in self._parameters:
            return str(self._parameters[name]["Value"])
        pseudo = {"AWS::Region": get_region(), "AWS::AccountId": get_account_id(), "AWS::Partition": "aws",
                  "AWS::URLSuffix": "amazonaws.com"}
        if name not in pseudo:
            raise ValueError(f"Template error: a condition names {name}, which is no parameter of this template")
        return pseudo[name]

    def value(self, expression: Any) -> Any:
        """The text or list that an expression gives; what is no function of these stays as it is."""
        if not isinstance(expression, dict) or len(expression) != 1:
            return expression
        (function, given), = expression.items()
        if function == "Ref":
            return self.named(given)
        if function == "Fn::Sub":
            return self._substituted(given)
        if function == "Fn::Join":
            return str(given[0]).join(str(self.value(part)) for part in self._listed(given[1]))
        if function == "Fn::Split":
            return str(self.value(given[1])).split(str(given[0]))
        if function == "Fn::Select":
            items = self._listed(self.value(given[1]))
            index = int(self.value(given[0]))
            if not 0 <= index < len(items):
                raise ValueError(f"Template error: Fn::Select cannot select {index} of {len(items)}")
            return self.value(items[index])
        return expression

    def _listed(self, given: Any) -> list[Any]:
        found = self.value(given)
        return found if isinstance(found, list) else [part.strip() for part in str(found).split(",")]

    def _substituted(self, given: Any) -> str:
        text, local = (given, {}) if isinstance(given, str) else given

        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            return str(self.value(local[name])) if name in local else self.named(name)

        return _NAMED.sub(one, text)

    def condition(self, expression: Any) -> Any:
        """A condition whose compared values are literal."""
        if not isinstance(expression, dict):
            return expression
        resolved = {}
        for function, given in expression.items():
            if function == "Fn::Equals":
                resolved[function] = [self.value(side) for side in given]
            elif function in ("Fn::And", "Fn::Or", "Fn::Not"):
                resolved[function] = [self.condition(each) for each in given]
            else:
                resolved[function] = given
        return resolved


def install() -> None:
    """Resolve first, wherever conditions are looked at."""
    evaluate = engine._evaluate_conditions

    def evaluate_conditions(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
        resolver = _Resolver(parameters)
        resolved = {name: resolver.condition(each) for name, each in (template.get("Conditions") or {}).items()}
        return evaluate(template | {"Conditions": resolved}, parameters)

    for module in (engine, handlers, stacks, changesets):
        module._evaluate_conditions = evaluate_conditions
