"""What is generated: the templates as JSON, the tables of requirements and of rules, the snapshot of resources."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from . import coverage, pci, resources
from .results import Outcome
from .templates import Template

FOLDER = "generated"
#: Lines of a difference that a finding shows.
SHOWN_LINES = 12


def render(templates: Sequence[Template], infra: Path) -> dict[Path, str]:
    """Every generated file with its text. The same templates give the same text, byte for byte."""
    files = {}
    for template in templates:
        name = template.path.relative_to(infra).with_suffix(".json")
        files[infra / FOLDER / name] = template.json()
    files[infra / "REQUIREMENTS.md"] = coverage.render(templates, infra)
    files[infra / "RESOURCES.md"] = resources.render(templates)
    files[infra / "guard" / "RULES.md"] = pci.render(templates, infra)
    return files


def write(templates: Sequence[Template], infra: Path) -> list[Path]:
    """Writes what changed and removes what is generated no more. Returns both."""
    files = render(templates, infra)
    changed = []
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    for path in _stray(files, infra):
        path.unlink()
        changed.append(path)
    return changed


def check(templates: Sequence[Template], infra: Path) -> Outcome:
    """What stands in the repository is what would be generated now."""
    files = render(templates, infra)
    findings = [problem for path, text in files.items() if (problem := _difference(path, text, infra))]
    findings += [
        f"{path.relative_to(infra.parent)} is generated no more: make generate" for path in _stray(files, infra)
    ]
    return Outcome(len(files), findings, "generated files are up to date" if not findings else "make generate")


def _stray(files: dict[Path, str], infra: Path) -> list[Path]:
    return [path for path in sorted((infra / FOLDER).rglob("*.json")) if path not in files]


def _difference(path: Path, text: str, infra: Path) -> str:
    name = path.relative_to(infra.parent)
    if not path.exists():
        return f"{name} is missing: make generate"
    present = path.read_text(encoding="utf-8")
    if present == text:
        return ""
    lines = list(
        difflib.unified_diff(present.splitlines(), text.splitlines(), "committed", "generated", lineterm="", n=0)
    )
    changes = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    more = f"\n      and {len(changes) - SHOWN_LINES} lines more" if len(changes) > SHOWN_LINES else ""
    shown = "".join(f"\n      {line}" for line in changes[:SHOWN_LINES])
    return f"{name} differs in {len(changes)} lines: make generate{shown}{more}"
