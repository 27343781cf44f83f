"""Health checks of Route 53: real requests to loopback addresses, and the states of alarms.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import time
from typing import Any
from xml.etree.ElementTree import SubElement

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, route53

from cutover_cloud import control

log = logging.getLogger("cutover_cloud.dns")

LOOK_SECONDS = 0.5
# Route 53 waits 4 s to connect and 2 s for the answer.
REQUEST_SECONDS_MAX = 6.0
CHECKS_MAX = 16
DEPTH_MAX = 5
SUCCESS, FAILURE = "Success", "Failure"
_STATUS = re.compile(r"^/(?:2013-04-01/)?healthcheck/([^/]+)/status$")
Check = dict[str, Any]


def healthy(check_id: str, depth: int = 0) -> bool:
    """What Route 53 would go by. A check that does not exist, or was never carried out, is not healthy."""
    check = route53._health_checks.get(check_id)
    if check is None or depth > DEPTH_MAX:
        return False
    config = check["config"]
    if config.get("Disabled"):
        return True
    if check.get("_forced"):
        return check["_forced"] == SUCCESS
    kind = config.get("Type", "")
    if kind == "CALCULATED":
        passed = sum(healthy(child, depth + 1) for child in config.get("ChildHealthChecks") or [])
        value = passed >= int(config.get("HealthThreshold") or 0)
    elif kind == "CLOUDWATCH_METRIC":
        value = _by_alarm(check)
    else:
        value = check.get("_healthy", False)
    return not value if config.get("Inverted") else value


def _by_alarm(check: Check) -> bool:
    named = check["config"].get("AlarmIdentifier") or {}
    account = check.get("_account", control.ACCOUNT)
    alarm = cloudwatch._alarms.get_scoped(account, named.get("Region", ""), named.get("Name", ""))
    state = alarm["StateValue"] if alarm else "INSUFFICIENT_DATA"
    if state in ("OK", "ALARM"):
        check["_last_known"] = state == "OK"
        return state == "OK"
    missing = check["config"].get("InsufficientDataHealthStatus", "LastKnownStatus")
    return check.get("_last_known", False) if missing == "LastKnownStatus" else missing == "Healthy"


def observation(check_id: str) -> str:
    """The status text of GetHealthCheckStatus."""
    check = route53._health_checks[check_id]
    word = SUCCESS if healthy(check_id) else FAILURE
    return f"{word}: {check.get('_observed', 'as its alarm, its children or the test say')}"


async def _once(config: dict[str, Any]) -> str | None:
    """None where the endpoint answers as it should; else why not. Only this machine is asked."""
    address = config.get("IPAddress") or ""
    try:
        if not ipaddress.ip_address(address).is_loopback:
            return "not checked: the local cloud asks loopback addresses only"
    except ValueError:
        return "not checked: the local cloud needs an IPAddress"
    port = int(config.get("Port") or 80)
    reader, writer = await asyncio.open_connection(address, port)
    try:
        if config.get("Type") == "TCP":
            return None
        host = config.get("FullyQualifiedDomainName") or address
        path = config.get("ResourcePath") or "/"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            "User-Agent: Amazon-Route53-Health-Check-Service\r\n\r\n".encode()
        )
        words = (await reader.readline()).split()
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        return None if 200 <= status < 400 else f"HTTP status code {status}"
    finally:
        writer.close()


async def _check(scope: str, check: Check) -> None:
    with request_scope(scope, "us-east-1"):
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                problem = await _once(check["config"])
        except TimeoutError:
            problem = "no answer in time"
        except OSError:
            problem = "connection refused"
    streak = check.get("_streak", 0)
    check["_streak"] = (streak + 1 if streak >= 0 else 1) if problem is None else (streak - 1 if streak <= 0 else -1)
    check["_observed"] = problem or "HTTP status code 200, or a connection"
    threshold = int(check["config"].get("FailureThreshold") or 3)
    if "_healthy" not in check or abs(check["_streak"]) >= threshold:
        check["_healthy"] = problem is None


async def run() -> None:
    """Carry out the checks of endpoints, for ever."""
    running: set[asyncio.Task[None]] = set()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = time.monotonic()
        for (account, _id), check in list(route53._health_checks._data.items()):
            check["_account"] = account
            config = check["config"]
            due = now >= check.get("_next", 0.0) and len(running) < CHECKS_MAX
            if not due or config.get("Type") in ("CALCULATED", "CLOUDWATCH_METRIC", "RECOVERY_CONTROL"):
                continue
            check["_next"] = now + float(config.get("RequestInterval") or 30)
            task = asyncio.create_task(_check(account, check))
            running.add(task)
            task.add_done_callback(running.discard)


def _status(check_id: str) -> Any:
    if check_id not in route53._health_checks:
        message = f"No health check exists with the specified ID {check_id}."
        return route53._error_response("NoSuchHealthCheck", message, 404)

    def build(root: Any) -> None:
        one = SubElement(SubElement(root, "HealthCheckObservations"), "HealthCheckObservation")
        SubElement(one, "Region").text = "us-east-1"
        SubElement(one, "IPAddress").text = "127.0.0.1"
        report = SubElement(one, "StatusReport")
        SubElement(report, "Status").text = observation(check_id)
        SubElement(report, "CheckedTime").text = route53._now_iso()

    return route53._xml_response("GetHealthCheckStatusResponse", build)


def _force(given: dict[str, Any]) -> Any:
    check = route53._health_checks.get(control.text(given, "id"))
    if check is None:
        raise control.Mistake(f"no health check '{given['id']}'")
    chosen = control.choice(given, "status", (SUCCESS, FAILURE, "real"))
    check["_forced"] = None if chosen == "real" else chosen
    return {"id": given["id"], "healthy": healthy(given["id"])}


def install() -> None:
    """Add GetHealthCheckStatus, and the topic that makes a check pass or fail."""
    handle, build = route53.handle_request, route53._build_health_check_el

    def build_lower(parent: Any, check: Check) -> None:
        """MiniStack writes truths as Python does, which clients read as false."""
        truths = {name: str(value).lower() for name, value in check["config"].items() if isinstance(value, bool)}
        build(parent, check | {"config": check["config"] | truths})

    async def handle_request(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
        asked = _STATUS.match(path)
        if method == "GET" and asked:
            return _status(asked[1])
        return await handle(method, path, headers, body, query_params)

    route53.handle_request = handle_request
    route53._build_health_check_el = build_lower
    control.register("health-check", _force)
