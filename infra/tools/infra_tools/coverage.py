"""The requirements and where each is met: `infra/requirements.yaml`, checked against the templates.

An entry has a short form of what is asked, and `met` or `decided` or both:

    R059:
      asks: A VPC of 10.0.0.0/16 with DNS names
      met:
        - network: [Vpc]                                       # resources of a template
        - root.parameters: [VpcCidr]                           # or its parameters, rules, conditions, outputs
        - { in: network, path: Resources.Vpc.Properties.EnableDnsSupport, is: true }
        - { every: AWS::KMS::Key, path: Properties.EnableKeyRotation, is: true }
        - { in: network, type: AWS::EC2::Subnet, count: 9 }
        - { file: docs/validation.md, says: rollback }
        - { guard: PCI_3_7_4_KEY_ROTATES }
    R042:
      asks: Tags that name another team
      decided: They are not ours.

A path's `*` is every entry; `is` compares, `has` looks for a text in the value's strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import documents, guard
from .results import Outcome
from .templates import SECTIONS, Template, strings

#: The requirements are numbered R001 to this one, without a gap.
LAST_NUMBER = 416
NUMBERS = tuple(f"R{number:03}" for number in range(1, LAST_NUMBER + 1))
MIN_DECISION_LENGTH = 20


@dataclass(frozen=True)
class Met:
    """One matcher's place for the table, and what is wrong with it (nothing, if it is met)."""

    place: str
    problem: str = ""


def check(templates: Sequence[Template], infra: Path) -> Outcome:
    """Every number is met or decided, and every place that is named exists."""
    entries, findings = _entries(infra)
    by_name = {template.name: template for template in templates}
    for number, entry in entries.items():
        findings += [f"{number}: {place.problem}" for place in _places(entry, by_name, infra) if place.problem]
    return Outcome(len(templates), findings, _counts(entries))


def _counts(entries: dict[str, dict[str, Any]]) -> str:
    plainly = sum(1 for entry in entries.values() if "decided" not in entry)
    otherwise = sum(1 for entry in entries.values() if "decided" in entry and entry.get("met"))
    dropped = len(entries) - plainly - otherwise
    return f"{plainly} met as asked, {otherwise} met otherwise by a decision, {dropped} dropped by a decision"


def _entries(infra: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    entries: dict[str, dict[str, Any]] = documents.read(infra / "requirements.yaml")
    problems = [
        f"{number}: is neither met nor decided: it is missing in infra/requirements.yaml"
        for number in NUMBERS
        if number not in entries
    ]
    problems += [f"{number}: no such number, they end at {NUMBERS[-1]}" for number in entries if number not in NUMBERS]
    if list(entries) != sorted(entries):
        problems.append("infra/requirements.yaml: the numbers are in order")
    for number, entry in entries.items():
        unknown = set(entry) - {"asks", "met", "decided"}
        if unknown:
            problems.append(f"{number}: has {', '.join(sorted(unknown))}; an entry has asks, met and decided")
        if not entry.get("asks"):
            problems.append(f"{number}: does not say what is asked")
        if not entry.get("met") and len(entry.get("decided", "")) < MIN_DECISION_LENGTH:
            problems.append(f"{number}: is neither met nor decided")
    return entries, problems


def _places(entry: dict[str, Any], templates: dict[str, Template], infra: Path) -> Iterator[Met]:
    for matcher in entry.get("met", []):
        if "file" in matcher:
            yield _file(matcher, infra.parent)
        elif "guard" in matcher:
            yield _guard(matcher["guard"], infra)
        elif "every" in matcher:
            yield _every(matcher, templates)
        elif "in" in matcher:
            yield _inside(matcher, templates)
        else:
            for where, names in matcher.items():
                yield _named(where, names, templates)


def _file(matcher: dict[str, Any], repository: Path) -> Met:
    name, text = matcher["file"], matcher.get("says")
    path = repository / name
    place = f"[{name}](../{name})"
    if not path.is_file():
        return Met(place, f"there is no file {name}")
    if text and text not in path.read_text(encoding="utf-8"):
        return Met(place, f"{name} does not say {text!r}")
    return Met(place)


def _guard(rule: str, infra: Path) -> Met:
    known = rule in guard.rule_names(infra / "guard")
    return Met(f"guard: `{rule}`", "" if known else f"{rule} is no rule of infra/guard")


def _named(where: str, names: list[str], templates: dict[str, Template]) -> Met:
    name, _, section = where.partition(".")
    section = section.capitalize() or "Resources"
    place = f"{name}{' ' + section.lower() if section != 'Resources' else ''}: " + ", ".join(f"`{n}`" for n in names)
    if name not in templates:
        return Met(place, f"there is no template {name}")
    if section not in SECTIONS:
        return Met(place, f"{where}: a template has no {section}")
    missing = [n for n in names if n not in templates[name].section(section)]
    return Met(place, f"{name} has no {', '.join(missing)} in its {section}" if missing or not names else "")


def _inside(matcher: dict[str, Any], templates: dict[str, Template]) -> Met:
    template = templates.get(matcher["in"])
    if template is None:
        return Met(matcher["in"], f"there is no template {matcher['in']}")
    if "type" in matcher:
        found = [i for i, resource in template.resources.items() if resource["Type"] == matcher["type"]]
        place = f"{template.name}: " + ", ".join(f"`{i}`" for i in found)
        wanted = matcher.get("count")
        if not found or (wanted is not None and len(found) != wanted):
            return Met(place, f"{template.name} has {len(found)} of {matcher['type']}, not {wanted or 'one at least'}")
        if "path" not in matcher:
            return Met(place)
        values = [value for i in found for value in _values(template.resources[i], matcher["path"])]
        return Met(place, _judge(values, len(found), matcher, template.name))
    values = list(_values(template.body, matcher["path"]))
    parts = matcher["path"].split(".")
    place = f"{template.name}: `{parts[1] if parts[0] == 'Resources' else '.'.join(parts)}`"
    return Met(place, _judge(values, 1, matcher, template.name))


def _every(matcher: dict[str, Any], templates: dict[str, Template]) -> Met:
    found = [
        (template.name, logical_id, resource)
        for template in templates.values()
        for logical_id, resource in template.resources.items()
        if resource["Type"] == matcher["every"]
    ]
    names = sorted({name for name, _, _ in found})
    place = f"every `{matcher['every']}` ({', '.join(names)})"
    if not found:
        return Met(place, f"there is no {matcher['every']}")
    for name, logical_id, resource in found:
        problem = _judge(list(_values(resource, matcher["path"])), 1, matcher, f"{name}: {logical_id}")
        if problem:
            return Met(place, problem)
    return Met(place)


def _values(value: Any, path: str) -> Iterator[Any]:
    """What stands at a dotted path; `*` is every entry. A part with dots in it stands in square brackets."""
    parts = re.findall(r"\[[^\]]+\]|[^.\[\]]+", path)

    def walk(node: Any, rest: list[str]) -> Iterator[Any]:
        if not rest:
            yield node
            return
        part, after = rest[0].strip("[]"), rest[1:]
        if part == "*":
            for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
                yield from walk(child, after)
        elif isinstance(node, dict) and part in node:
            yield from walk(node[part], after)

    yield from walk(value, parts)


def _judge(values: list[Any], at_least: int, matcher: dict[str, Any], where: str) -> str:
    if len(values) < at_least:
        return f"{where} has nothing at {matcher['path']}"
    if "is" in matcher and any(value != matcher["is"] for value in values):
        return f"{where}: {matcher['path']} is {values}, not {matcher['is']!r}"
    if "has" in matcher and not any(str(matcher["has"]) in text for value in values for text in strings(value)):
        return f"{where}: {matcher['path']} does not have {matcher['has']!r}"
    return ""


_HEAD = """\
# Requirements

What the template was asked to do, by number, and where it does it: a template and its logical ids, a file, or the decision that
replaces the requirement. Generated from `requirements.yaml` by `make generate`; `make check` fails when a number is missing or
what it names is not there.

"""


def render(templates: Sequence[Template], infra: Path) -> str:
    """REQUIREMENTS.md."""
    entries, _ = _entries(infra)
    by_name = {template.name: template for template in templates}
    lines = ["| number | requirement | where |", "| --- | --- | --- |"]
    for number, entry in entries.items():
        where = [place.place for place in _places(entry, by_name, infra)]
        if "decided" in entry:
            where.append(f"Decision: {entry['decided']}")
        text = "; ".join(where).replace("|", "\\|")
        lines.append(f"| {number} | {str(entry.get('asks', '')).replace('|', chr(92) + '|')} | {text} |")
    return f"{_HEAD}{len(entries)} requirements: {_counts(entries)}.\n\n" + "\n".join(lines) + "\n"
