"""Runs cfn-lint, informational rules included, over the YAML."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .results import Outcome
from .templates import Template

_TIMEOUT_SECONDS = 900


def check(templates: Sequence[Template]) -> Outcome:
    """No finding of any level. A rule that is ignored in a template's Metadata is a finding without `Reasons`."""
    findings = run([template.path for template in templates])
    ignored = 0
    for template in templates:
        for where, metadata in _metadata(template):
            config = metadata.get("cfn-lint", {}).get("config", {})
            for rule in config.get("ignore_checks", []):
                ignored += 1
                if rule not in metadata["cfn-lint"].get("Reasons", {}):
                    findings.append(
                        f"{template.name}: {where}: ignores {rule} without a reason in Metadata, cfn-lint, Reasons"
                    )
    return Outcome(len(templates), findings, f"informational rules too, {ignored} ignored with a reason")


def run(paths: Sequence[Path]) -> list[str]:
    """What cfn-lint finds, one a line."""
    program = Path(sys.executable).parent / "cfn-lint"
    command = [str(program), "--include-checks", "I", "--format", "json", "--", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    try:
        found = json.loads(done.stdout or "null")
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise RuntimeError(f"cfn-lint ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return [
        f"{item['Filename']}:{item['Location']['Start']['LineNumber']}: {item['Rule']['Id']}: {item['Message']}"
        for item in found
    ]


def _metadata(template: Template) -> list[tuple[str, dict[str, Any]]]:
    found = [("template", template.body.get("Metadata", {}))]
    found += [(logical_id, resource.get("Metadata", {})) for logical_id, resource in template.resources.items()]
    return found
