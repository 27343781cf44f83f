"""Runs the project's PCI DSS rules over the templates, and the rules' unit tests."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import documents, inventory, suppression
from .results import Outcome
from .suppression import Finding
from .templates import Template
from .views import views

#: Each rule's tests must see it pass, fail and not apply. A rule that refuses a type as such can never pass.
_EXPECTED = ("PASS", "FAIL", "SKIP")
_RULE = re.compile(r"^rule (\w+)", re.MULTILINE)
_RESOURCE = re.compile(r"/Resources/(\w+)")
_TIMEOUT_SECONDS = 900


def check(templates: Sequence[Template], infra: Path, binary: Path, scratch: Path) -> Outcome:
    """Both: the templates against the rules, and each suppression against what it suppresses."""
    rules = rule_names(infra / "guard")
    findings = [str(finding) for finding in _run(templates, infra, binary, scratch)]
    suppressing = [
        t for t in templates if any("guard" in resource.get("Metadata", {}) for resource in t.resources.values())
    ]
    bare = {*_run(suppressing, infra, binary, scratch, bare=True), *inventory.findings(suppressing)}
    findings += suppression.problems(suppressing, {*rules, *inventory.RULES}, bare)
    suppressed = sum(len(suppression.rules_of(resource)) for t in suppressing for resource in t.resources.values())
    return Outcome(len(templates), findings, f"{len(rules)} rules, {suppressed} suppressed with a reason")


def rule_names(folder: Path) -> list[str]:
    """Every rule's name, in the files' order."""
    return [name for path in sorted(folder.glob("*.guard")) for name in _RULE.findall(path.read_text(encoding="utf-8"))]


def _run(
    templates: Sequence[Template], infra: Path, binary: Path, scratch: Path, *, bare: bool = False
) -> list[Finding]:
    if not templates:
        return []
    folder = scratch / ("bare" if bare else "views")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    names: dict[str, str] = {}
    for template in templates:
        for number, view in enumerate(views(template.body)):
            path = folder / f"{template.name.replace('/', '-')}.{number}.json"
            names[path.name] = template.name
            path.write_text(json.dumps(_without_guard_metadata(view) if bare else view), encoding="utf-8")
    command = [str(binary), "validate", "--rules", str(infra / "guard"), "--data", str(folder)]
    done = subprocess.run(
        [*command, "--structured", "--output-format", "json", "--show-summary", "none"],
        capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    # 19: a rule is broken. Others: a rule or a template can't be read.
    if done.returncode not in (0, 19):
        raise RuntimeError(f"cfn-guard ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    reports = json.loads(done.stdout)
    if len(reports) != len(names):
        raise RuntimeError(f"cfn-guard looked at {len(reports)} of {len(names)} files")
    found = {finding for report in reports for finding in _findings(report, names[Path(report["name"]).name])}
    return sorted(found)


def _without_guard_metadata(view: dict[str, Any]) -> dict[str, Any]:
    bare: dict[str, Any] = json.loads(json.dumps(view))
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("guard", None)
    return bare


def _findings(report: dict[str, Any], template: str) -> Iterator[Finding]:
    for broken in report["not_compliant"]:
        rule = broken["Rule"]["name"]
        clauses = list(_clauses(broken))
        for messages, path in clauses or [({}, "")]:
            error = messages.get("error_message") or ""
            named = _RESOURCE.search(path) or _RESOURCE.search(error)
            resource = named.group(1) if named else ""
            text = messages.get("custom_message") or error or "is broken"
            yield Finding(template, resource, rule, " ".join(text.split()))


def _clauses(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each failed clause's messages, and the path of the value that it looked at."""
    if isinstance(node, dict):
        if "Clause" in node:
            for clause in node["Clause"].values():
                yield clause.get("messages", {}), _first_path(clause)
            return
        if "InComparison" in node or "UnResolved" in node:
            return
        for child in node.values():
            yield from _clauses(child)
    elif isinstance(node, list):
        for child in node:
            yield from _clauses(child)


def _first_path(node: Any) -> str:
    if isinstance(node, dict):
        path = node.get("path")
        if isinstance(path, str) and path.startswith("/"):
            return path
    elif not isinstance(node, list):
        return ""
    children = node.values() if isinstance(node, dict) else node
    return next((path for path in map(_first_path, children) if path), "")


def check_rules(infra: Path, binary: Path) -> Outcome:
    """The rules' own unit tests, and that none is left out of them."""
    folder = infra / "guard"
    done = subprocess.run(
        [str(binary), "test", "--dir", str(folder), "--output-format", "json"],
        capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    # 7: a test failed.
    if done.returncode not in (0, 7):
        raise RuntimeError(f"cfn-guard ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    findings, cases = [], 0
    for tested in json.loads(done.stdout):
        for case in tested["test_cases"]:
            cases += 1
            for failed in case["failed_rules"]:
                findings.append(f"{tested['rule_file']}: {case['name']}: {failed['name']}: {failed}")
    findings += [f"stderr of cfn-guard: {line}" for line in done.stderr.splitlines() if "DEPRECATION" in line]
    rules = rule_names(folder)
    findings += [
        f"{name} has a name that another rule has" for name in sorted({n for n in rules if rules.count(n) > 1})
    ]
    findings += _untested(folder, rules)
    return Outcome(len(list(folder.glob("*.guard"))), findings, f"{len(rules)} rules, {cases} cases")


def _untested(folder: Path, rules: Sequence[str]) -> Iterator[str]:
    expected: dict[str, set[str]] = {rule: set() for rule in rules}
    for path in sorted((folder / "tests").glob("*_tests.yaml")):
        for case in documents.read(path):
            for rule, result in case["expectations"]["rules"].items():
                expected.setdefault(rule, set()).add(result)
    for rule, results in expected.items():
        wanted = [result for result in _EXPECTED if result != "PASS" or not _refuses_a_type(folder, rule)]
        missing = [result for result in wanted if result not in results]
        if missing:
            yield f"{rule}: no test in infra/guard/tests expects {', '.join(missing)}"


def _refuses_a_type(folder: Path, rule: str) -> bool:
    """Whether all that the rule says is that no resource has this type."""
    for path in folder.glob("*.guard"):
        body = re.search(rf"^rule {rule} .*?^}}", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        if body:
            return bool(re.search(r"^  %\w+\.Type (!=|not in) ", body.group(0), re.MULTILINE))
    return False
