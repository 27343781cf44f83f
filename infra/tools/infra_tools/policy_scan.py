"""Runs checkov over the templates, without network. What it finds is mended, or explained in `infra/checkov.yaml`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import documents
from .results import Outcome
from .templates import Template

MIN_REASON_LENGTH = 20
_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Allowance:
    """A check that does not fit some resources (`template: logical id`, `*` for any), and why."""

    check: str
    resources: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Failure:
    """A check that a resource fails."""

    check: str
    resource: str
    name: str


def check(templates: Sequence[Template], infra: Path, program: Path) -> Outcome:
    """Every failure has an exception, and every exception a failure."""
    exceptions = list(read_exceptions(infra / "checkov.yaml"))
    passed, failures = run(program, {template.path: template.name for template in templates}, infra)
    findings = []
    used: set[tuple[str, str]] = set()
    for failure in failures:
        patterns = [
            (e.check, pattern)
            for e in exceptions
            for pattern in e.resources
            if e.check == failure.check and fnmatchcase(failure.resource, pattern)
        ]
        used.update(patterns)
        if not patterns:
            findings.append(f"{failure.resource}: {failure.check}: {failure.name}")
    for e in exceptions:
        unused = [pattern for pattern in e.resources if (e.check, pattern) not in used]
        findings += [f"infra/checkov.yaml: {e.check} has no failure at {pattern}: take it out" for pattern in unused]
        if len(e.reason) < MIN_REASON_LENGTH:
            findings.append(f"infra/checkov.yaml: {e.check} has no reason")
    explained = len(failures) - sum(1 for finding in findings if not finding.startswith("infra/"))
    return Outcome(len(templates), findings, f"{passed} passed, {explained} explained")


def read_exceptions(path: Path) -> Iterator[Allowance]:
    """The exceptions, each with its resources and reason."""
    for entry in documents.read(path) or []:
        yield Allowance(entry["check"], tuple(entry["resources"]), " ".join(entry["reason"].split()))


def run(program: Path, names: dict[Path, str], folder: Path) -> tuple[int, list[Failure]]:
    """How many checks passed, and which failed. The templates are in `folder`."""
    # By relative paths: checkov takes a long path of a checkout for a secret key of AWS (CKV_AWS_45).
    files = [argument for path in names for argument in ("--file", str(path.relative_to(folder)))]
    command = [
        str(program),
        "--framework",
        "cloudformation",
        "--skip-download",
        "--quiet",
        "--compact",
        "--output",
        "json",
        *files,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False, cwd=folder,
        env={**os.environ, "LOG_LEVEL": "ERROR", "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false"},
    )  # fmt: skip
    try:
        report: Any = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise RuntimeError(f"checkov ended with {done.returncode}: {done.stderr.strip()[-2000:]}") from None
    if "results" not in report:
        # Nothing in the files that it has checks for.
        return 0, []
    if report["summary"]["parsing_errors"]:
        raise RuntimeError(f"checkov can't read {report['results']['parsing_errors']}")
    by_path = {f"/{path.relative_to(folder)}": name for path, name in names.items()}
    failures = []
    for item in report["results"]["failed_checks"]:
        failures.append(
            Failure(
                item["check_id"],
                f"{by_path[item['file_path']]}: {item['resource'].rsplit('.', 1)[-1]}",
                item["check_name"],
            )
        )
    return report["summary"]["passed"], failures
