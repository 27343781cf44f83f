"""Failures of AWS calls, told beforehand: refused, slow, or done with the answer lost.

What a function makes of throttling, a concurrent change or a lost answer is only seen when there is one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import get_account_id, new_uuid

from cutover_cloud import control

log = logging.getLogger("cutover_cloud.faults")

TIMES_MAX = 1000
DELAY_SECONDS_MAX = 60.0
STATUSES = range(400, 600)
# Before: the call is not done. After: it is done, and the caller hears of a failure all the same.
BEFORE, AFTER = "before", "after"

Handler = Callable[..., Awaitable[Any]]


@dataclass
class Fault:
    """What happens to the next calls of one action."""

    action: str
    code: str
    message: str
    status: int
    when: str
    skip: int
    times: int
    delay_seconds: float


# By account and action.
_faults: dict[tuple[str, str], list[Fault]] = {}


def take(account: str, action: str) -> Fault | None:
    """The fault of this very call, if there is one."""
    waiting = _faults.get((account, action), [])
    for fault in waiting:
        if fault.skip > 0:
            fault.skip -= 1
            return None
        fault.times -= 1
        if fault.times <= 0:
            waiting.remove(fault)
        return fault
    return None


def _answer(service: str, headers: dict[str, str], fault: Fault) -> Any:
    _status, answer_headers, body = iam_actions.access_denied_response(
        service, fault.action, "", new_uuid(), error_code=fault.code, message=fault.message, headers=headers
    )
    return fault.status, answer_headers, body


def _faulty(service: str, handler: Handler) -> Handler:
    async def handle(method: str, path: str, headers: dict[str, str], body: Any, query_params: Any) -> Any:
        action = _faults and iam_actions.extract_iam_action(service, method, path, headers, body, query_params)
        fault = take(get_account_id(), action) if action else None
        if fault is None:
            return await handler(method, path, headers, body, query_params)
        log.info("fault at %s: %s %s", fault.action, fault.when, fault.code or "only late")
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if not fault.code:
            return await handler(method, path, headers, body, query_params)
        if fault.when == AFTER:
            await handler(method, path, headers, body, query_params)
        return _answer(service, headers, fault)

    return handle


def _number(given: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise control.Mistake(f"'{name}' is a number from {low:g} to {high:g}")
    return value


def _tell(given: dict[str, Any]) -> Any:
    action = control.text(given, "action")
    if ":" not in action:
        raise control.Mistake(f"'action' is '{action}': it takes <service>:<call>, as IAM has them")
    key = (get_account_id(), action)
    if given.get("clear") is True:
        _faults.pop(key, None)
        return {"action": action, "waiting": 0}
    fault = Fault(
        action=action,
        code=given.get("code") or "",
        message=given.get("message") or "Told to fail.",
        status=int(_number(given, "status", 400, STATUSES.start, STATUSES.stop - 1)),
        when=control.choice({"when": BEFORE} | given, "when", (BEFORE, AFTER)),
        skip=int(_number(given, "skip", 0, 0, TIMES_MAX)),
        times=int(_number(given, "times", 1, 1, TIMES_MAX)),
        delay_seconds=_number(given, "delaySeconds", 0, 0, DELAY_SECONDS_MAX),
    )
    if not fault.code and not fault.delay_seconds:
        raise control.Mistake("'code' is missing: an error code of the service, or 'delaySeconds' for a slow call")
    _faults.setdefault(key, []).append(fault)
    return {"action": action, "waiting": len(_faults[key])}


def install() -> None:
    """Stand before every service. Last, so that all bridges are behind it."""
    for service, handler in list(app.SERVICE_HANDLERS.items()):
        app.SERVICE_HANDLERS[service] = _faulty(service, handler)
    control.register("fault", _tell)
