"""`python -m infra_tools generate`, `python -m infra_tools check [NAME...]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import coverage, documents, drift, generated, guard, inventory, lint, policy_scan, quotas, wiring
from .results import Check, run_all, table
from .templates import Template, load_all

#: At most this many findings of a check are printed.
SHOWN_FINDINGS = 50


def checks(templates: Sequence[Template], infra: Path, tools: Path) -> dict[str, Check]:
    """The checks by name. The longest come first, so that they do not run alone at the end."""
    binary = tools / "bin" / "cfn-guard"
    return {
        "checkov": partial(policy_scan.check, templates, infra, tools / "checkov" / "bin" / "checkov"),
        "cfn-lint": partial(lint.check, templates),
        "guard": partial(guard.check, templates, infra, binary, tools / "views"),
        "guard tests": partial(guard.check_rules, infra, binary),
        "generated": partial(generated.check, templates, infra),
        "requirements": partial(coverage.check, templates, infra),
        "wiring": partial(wiring.check, templates, infra),
        "names and tags": partial(inventory.check, templates),
        "drift": partial(drift.check, templates, infra),
        "quotas": partial(quotas.check, templates),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done, or nothing found. 1: findings. 2: the command line or a template can't be read."""
    parser = argparse.ArgumentParser(prog="infra_tools", description=__doc__)
    parser.add_argument("--infra", type=Path, default=Path("infra"), help="folder of the templates (%(default)s)")
    parser.add_argument(
        "--tools", type=Path, default=Path("run/tools"), help="where the checks' programs are (%(default)s)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate", help="write what is generated from the templates")
    check = commands.add_parser("check", help="check the templates; the exit code is 1 if anything is found")
    check.add_argument("names", nargs="*", help="checks to run (all)")
    options = parser.parse_args(arguments)
    infra = options.infra.resolve()
    try:
        templates = load_all(infra)
    except (documents.DocumentError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.command == "generate":
        for path in generated.write(templates, infra):
            print(f"{'wrote' if path.exists() else 'removed'} {path.relative_to(infra.parent)}")
        return 0
    return _check(options.names, checks(templates, infra, options.tools.resolve()))


def _check(names: Sequence[str], known: dict[str, Check]) -> int:
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such check: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    results = run_all({name: check for name, check in known.items() if not names or name in names}, workers=2)
    for result in results:
        found = result.outcome.findings
        for finding in found[:SHOWN_FINDINGS]:
            print(f"{result.name}: {finding}")
        if len(found) > SHOWN_FINDINGS:
            print(f"{result.name}: and {len(found) - SHOWN_FINDINGS} more")
    print(table(results))
    return 1 if any(result.outcome.findings for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
