"""`python -m cutover_cloud --port N --run-dir DIR [--tick-seconds S]`: the local cloud, in the foreground."""

from __future__ import annotations

import sys

from cutover_cloud import compatibility, environment, settings


def main() -> None:
    """Check the version, enter a clean environment, and only then import MiniStack."""
    chosen = settings.parse()
    try:
        compatibility.require_pinned_version()
    except compatibility.IncompatibleEmulator as error:
        sys.exit(f"cutover_cloud: {error}")
    environment.enter(chosen)
    # MiniStack reads its configuration at import, so these imports come after `enter`.
    from cutover_cloud import plugins, server

    server.log_to_file(chosen)
    server.run(chosen, plugins.install(chosen))


if __name__ == "__main__":
    main()
