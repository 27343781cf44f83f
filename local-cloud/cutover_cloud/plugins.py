"""Installs every bridge, in the order in which they build on each other."""

from __future__ import annotations

from cutover_cloud import (
    alias_actions,
    alias_routing,
    authorizations,
    authorized_context,
    authorized_resources,
    canary,
    cloudwatch_actions,
    conditions,
    custom_resources,
    databases,
    declared_buckets,
    declared_compute,
    declared_network,
    declared_secrets,
    declared_services,
    declared_tables,
    dms,
    dns,
    elb,
    faults,
    function_limits,
    function_log,
    function_state,
    gateway,
    gateway_metrics,
    nested_stacks,
    permissions,
    recorded_types,
    recovery_points,
    rotation,
    rule_targets,
    schedules,
    secure_transport,
)
from cutover_cloud.alarms import api, cloudformation, engine, notification
from cutover_cloud.metrics import api as metrics_api
from cutover_cloud.metrics import store
from cutover_cloud.sandbox import executor
from cutover_cloud.sandbox.executor import Executor
from cutover_cloud.settings import Settings


def install(settings: Settings) -> Executor:
    """Replace what has to be replaced in MiniStack, before it serves its first request."""
    permitted = permissions.Permissions(enforced=settings.enforce_permissions)
    store.install()
    function_log.install(settings.function_log_dir)
    engine.install()
    notification.install(permitted)
    api.install()
    metrics_api.install()
    cloudformation.install()
    schedules.install(settings)
    secure_transport.install()
    alias_routing.install()
    alias_actions.install()
    authorized_resources.install()
    cloudwatch_actions.install()
    authorizations.install()
    authorized_context.install()
    declared_secrets.install()
    declared_tables.install()
    declared_buckets.install()
    gateway.install()
    gateway_metrics.install()
    rule_targets.install()
    permissions.install(permitted)
    canary.install()
    custom_resources.install()
    function_state.install()
    function_limits.install()
    elb.install(permitted)
    dns.install(settings.dns_seconds)
    rotation.install(permitted)
    databases.install()
    dms.install()
    recovery_points.install()
    declared_compute.install()
    declared_network.install()
    declared_services.install()
    recorded_types.install()
    conditions.install()
    nested_stacks.install()
    faults.install()
    return executor.install(settings)
