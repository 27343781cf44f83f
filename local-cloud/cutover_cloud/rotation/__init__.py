"""Rotation of secrets: MiniStack's is a stub that copies the value and never calls the function."""

from __future__ import annotations

from cutover_cloud.permissions import Permissions
from cutover_cloud.rotation import declared, driver, versions


def install(permissions: Permissions) -> None:
    """Replace what MiniStack's Secrets Manager lacks for a rotation."""
    versions.install()
    driver.install(permissions)
    declared.install()
