"""What a check saw, and the table of all checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What one check looked at and found. No findings is the only way to pass."""

    files: int
    findings: list[str] = field(default_factory=list)
    #: What passed, in a few words of the check's own.
    summary: str = ""


@dataclass(frozen=True)
class Result:
    """An outcome with its check's name and time."""

    name: str
    outcome: Outcome
    seconds: float


Check = Callable[[], Outcome]


def run_all(checks: dict[str, Check], workers: int) -> list[Result]:
    """Runs the checks side by side. One that breaks has a finding that says so."""

    def run(name: str) -> Result:
        started = time.monotonic()
        try:
            outcome = checks[name]()
        except Exception as error:  # noqa: BLE001 - a broken check must fail as itself, beside the others' results
            outcome = Outcome(0, [f"the check itself failed: {type(error).__name__}: {error}"])
        return Result(name, outcome, time.monotonic() - started)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(run, checks))


def table(results: Sequence[Result]) -> str:
    """The results, one a line, as wide as they need."""
    rows = [("check", "files", "findings", "seconds", "")]
    rows += [
        (r.name, str(r.outcome.files), str(len(r.outcome.findings)), f"{r.seconds:.1f}", r.outcome.summary)
        for r in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, files, findings, seconds, summary in rows:
        cells = [name.ljust(widths[0]), files.rjust(widths[1]), findings.rjust(widths[2]), seconds.rjust(widths[3])]
        lines.append("  ".join([*cells, summary]).rstrip())
    return "\n".join(lines)
