"""What a caller chooses when starting the local cloud, and the limits that follow from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

ONE_MINUTE_SECONDS = 60.0
# AWS says that changes usually propagate within 60 seconds.
DNS_SECONDS = 2.0
DNS_SECONDS_MAX = 300.0


@dataclass(frozen=True)
class Settings:
    """All of the configuration. Nothing is read from the inherited environment."""

    port: int
    run_dir: Path
    tick_seconds: float = ONE_MINUTE_SECONDS
    region: str = "us-east-1"
    sandboxes_max: int = 64
    with_parent: bool = False
    enforce_permissions: bool = False
    dns_seconds: float = DNS_SECONDS

    @property
    def endpoint(self) -> str:
        """The URL at which clients and functions reach every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """The emulator's own log."""
        return self.run_dir / "cloud.log"

    @property
    def function_log_dir(self) -> Path:
        """Holds `<function>.log`, everything that a function printed."""
        return self.run_dir / "logs"

    @property
    def temporary_dir(self) -> Path:
        """Unpacked function code and every other temporary file."""
        return self.run_dir / "tmp"


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is 1 to 65535")
    return port


def _tick(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= ONE_MINUTE_SECONDS:
        raise argparse.ArgumentTypeError("a tick is 1 to 60 seconds")
    return seconds


def _dns(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= DNS_SECONDS_MAX:
        raise argparse.ArgumentTypeError("a change of names takes 0 to 300 seconds")
    return seconds


def parse(arguments: list[str] | None = None) -> Settings:
    """Read the command line; argparse exits 2 with a message on a mistake."""
    parser = argparse.ArgumentParser(prog="cutover_cloud", description=__doc__)
    parser.add_argument("--port", type=_port, required=True, help="loopback port to serve on")
    parser.add_argument("--run-dir", type=Path, required=True, help="the only folder that is written to")
    parser.add_argument(
        "--tick-seconds", type=_tick, default=ONE_MINUTE_SECONDS, help="period of schedules of one minute (default 60)"
    )
    parser.add_argument("--region", default="us-east-1", help="region of requests that name none")
    parser.add_argument(
        "--sandboxes-max",
        type=int,
        default=64,
        help="concurrent execution environments of all functions together; more is throttled",
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    parser.add_argument(
        "--enforce-permissions",
        action="store_true",
        help="refuse invocations by services that no Lambda permission allows, as AWS does",
    )
    parser.add_argument(
        "--dns-seconds", type=_dns, default=DNS_SECONDS, help="until a change of names is INSYNC (default 2)"
    )
    chosen = parser.parse_args(arguments)
    return Settings(
        port=chosen.port,
        run_dir=chosen.run_dir.resolve(),
        tick_seconds=chosen.tick_seconds,
        region=chosen.region,
        sandboxes_max=chosen.sandboxes_max,
        with_parent=chosen.with_parent,
        enforce_permissions=chosen.enforce_permissions,
        dns_seconds=chosen.dns_seconds,
    )
