"""A small folder of templates for each test, and the package on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "infra" / "tools"))

from infra_tools.templates import Template, load_all  # noqa: E402 - needs the path above

Write = Callable[..., list[Template]]

SMALL = "Resources: { Key: { Type: 'AWS::KMS::Key' } }\n"


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """`infra` of an empty repository."""
    folder = tmp_path / "infra"
    folder.mkdir()
    return folder


@pytest.fixture
def write(infra: Path) -> Write:
    """Writes templates (`network="..."`, `root="..."`) and loads them all."""

    def run(root: str = SMALL, **stacks: str) -> list[Template]:
        (infra / "stacks").mkdir(exist_ok=True)
        (infra / "template.yaml").write_text(root)
        for name, text in stacks.items():
            (infra / "stacks" / f"{name}.yaml").write_text(text)
        return load_all(infra)

    return run
