"""A resource that breaks a rule for a reason says both, and both are checked:

    Metadata:
      guard:
        SuppressedRules: [PCI_3_5_1_BUCKET_HAS_CUSTOMER_KEY]
        Reasons:
          PCI_3_5_1_BUCKET_HAS_CUSTOMER_KEY: Load balancers write their logs with the bucket's own key only.

`SuppressedRules` is what Guard's rules look for; `Reasons` is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .templates import Template

#: A reason is a sentence, not a word.
MIN_REASON_LENGTH = 20


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that a resource breaks. The resource is empty where the rule is about the whole template."""

    template: str
    resource: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.template}: {self.resource or 'template'}: {self.rule}: {self.message}"


def rules_of(resource: dict[str, Any]) -> list[Any]:
    """The rules that a resource suppresses."""
    rules = resource.get("Metadata", {}).get("guard", {}).get("SuppressedRules", [])
    return rules if isinstance(rules, list) else [rules]


def problems(templates: Sequence[Template], known: set[str], found: set[Finding]) -> Iterator[str]:
    """What is wrong with the suppressions. `found` is what the rules find with no suppression at all."""
    broken = {(finding.template, finding.resource, finding.rule) for finding in found}
    for template in templates:
        for logical_id, resource in template.resources.items():
            where = f"{template.name}: {logical_id}"
            reasons = resource.get("Metadata", {}).get("guard", {}).get("Reasons", {})
            suppressed = rules_of(resource)
            for rule in suppressed:
                if rule not in known:
                    yield f"{where}: suppresses {rule}, which is no rule of ours"
                elif len(str(reasons.get(rule, ""))) < MIN_REASON_LENGTH:
                    yield f"{where}: suppresses {rule} without a reason: say in Metadata, guard, Reasons why it may"
                elif not {(template.name, logical_id, rule), (template.name, "", rule)} & broken:
                    yield f"{where}: suppresses {rule} needlessly: the resource keeps it"
            for rule in reasons:
                if rule not in suppressed:
                    yield f"{where}: has a reason for {rule}, which it does not suppress"
