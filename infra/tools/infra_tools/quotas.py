"""CloudFormation's quotas, which otherwise show only when a stack is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .results import Outcome
from .templates import Template

#: Entries of a template's section at most.
SECTION_ENTRIES = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
#: Bytes of a template in a request. A nested template keeps to it, so that it can be validated or tried by itself;
#: the root needs the bucket of what it nests, and is read from there.
BODY_BYTES = 51_200
#: Bytes of a template that is read from a bucket.
OBJECT_BYTES = 1_000_000
#: Resources in one operation over a stack and all that it nests.
OPERATION_RESOURCES = 2_500
DESCRIPTION_BYTES = 1_024
NAME_CHARACTERS = 255
MAPPING_ATTRIBUTES = 200


def check(templates: Sequence[Template]) -> Outcome:
    """Every template is within every quota."""
    findings = [problem for template in templates for problem in _problems(template)]
    total = sum(len(template.resources) for template in templates)
    if total > OPERATION_RESOURCES:
        findings.append(f"all templates: {total} resources, {OPERATION_RESOURCES} at most in one operation")
    largest = max(templates, key=lambda template: template.source_bytes)
    return Outcome(len(templates), findings, f"{total} resources, largest {largest.name} {largest.source_bytes} bytes")


def _problems(template: Template) -> Iterator[str]:
    def over(what: str, found: int, limit: int) -> Iterator[str]:
        if found > limit:
            yield f"{template.name}: {what}: {found}, {limit} at most"

    yield from over("bytes of YAML", template.source_bytes, OBJECT_BYTES if template.name == "root" else BODY_BYTES)
    yield from over("bytes of JSON", len(template.json().encode()), OBJECT_BYTES)
    yield from over("bytes of Description", len(template.body.get("Description", "").encode()), DESCRIPTION_BYTES)
    for section, limit in SECTION_ENTRIES.items():
        entries = template.section(section)
        yield from over(section, len(entries), limit)
        for name in entries:
            yield from over(f"characters of {section} {name}", len(name), NAME_CHARACTERS)
            if section != "Outputs" and not name.isalnum():
                yield f"{template.name}: {section} {name}: a logical id has letters and digits only"
    for name, mapping in template.section("Mappings").items():
        yield from over(f"attributes of Mappings {name}", len(mapping), MAPPING_ATTRIBUTES)
