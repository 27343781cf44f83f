"""The process environment of the emulator.

MiniStack reads its configuration from variables when it is imported, and an inherited variable (credentials, proxies,
another emulator's port) would change what it does. So the environment is replaced before the first import.
"""

from __future__ import annotations

import os
import tempfile

from cutover_cloud.settings import Settings

# What a process needs to run at all. Everything else is ours to set.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")


def clean(settings: Settings, inherited: dict[str, str]) -> dict[str, str]:
    """The whole environment: what is kept of the inherited one, and MiniStack's configuration."""
    kept = {name: inherited[name] for name in _KEPT if name in inherited}
    return kept | {
        "HOME": str(settings.run_dir),
        "TMPDIR": str(settings.temporary_dir),
        "GATEWAY_PORT": str(settings.port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": settings.region,
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(settings.sandboxes_max),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
        "STATE_DIR": str(settings.run_dir / "state"),
        "S3_PERSIST": "0",
        "S3_DATA_DIR": str(settings.run_dir / "s3"),
        "LOG_LEVEL": "INFO",
    }


def enter(settings: Settings) -> None:
    """Make the folders and replace this process's environment."""
    for folder in (settings.run_dir, settings.function_log_dir, settings.temporary_dir):
        folder.mkdir(parents=True, exist_ok=True)
    replacement = clean(settings, dict(os.environ))
    os.environ.clear()
    os.environ.update(replacement)
    tempfile.tempdir = str(settings.temporary_dir)
    os.chdir(settings.run_dir)
