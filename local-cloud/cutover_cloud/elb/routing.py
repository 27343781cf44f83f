"""Routes each request by weight or stickiness cookie to a target group, and there to a healthy target.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html#forward-actions
"""

from __future__ import annotations

import contextvars
import hashlib
import random
import time
from collections.abc import Sequence
from email.utils import formatdate
from http.cookies import CookieError, SimpleCookie
from typing import Any

from ministack.core.responses import StreamingResponse, set_request_account_id, set_request_region
from ministack.services import alb

from cutover_cloud.elb import health, lambda_target, targets
from cutover_cloud.elb.actions import Action, groups_of
from cutover_cloud.metrics import store
from cutover_cloud.permissions import LOAD_BALANCING, Permissions

COOKIE, CORS_COOKIE = "AWSALBTG", "AWSALBTGCORS"
Response = tuple[int, dict[str, Any], Any]

# The port that `/_alb/<name>:<port>/` names; otherwise MiniStack goes by the Host header.
_port: contextvars.ContextVar[int] = contextvars.ContextVar("port", default=0)


def draw(groups: Sequence[dict[str, Any]], point: float) -> str | None:
    """The group at `point` (0 to 1, 1 excluded) of the total weight; None where every weight is zero."""
    left = point * sum(group["Weight"] for group in groups)
    for group in groups:
        left -= group["Weight"]
        if left < 0:
            return group["TargetGroupArn"]
    return None


def token(arn: str) -> str:
    """What a cookie says of a group. AWS encrypts it; here a digest hides the name."""
    return hashlib.sha256(arn.encode()).hexdigest()


def sticky(groups: Sequence[dict[str, Any]], cookie_header: str, now: float) -> str | None:
    """The group that a cookie asks for, as long as the rule has it and the cookie's time is not over."""
    jar = SimpleCookie()
    try:
        jar.load(cookie_header)
    except CookieError:
        return None
    for name in (COOKIE, CORS_COOKIE):
        digest, _, until = jar[name].value.partition("-") if name in jar else ("", "", "")
        if until.isdigit() and int(until) > now:
            for group in groups:
                if token(group["TargetGroupArn"]) == digest:
                    return group["TargetGroupArn"]
    return None


def choose(action: Action, cookie_header: str) -> str | None:
    """The group for a request. Stickiness beats weights, a weight of zero too."""
    groups = groups_of(action)
    held = None
    if action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"]:
        held = sticky(groups, cookie_header, time.time())
    return held or draw(groups, random.random())


def cookies(arn: str, seconds: int) -> list[str]:
    """The two `Set-Cookie` headers of a sticky rule."""
    until = int(time.time()) + seconds
    value = f"{token(arn)}-{until}; Expires={formatdate(until, usegmt=True)}; Path=/"
    return [f"{COOKIE}={value}", f"{CORS_COOKIE}={value}; SameSite=None; Secure"]


def with_cookies(response: Response, added: list[str]) -> Response:
    """The response with more `Set-Cookie` headers."""
    status, headers, body = response
    name = next((known for known in headers if known.lower() == "set-cookie"), "Set-Cookie")
    present = headers.get(name, [])
    return status, headers | {name: [*(present if isinstance(present, list) else [present]), *added]}, body


def own(status: int, reason: str) -> Response:
    """A response of the load balancer itself."""
    return status, {"Content-Type": "text/html"}, f"<html><body><h1>{status} {reason}</h1></body></html>".encode()


def _find(wanted: Any) -> dict[str, Any] | None:
    """A load balancer of any account and region: a data plane request is signed by nobody, so it names neither."""
    for (account, region, _arn), balancer in list(alb._lbs._data.items()):
        if wanted(balancer):
            set_request_account_id(account)
            set_request_region(region)
            return balancer
    return None


def find_by_host(host: str) -> dict[str, Any] | None:
    """By DNS name, or `<name>.alb.localhost`."""
    name = host.partition(":")[0].lower()
    return _find(
        lambda balancer: name in (balancer["DNSName"].lower(), f"{balancer['LoadBalancerName'].lower()}.alb.localhost")
    )


def find_by_name(name: str) -> dict[str, Any] | None:
    """By the name in `/_alb/<name>/` or `/_alb/<name>:<listener's port>/`."""
    plain, _, port = name.lower().partition(":")
    _port.set(int(port) if port.isdigit() else 0)
    return _find(lambda balancer: balancer["LoadBalancerName"].lower() == plain)


def _record(group: dict[str, Any], status: int, started: float, *, by_target: bool) -> None:
    """The metrics of a request, by load balancer and by target group."""
    both = health.metric_dimensions(group)
    now = time.time()
    kind = "Target" if by_target else "ELB"
    for dimensions in ({"LoadBalancer": both["LoadBalancer"]}, both):
        store.record("AWS/ApplicationELB", "RequestCount", dimensions, 1.0, "Count", now)
        store.record("AWS/ApplicationELB", f"HTTPCode_{kind}_{status // 100}XX_Count", dimensions, 1.0, "Count", now)
        if by_target:
            seconds = time.monotonic() - started
            store.record("AWS/ApplicationELB", "TargetResponseTime", dimensions, seconds, "Seconds", now)


class DataPlane:
    """What happens to a request between rule and target; rules, headers and proxying stay MiniStack's."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._execute, self._dispatch = alb._execute_actions, alb.dispatch_request

    async def dispatch(
        self, balancer: Any, method: str, path: str, headers: Any, body: Any, query: Any, port: int = 80, **more: Any
    ) -> Response:
        """Find the listener by the port in the path, if there is one."""
        return await self._dispatch(balancer, method, path, headers, body, query, _port.get() or port, **more)

    async def execute(
        self, actions: list[Action], method: str, path: str, headers: dict[str, str], *rest: Any, **more: Any
    ) -> Response:
        """Run a rule's actions, with one of its groups chosen."""
        forward = next((action for action in actions if groups_of(action)), None)
        if forward is None:
            return await self._execute(actions, method, path, headers, *rest, **more)
        arn = choose(forward, headers.get("cookie", ""))
        if arn is None:
            return own(503, "Service Temporarily Unavailable")
        chosen = [action | {"TargetGroupArn": arn} if action is forward else action for action in actions]
        response = await self._execute(chosen, method, path, headers, *rest, **more)
        config = forward["ForwardConfig"]["TargetGroupStickinessConfig"]
        return with_cookies(response, cookies(arn, config["DurationSeconds"])) if config["Enabled"] else response

    async def forward(
        self,
        arn: str,
        method: str,
        path: str,
        headers: Any,
        body: Any,
        query: Any,
        raw_query: Any = None,
        raw_path: Any = None,
    ) -> Response:
        """To a target of the group, and count it."""
        started = time.monotonic()
        group = alb._tgs.get(arn)
        candidates = targets.usable(arn) if group else []
        if group is None or not candidates:
            response, by_target = own(503, "Service Temporarily Unavailable"), False
        elif group.get("TargetType") == "lambda":
            function = candidates[0]["Id"]
            given = (method, path, headers, body or b"", raw_query or "")
            response, by_target = await self._to_function(function, arn, *given)
        else:
            target = random.choice(candidates)
            response = await alb._proxy_http_target(
                target, group, method, raw_path or path, headers, body, query, raw_query
            )
            by_target = isinstance(response[2], StreamingResponse)
            if not by_target:
                response = own(502, "Bad Gateway")
        if group is not None:
            _record(group, response[0], started, by_target=by_target)
        return response

    async def _to_function(
        self, function: str, arn: str, method: str, path: str, headers: Any, body: bytes, raw_query: str
    ) -> tuple[Response, bool]:
        if len(body) > lambda_target.BODY_BYTES_MAX:
            return own(413, "Request Entity Too Large"), False
        if not self._permissions.allows(LOAD_BALANCING, function, arn):
            return own(502, "Bad Gateway"), False
        several = lambda_target.multi_value(arn)
        given = lambda_target.event(arn, method, path, headers, body, raw_query, several=several)
        try:
            return lambda_target.response(await lambda_target.invoke(function, given), several=several), True
        except lambda_target.BadAnswer as problem:
            health.log.warning("target %s of %s: %s", function, arn, problem)
            return own(502, "Bad Gateway"), False


def install(permissions: Permissions) -> None:
    """Replace the choice of load balancer, group and target."""
    plane = DataPlane(permissions)
    alb.find_lb_for_host = find_by_host
    alb._find_lb_by_name = find_by_name
    alb.dispatch_request = plane.dispatch
    alb._execute_actions = plane.execute
    alb._forward_to_tg = plane.forward
