"""A local cloud of the tool's own, and a screen that can be read."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from deploy import cloud  # noqa: E402 - needs the path above
from deploy.account import Account, connect  # noqa: E402
from deploy.screen import Screen  # noqa: E402
from deploy.settings import PROJECT, Settings, read  # noqa: E402

# Where the functions' development build is: `make test` builds it first.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
TARGET = TARGET if TARGET.is_absolute() else PROJECT / TARGET


class Transcript(Screen):
    """What a person would have read."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())

    @property
    def text(self) -> str:
        """All of it so far."""
        assert isinstance(self.out, io.StringIO)
        return self.out.getvalue()


def free_port() -> str:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def screen() -> Transcript:
    """An empty one."""
    return Transcript()


def local(tmp: Path, **given: str) -> Settings:
    """Settings against a local cloud of its own in `tmp`."""
    chosen = {"env": "dev", "local": "1", "local_port": free_port(), "release": "1"} | given
    settings = read(chosen, needs_color="color" in given)
    return Settings(**(vars(settings) | {"run_dir": tmp}))


def as_color(settings: Settings, color: str, release: str, **overrides: str) -> Settings:
    """The same environment, another release."""
    return Settings(**(vars(settings) | {"color": color, "release": release, "overrides": overrides}))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A local cloud that runs for the module's tests."""
    found = local(tmp_path_factory.mktemp("run"), color="blue")
    cloud.start(found, Transcript())
    yield found
    cloud.stop(found, Transcript())


@pytest.fixture(scope="module")
def account(settings: Settings) -> Account:
    """Its account."""
    return connect(settings, cloud.endpoint(settings))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a pass does not show: types that the local cloud only writes down."""
    recorded = {
        kind
        for report in terminalreporter.getreports("passed")
        for name, value in getattr(report, "user_properties", [])
        if name == "recorded"
        for kind in str(value).split(", ")
        if kind
    }
    if recorded:
        terminalreporter.section("only written down by the local cloud, without any effect")
        for kind in sorted(recorded):
            terminalreporter.line(kind)
