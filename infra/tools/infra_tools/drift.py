"""Which resource types drift detection looks at: `infra/drift.yaml` lists every type in use, and why some can't be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import documents, registry
from .results import Outcome
from .templates import Template

MIN_REASON_LENGTH = 20


def check(templates: Sequence[Template], infra: Path) -> Outcome:
    """Each type in use is listed once, where it belongs; no other is."""
    listed = documents.read(infra / "drift.yaml")
    detected, exceptions = list(listed["detected"]), dict(listed["not detected"])
    used = {resource["Type"] for template in templates for resource in template.resources.values()}
    findings = [
        f"{name} is in use and not in infra/drift.yaml" for name in sorted(used - set(detected) - set(exceptions))
    ]
    findings += [
        f"{name} is in infra/drift.yaml and not in use" for name in sorted((set(detected) | set(exceptions)) - used)
    ]
    for name in sorted(used & set(detected)):
        if not registry.detects_drift(name):
            findings.append(f"{name}: the registry has no read handler for it, so drift is not detected")
        if name in exceptions:
            findings.append(f"{name} is listed twice")
    for name, reason in sorted(exceptions.items()):
        if len(reason) < MIN_REASON_LENGTH:
            findings.append(f"{name}: say why it is used though drift is not detected")
        if registry.detects_drift(name):
            findings.append(f"{name}: the registry has a read handler for it: list it under detected")
    if detected != sorted(detected):
        findings.append("infra/drift.yaml: detected is in alphabetical order")
    return Outcome(len(templates), findings, f"{len(used)} types, {len(exceptions)} not detected, with a reason")
