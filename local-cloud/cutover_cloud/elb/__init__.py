"""Application Load Balancers: weighted target groups, stickiness and real target health. MiniStack forwards a rule to
its first target group only, and calls every target healthy."""

from __future__ import annotations

from cutover_cloud.elb import actions, api, conditions, routing, targets
from cutover_cloud.permissions import Permissions


def install(permissions: Permissions) -> None:
    """Replace what MiniStack's ELBv2 lacks, in the API, in templates and in the data plane."""
    actions.install()
    conditions.install()
    targets.install(permissions)
    api.install()
    routing.install(permissions)
