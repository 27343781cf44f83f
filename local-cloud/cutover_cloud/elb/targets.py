"""Registered targets and what DescribeTargetHealth says of them.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ministack.services import alb

from cutover_cloud.permissions import LOAD_BALANCING, Permissions

Target = dict[str, Any]
Key = tuple[str, str, int]
Params = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

INITIAL, HEALTHY, UNHEALTHY = "initial", "healthy", "unhealthy"
REASONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.HealthCheckDisabled": "Health checks are disabled for the target group",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
}


@dataclass
class Watch:
    """What the checks of one target have found so far."""

    state: str = INITIAL
    reason: str = "Elb.RegistrationInProgress"
    detail: str = ""
    passed: int = 0
    failed: int = 0
    next_check: float = field(default=0.0)

    def take(self, reason: str | None, detail: str, healthy_after: int, unhealthy_after: int) -> None:
        """Count one check; `reason` is None where it passed. The first one that passes makes a new target healthy."""
        if reason is None:
            self.passed, self.failed = self.passed + 1, 0
            if self.state == INITIAL or self.passed >= healthy_after:
                self.state, self.reason, self.detail = HEALTHY, "", ""
            return
        self.passed, self.failed = 0, self.failed + 1
        if self.failed >= unhealthy_after:
            self.state, self.reason, self.detail = UNHEALTHY, reason, detail
        elif self.state == INITIAL:
            self.reason = "Elb.InitialHealthChecking"


watches: dict[Key, Watch] = {}
# Deregistered targets, and until when they are shown as draining.
_draining: dict[Key, float] = {}
# What a template registered, so that an update takes back its own targets only.
_declared: dict[str, list[Target]] = {}


def port_of(group: dict[str, Any], target: Target) -> int:
    """The target's own port, or the group's; a function has none."""
    return 0 if group.get("TargetType") == "lambda" else int(target.get("Port") or group.get("Port") or 80)


def key_of(group: dict[str, Any], target: Target) -> Key:
    """Targets are told apart by id and port."""
    return group["TargetGroupArn"], target["Id"], port_of(group, target)


def registered(arn: str) -> list[Target]:
    """The targets of a group in the current account."""
    return alb._targets.get(arn) or []


def usable(arn: str) -> list[Target]:
    """Where a request may go: the healthy targets, or all when none is known to be healthy (fail open)."""
    group = alb._tgs[arn]
    if group.get("TargetType") == "lambda":
        return registered(arn)
    healthy = [
        target
        for target in registered(arn)
        if (watch := watches.get(key_of(group, target))) is not None and watch.state == HEALTHY
    ]
    return healthy or registered(arn)


def state(group: dict[str, Any], target: Target) -> tuple[str, str, str]:
    """State, reason code and description of one target."""
    key = key_of(group, target)
    if not any(key_of(group, known) == key for known in registered(group["TargetGroupArn"])):
        if _draining.get(key, 0.0) > time.monotonic():
            return _told("draining", "Target.DeregistrationInProgress")
        return _told("unused", "Target.NotRegistered")
    if not group.get("LoadBalancerArns"):
        return _told("unused", "Target.NotInUse")
    if not group.get("HealthCheckEnabled", True):
        return _told("unavailable", "Target.HealthCheckDisabled")
    watch = watches.get(key)
    if watch is None:
        return _told(INITIAL, "Elb.RegistrationInProgress")
    return watch.state, watch.reason, watch.detail or REASONS.get(watch.reason, "")


def _told(value: str, reason: str) -> tuple[str, str, str]:
    return value, reason, REASONS[reason]


def describe_health(params: Params) -> Response:
    """DescribeTargetHealth."""
    arn = alb._p(params, "TargetGroupArn")
    group = alb._tgs.get(arn)
    if group is None:
        return alb._error("TargetGroupNotFound", f"Target groups '{arn}' not found")
    now = time.monotonic()
    leaving = [{"Id": key[1], "Port": key[2]} for key, until in _draining.items() if key[0] == arn and until > now]
    shown = alb._parse_targets_param(params) or registered(arn) + leaving
    described = "".join(_health_xml(group, target) for target in shown)
    return alb._xml(
        200, "DescribeTargetHealth", f"<TargetHealthDescriptions>{described}</TargetHealthDescriptions>"
    )


def _health_xml(group: dict[str, Any], target: Target) -> str:
    value, reason, description = state(group, target)
    port = port_of(group, target)
    why = f"<Reason>{reason}</Reason><Description>{alb._esc(description)}</Description>" if reason else ""
    ports = (f"<Port>{port}</Port>", f"<HealthCheckPort>{port}</HealthCheckPort>") if port else ("", "")
    return (
        f"<member><Target><Id>{alb._esc(target['Id'])}</Id>{ports[0]}</Target>{ports[1]}"
        f"<TargetHealth><State>{value}</State>{why}</TargetHealth></member>"
    )


def _register(arn: str, target: Target) -> None:
    group = alb._tgs[arn]
    key = key_of(group, target)
    _draining.pop(key, None)
    if not any(key_of(group, known) == key for known in registered(arn)):
        alb._targets.setdefault(arn, []).append(target)


def _deregister(arn: str, target: Target) -> None:
    group = alb._tgs[arn]
    key = key_of(group, target)
    if group.get("TargetType") != "lambda" and any(key_of(group, known) == key for known in registered(arn)):
        attributes = {entry["Key"]: entry["Value"] for entry in alb._tg_attrs.get(arn, [])}
        _draining[key] = time.monotonic() + float(attributes.get("deregistration_delay.timeout_seconds", "300"))
    alb._targets[arn] = [known for known in registered(arn) if key_of(group, known) != key]
    watches.pop(key, None)


def replace_declared(arn: str, wanted: list[Target]) -> None:
    """Make the targets that a template registered those that it names now; others stay."""
    for target in _declared.get(arn, []):
        if target not in wanted:
            _deregister(arn, target)
    for target in wanted:
        _register(arn, target)
    _declared[arn] = wanted


def forget(arn: str) -> None:
    """The group is no more."""
    _declared.pop(arn, None)
    for known in (watches, _draining):
        for key in [key for key in known if key[0] == arn]:
            known.pop(key, None)


def install(permissions: Permissions) -> None:
    """Replace the three calls."""

    def register_targets(params: Params) -> Response:
        arn = alb._p(params, "TargetGroupArn")
        group = alb._tgs.get(arn)
        if group is None:
            return alb._error("TargetGroupNotFound", f"Target groups '{arn}' not found")
        wanted = alb._parse_targets_param(params)
        if group.get("TargetType") == "lambda":
            if len(wanted) + len(registered(arn)) > 1 and [t["Id"] for t in wanted] != [registered(arn)[0]["Id"]]:
                return alb._error("TooManyTargets", "A Lambda target group can have only one target")
            for target in wanted:
                if not permissions.allows(LOAD_BALANCING, target["Id"], arn):
                    return alb._error(
                        "AccessDenied",
                        f"elasticloadbalancing principal does not have permission to invoke {target['Id']} "
                        f"from target group {arn}",
                        403,
                    )
        for target in wanted:
            _register(arn, target)
        return alb._empty("RegisterTargets")

    def deregister_targets(params: Params) -> Response:
        arn = alb._p(params, "TargetGroupArn")
        if arn not in alb._tgs:
            return alb._error("TargetGroupNotFound", f"Target groups '{arn}' not found")
        for target in alb._parse_targets_param(params):
            _deregister(arn, target)
        return alb._empty("DeregisterTargets")

    alb._ACTION_MAP |= {
        "RegisterTargets": register_targets,
        "DeregisterTargets": deregister_targets,
        "DescribeTargetHealth": describe_health,
    }
