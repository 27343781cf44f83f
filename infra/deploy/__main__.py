"""Command line. The Makefile gives each of its variables as an option, empty where it is not set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deploy import down, package, settings, status, up
from deploy.account import said
from deploy.refusal import Refusal, WrongArgument
from deploy.screen import RED, Screen

# As of sysexits.h and argparse: what was given is wrong, or it could not be done.
WRONG_ARGUMENT, FAILED = 2, 1
OPTIONS = ("env", "color", "suffix", "release", "region", "role-arn", "set", "yes", "local", "local-port")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy", description=__doc__)
    parser.add_argument("--target-dir", type=Path, default=settings.PROJECT / "target", help="cargo's target folder")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("deploy", "destroy", "status"):
        command = commands.add_parser(name)
        for option in OPTIONS:
            command.add_argument(f"--{option}", default="")
    packaging = commands.add_parser("package")
    packaging.add_argument("--arch", default="")
    return parser


def _run(arguments: argparse.Namespace, screen: Screen) -> None:
    target = arguments.target_dir.resolve()
    if arguments.command == "package":
        package.run(settings.PROJECT, target, arguments.arch, screen)
        return
    given = {option.replace("-", "_"): getattr(arguments, option.replace("-", "_")).strip() for option in OPTIONS}
    chosen = settings.read(given, needs_color=arguments.command == "deploy")
    if arguments.command == "deploy":
        up.deploy(chosen, target, screen)
    elif arguments.command == "destroy":
        down.destroy(chosen, screen)
    else:
        status.show(chosen, screen)


def main() -> int:
    """Run a command; what is wrong is one message, never a traceback."""
    arguments = _parser().parse_args()
    screen = Screen.of_terminal()
    try:
        _run(arguments, screen)
    except (Refusal, ClientError, BotoCoreError) as problem:
        screen.clear()
        text = f"{problem.operation_name}: {said(problem)}" if isinstance(problem, ClientError) else str(problem)
        print(f"\n{screen.paint('make ' + arguments.command + ':', RED)} {text}", file=sys.stderr)
        return WRONG_ARGUMENT if isinstance(problem, WrongArgument) else FAILED
    except KeyboardInterrupt:
        screen.clear()
        print("\ninterrupted: what CloudFormation has begun goes on; `make status` shows it", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
