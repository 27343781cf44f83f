"""That the nested stacks fit together: what the root passes is what they take, what it reads is what they put out.

cfn-lint can't follow a TemplateURL that is made of parameters, and CloudFormation tells only while it deploys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .results import Outcome
from .templates import STACK_TYPE, Template, nested_file, strings

#: Templates that are deployed by themselves.
STANDALONE = ("root", "iam/deploy-role")

_SUBSTITUTED = re.compile(r"\$\{(\w+)\.Outputs\.(\w+)\}")


def check(templates: Sequence[Template], infra: Path) -> Outcome:
    """Each nested template is used, and rightly."""
    by_path = {template.path.resolve(): template for template in templates}
    findings: list[str] = []
    nested_names: set[str] = set()
    count = 0
    for template in templates:
        stacks: dict[str, Template] = {}
        for logical_id, resource in template.resources.items():
            if resource["Type"] != STACK_TYPE:
                continue
            count += 1
            path = nested_file(template, logical_id, infra)
            nested = by_path.get(path.resolve()) if path else None
            if nested is None:
                findings.append(f"{template.name}: {logical_id}: its TemplateURL names no template of infra")
                continue
            stacks[logical_id] = nested
            nested_names.add(nested.name)
            findings += _parameters(template, logical_id, nested)
        findings += _outputs(template, stacks)
        findings += _forbidden(template)
    unused = [t.name for t in templates if t.name not in STANDALONE and t.name not in nested_names]
    findings += [f"{name}: no stack nests this template" for name in unused]
    return Outcome(len(templates), findings, f"{count} nested stacks of {len(nested_names)} templates")


def _parameters(template: Template, logical_id: str, nested: Template) -> Iterator[str]:
    given = template.resources[logical_id].get("Properties", {}).get("Parameters", {})
    taken = nested.section("Parameters")
    for name in given:
        if name not in taken:
            yield f"{template.name}: {logical_id}: passes {name}, which {nested.name} does not take"
    for name, parameter in taken.items():
        if name not in given and "Default" not in parameter:
            yield f"{template.name}: {logical_id}: does not pass {name}, which {nested.name} needs"


def _outputs(template: Template, stacks: dict[str, Template]) -> Iterator[str]:
    for logical_id, output in sorted(set(_references(template.body))):
        nested = stacks.get(logical_id)
        if nested is not None and output not in nested.section("Outputs"):
            yield f"{template.name}: reads {logical_id}.Outputs.{output}, which {nested.name} does not put out"


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """Every (logical id, output) that is read by Fn::GetAtt or Fn::Sub."""
    if isinstance(value, dict):
        attribute = value.get("Fn::GetAtt")
        if isinstance(attribute, list) and len(attribute) == 2 and str(attribute[1]).startswith("Outputs."):
            yield str(attribute[0]), str(attribute[1]).removeprefix("Outputs.")
        if "Fn::Sub" in value:
            for text in strings(value["Fn::Sub"]):
                yield from _SUBSTITUTED.findall(text)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _forbidden(template: Template) -> Iterator[str]:
    if "Transform" in template.body:
        yield f"{template.name}: has a Transform: a stack must deploy without CAPABILITY_AUTO_EXPAND"
    if template.name != "root":
        for name, output in template.section("Outputs").items():
            if "Export" in output:
                yield f"{template.name}: exports {name}: an export in use can't be changed, so nested stacks have none"
