"""AWS Database Migration Service: the API and types that a cutover looks at. Nothing is replicated here: a test says
how far a task is, and databases of a lab replicate by themselves."""

from __future__ import annotations

from cutover_cloud.dms import api, declared, feed


def install() -> None:
    """Add the service, its types, and what a test may say of a task."""
    api.install()
    declared.install()
    feed.install()
