"""Health checks: real requests to real targets, at the intervals and with the thresholds of the target group."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import alb

from cutover_cloud.elb import lambda_target, targets
from cutover_cloud.metrics import store

log = logging.getLogger("cutover_cloud.elb")

LOOK_SECONDS = 0.25
# Host counts are dense, zeros too: an alarm on them must not wait for a change.
COUNT_SECONDS = 5.0
CHECKS_MAX = 32
HEAD_BYTES_MAX = 16_384
Group = dict[str, Any]


def matches(status: int, pattern: str) -> bool:
    """Whether a status is one of `Matcher.HttpCode`: `200`, `200,202` or `200-299`."""
    for part in pattern.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= status <= int(high or low):
            return True
    return False


async def _status_over_http(group: Group, target: targets.Target) -> int:
    port = group.get("HealthCheckPort", "traffic-port")
    number = targets.port_of(group, target) if port == "traffic-port" else int(port)
    reader, writer = await asyncio.open_connection(target["Id"], number, limit=HEAD_BYTES_MAX)
    try:
        path = group.get("HealthCheckPath") or "/"
        host = f"{target['Id']}:{number}"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n"
            "Accept-Encoding: gzip, compressed\r\n\r\n".encode()
        )
        await writer.drain()
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    finally:
        writer.close()


async def _check(group: Group, target: targets.Target, watch: targets.Watch) -> None:
    reason: str | None = None
    detail = ""
    try:
        async with asyncio.timeout(float(group["HealthCheckTimeoutSeconds"])):
            if group.get("TargetType") == "lambda":
                path = group.get("HealthCheckPath") or "/"
                status = await lambda_target.health_status(target["Id"], group["TargetGroupArn"], path)
            else:
                status = await _status_over_http(group, target)
        if not matches(status, group["Matcher"]["HttpCode"]):
            reason, detail = "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"
    except TimeoutError:
        reason = "Target.Timeout"
    except (OSError, ValueError):
        reason = "Target.FailedHealthChecks"
    before = watch.state
    watch.take(reason, detail, int(group["HealthyThresholdCount"]), int(group["UnhealthyThresholdCount"]))
    if watch.state != before:
        log.info("target %s:%s of %s: %s -> %s", target["Id"], target.get("Port"), group["TargetGroupName"], before,
                 watch.state)


async def _checked(scope: tuple[str, str], group: Group, target: targets.Target, watch: targets.Watch) -> None:
    with request_scope(*scope):
        try:
            await _check(group, target, watch)
        except Exception:  # One target must not stop the checks of the others.
            log.exception("health check of %s", target.get("Id"))


def _count(group: Group) -> None:
    known = [targets.state(group, target)[0] for target in targets.registered(group["TargetGroupArn"])]
    dimensions = metric_dimensions(group)
    now = time.time()
    for name, value in (("HealthyHostCount", targets.HEALTHY), ("UnHealthyHostCount", targets.UNHEALTHY)):
        store.record("AWS/ApplicationELB", name, dimensions, float(known.count(value)), "Count", now)


def metric_dimensions(group: Group) -> dict[str, str]:
    """`TargetGroup` and `LoadBalancer`, by the ends of their ARNs."""
    owner = group["LoadBalancerArns"][0].partition(":loadbalancer/")[2] if group.get("LoadBalancerArns") else ""
    return {"TargetGroup": "targetgroup/" + group["TargetGroupArn"].partition(":targetgroup/")[2],
            "LoadBalancer": owner}


async def run() -> None:
    """Check every target of every group in use, for ever."""
    running: set[asyncio.Task[None]] = set()
    counted = 0.0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = time.monotonic()
        count = now - counted >= COUNT_SECONDS
        counted = now if count else counted
        for (account, region, arn), group in list(alb._tgs._data.items()):
            if not group.get("LoadBalancerArns") or not group.get("HealthCheckEnabled", True):
                continue
            with request_scope(account, region):
                for target in targets.registered(arn):
                    watch = targets.watches.setdefault(targets.key_of(group, target), targets.Watch())
                    if now < watch.next_check or len(running) >= CHECKS_MAX:
                        continue
                    watch.next_check = now + float(group["HealthCheckIntervalSeconds"])
                    task = asyncio.create_task(_checked((account, region), group, target, watch))
                    running.add(task)
                    task.add_done_callback(running.discard)
                if count:
                    _count(group)
