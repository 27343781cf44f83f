"""RDS, as far as a validation looks at it: what a template declares of a cluster is kept and shown, and a cluster's
endpoint is the database that a lab really runs. There is none unless the lab says so."""

from __future__ import annotations

from cutover_cloud.databases import clusters, parameters


def install() -> None:
    """Complete MiniStack's records and answers."""
    clusters.install()
    parameters.install()
