"""The project's templates: the root and what it nests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import documents

#: Sections of a template that tools look into by name.
SECTIONS = ("Parameters", "Rules", "Mappings", "Conditions", "Resources", "Outputs")
STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Template:
    """One template. Its name is `root`, `network` (of `stacks`) or `iam/environment-switcher`."""

    name: str
    path: Path
    body: dict[str, Any]

    def section(self, name: str) -> dict[str, Any]:
        """A section's entries; none where the template has no such section."""
        found = self.body.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources by logical id."""
        return self.section("Resources")

    @cached_property
    def source_bytes(self) -> int:
        """Size of the YAML."""
        return self.path.stat().st_size

    def json(self) -> str:
        """The template as JSON, whose nested templates are JSON too."""
        return json.dumps(with_json_urls(self.body), indent=2, ensure_ascii=False) + "\n"


def with_json_urls(body: dict[str, Any]) -> dict[str, Any]:
    """A copy whose nested stacks are taken from `.json`."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    for resource in copy.get("Resources", {}).values():
        if resource.get("Type") == STACK_TYPE and "TemplateURL" in resource.get("Properties", {}):
            properties = resource["Properties"]
            properties["TemplateURL"] = _each_string(properties["TemplateURL"], _json_name)
    return copy


def _json_name(text: str) -> str:
    return text.removesuffix(".yaml") + ".json" if text.endswith(".yaml") else text


def _each_string(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_string(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _each_string(item, change) for key, item in value.items()}
    return value


def strings(value: Any) -> Iterator[str]:
    """Every string in a value, keys not counted."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def load_all(infra: Path) -> list[Template]:
    """The root, then the nested templates by name. Raises `documents.DocumentError`."""
    named = [("root", infra / "template.yaml")]
    named += [(path.stem, path) for path in sorted((infra / "stacks").glob("*.yaml"))]
    named += [(f"iam/{path.stem}", path) for path in sorted((infra / "iam").glob("*.yaml"))]
    return [Template(name, path, _body(path)) for name, path in named]


def _body(path: Path) -> dict[str, Any]:
    body = documents.read(path)
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
        raise documents.DocumentError(path, 1, "not a template: it has no Resources")
    for logical_id, resource in body["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise documents.DocumentError(path, 1, f"{logical_id} has no Type")
    return body


def nested_file(template: Template, logical_id: str, infra: Path) -> Path | None:
    """The file that a nested stack's TemplateURL ends with, if it is one of ours."""
    url = template.resources[logical_id].get("Properties", {}).get("TemplateURL")
    for text in strings(url):
        parts = text.split("${TemplatePrefix}/", 1)
        if len(parts) == 2:
            return infra / parts[1]
    return None
