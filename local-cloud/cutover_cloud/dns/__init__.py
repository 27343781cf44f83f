"""Route 53: what MiniStack does not check about a change batch, propagation, health checks, and answers by weight."""

from __future__ import annotations

from cutover_cloud.dns import batches, checks, propagation, resolver


def install(propagation_seconds: float) -> None:
    """Replace what MiniStack's Route 53 lacks, and route requests by the names that it has."""
    batches.install()
    propagation.install(propagation_seconds)
    checks.install()
    resolver.install()
