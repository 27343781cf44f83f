"""Refuses a MiniStack other than the one whose private functions are replaced."""

from __future__ import annotations

from importlib import metadata

MINISTACK_VERSION = "1.5.33"


class IncompatibleEmulator(RuntimeError):
    """The installed MiniStack is not the pinned one."""


def require_pinned_version(installed: str | None = None) -> None:
    """Raise with a message that says what to install, unless the pinned version is there."""
    if installed is None:
        try:
            installed = metadata.version("ministack")
        except metadata.PackageNotFoundError:
            installed = "none"
    if installed != MINISTACK_VERSION:
        raise IncompatibleEmulator(
            f"the local cloud needs ministack {MINISTACK_VERSION}, found {installed}: "
            "install local-cloud/requirements.txt"
        )
