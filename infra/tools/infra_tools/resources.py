"""The snapshot of all resources: a change of it is a change of what gets deployed, and shows in review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .templates import Template

_HEAD = """\
# Resources

Generated from the templates by `make generate`; `make check` compares. Sizes are what CloudFormation's quotas count:
51,200 bytes of a template in a request, 1 MB of one in a bucket.
"""


def render(templates: Sequence[Template]) -> str:
    """RESOURCES.md: a table of the templates, one of the types, and one of each template's resources."""
    parts = [_HEAD, _templates(templates), _types(templates)]
    parts += [_resources(template) for template in templates]
    return "\n".join(parts)


def _templates(templates: Sequence[Template]) -> str:
    lines = [
        "| template | resources | parameters | conditions | outputs | bytes of YAML | bytes of JSON |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals = [0, 0, 0, 0, 0, 0]
    for template in templates:
        sizes = [len(template.section(name)) for name in ("Resources", "Parameters", "Conditions", "Outputs")]
        sizes += [template.source_bytes, len(template.json().encode())]
        totals = [total + size for total, size in zip(totals, sizes, strict=True)]
        lines.append(f"| {template.name} | " + " | ".join(f"{size:,}" for size in sizes) + " |")
    lines.append("| all | " + " | ".join(f"{total:,}" for total in totals) + " |")
    return "\n".join(lines) + "\n"


def _types(templates: Sequence[Template]) -> str:
    types = Counter(resource["Type"] for template in templates for resource in template.resources.values())
    lines = ["## Types", "", "| type | declared |", "| --- | ---: |"]
    lines += [f"| `{name}` | {count} |" for name, count in sorted(types.items())]
    return "\n".join(lines) + "\n"


def _resources(template: Template) -> str:
    lines = [f"## {template.name}", "", "| logical id | type | condition |", "| --- | --- | --- |"]
    for logical_id, resource in template.resources.items():
        lines.append(
            f"| `{logical_id}` | `{resource['Type']}` | {resource.get('Condition', '')} |".replace("|  |", "| |")
        )
    return "\n".join(lines) + "\n"
