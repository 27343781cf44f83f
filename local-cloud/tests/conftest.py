"""One emulator for the whole run; tests use names of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from cloud import Cloud  # noqa: E402 - needs the path above


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running emulator with ticks of one second."""
    running = Cloud(tmp_path_factory.mktemp("cloud"))
    yield running
    assert running.stop() < 5
