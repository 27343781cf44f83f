"""What the launcher takes and refuses, without starting it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover_cloud import compatibility, environment, settings


def test_other_versions_are_refused_by_name() -> None:
    compatibility.require_pinned_version("1.5.33")
    with pytest.raises(compatibility.IncompatibleEmulator, match="needs ministack 1.5.33, found 1.5.34"):
        compatibility.require_pinned_version("1.5.34")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--port", "0", "--run-dir", "x"],
        ["--port", "70000", "--run-dir", "x"],
        ["--port", "4566"],
        ["--port", "4566", "--run-dir", "x", "--tick-seconds", "0"],
        ["--port", "4566", "--run-dir", "x", "--tick-seconds", "61"],
    ],
)
def test_wrong_arguments_exit(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse(arguments)


def test_environment_is_ours() -> None:
    chosen = settings.parse(["--port", "4567", "--run-dir", "run"])
    made = environment.clean(chosen, {"PATH": "/bin", "AUTH": "false", "AWS_PROFILE": "mine", "HTTPS_PROXY": "x"})
    assert made["PATH"] == "/bin" and made["AUTH"] == "true" and made["BIND_HOST"] == "127.0.0.1"
    assert "AWS_PROFILE" not in made and "HTTPS_PROXY" not in made
    folders = [made[name] for name in ("HOME", "TMPDIR", "STATE_DIR", "S3_DATA_DIR")]
    assert all(folder.startswith(str(Path("run").resolve())) for folder in folders)
