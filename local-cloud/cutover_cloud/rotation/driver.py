"""RotateSecret and CancelRotateSecret: drives the four steps through the function, now or when they are due.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region, json_response, new_uuid, request_scope
from ministack.services import eventbridge, lambda_svc, secretsmanager

from cutover_cloud import control
from cutover_cloud.permissions import SECRETS, Permissions
from cutover_cloud.rotation import versions
from cutover_cloud.rotation.versions import Response, Secret, refuse

log = logging.getLogger("cutover_cloud.rotation")

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
# AWS retries the entire rotation "multiple times".
TRIES_MAX = 3
RETRY_SECONDS = (1.0, 2.0)
LOOK_SECONDS = 0.5
DAY_SECONDS = 86_400
DAYS_MAX = 1000
HOURS_MIN = 4
_RATE = re.compile(r"^rate\((\d+) (hours?|days?)\)$")


@dataclass
class Rotation:
    """A rotation on its way."""

    token: str
    rotation_token: str = field(default_factory=new_uuid)
    cancelled: bool = False


# By the secret's ARN. Beside the secret, which is copied to its replicas.
_running: dict[str, Rotation] = {}


class StepFailed(RuntimeError):
    """The function failed, cannot be invoked, or did not do what its step is for."""


def rules_problem(rules: dict[str, Any]) -> str | None:
    """What is wrong with RotationRules."""
    days, schedule = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    if bool(days) == bool(schedule):
        return "You must specify either AutomaticallyAfterDays or ScheduleExpression, and not both."
    if days:
        return None if 1 <= int(days) <= DAYS_MAX else f"AutomaticallyAfterDays must be between 1 and {DAYS_MAX}."
    if schedule.startswith("cron("):
        return None if eventbridge._parse_cron_fields(schedule) else "Invalid ScheduleExpression: the cron is invalid."
    seconds = rate_seconds(schedule)
    if seconds is None or seconds < HOURS_MIN * 3600:
        return f"Invalid ScheduleExpression: rate(n hours) of at least {HOURS_MIN} hours, rate(n days), or cron(...)."
    return None


def rate_seconds(schedule: str) -> int | None:
    """The period of `rate(n hours)` or `rate(n days)`."""
    found = _RATE.match(schedule)
    return int(found[1]) * (3600 if found[2].startswith("hour") else DAY_SECONDS) if found else None


def next_rotation(rules: dict[str, Any], now: float) -> float | None:
    """When the secret is due next, in epoch seconds."""
    schedule = rules.get("ScheduleExpression")
    if schedule and schedule.startswith("cron("):
        fields = eventbridge._parse_cron_fields(schedule)
        following = eventbridge._cron_next_fire(fields, datetime.fromtimestamp(now, UTC))
        return following.timestamp() if following else None
    seconds = rate_seconds(schedule) if schedule else int(rules.get("AutomaticallyAfterDays") or 0) * DAY_SECONDS
    return now + seconds if seconds else None


def pending(secret: Secret) -> str | None:
    """The version of a rotation that is not complete: it has AWSPENDING and not AWSCURRENT."""
    token, version = secretsmanager._find_stage_version(secret, "AWSPENDING")
    return token if version and "AWSCURRENT" not in version["Stages"] else None


def rotate_secret(data: dict[str, Any], permissions: Permissions) -> Response:
    """RotateSecret: checks, stores the settings, and begins in the background."""
    secret, problem = versions.find(data)
    if secret is None or problem:
        return problem  # type: ignore[return-value]
    token = data.get("ClientRequestToken") or new_uuid()
    function = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    rules = data.get("RotationRules") or secret.get("RotationRules")
    problem = versions.token_problem(token) or _function_problem(secret, function, permissions)
    if problem is None and rules and (wrong := rules_problem(rules)):
        problem = refuse("InvalidParameterException", wrong)
    if problem:
        return problem
    secret.update(RotationLambdaARN=function, RotationRules=rules, RotationEnabled=True)
    if rules:
        secret["NextRotationDate"] = next_rotation(rules, time.time())
    unfinished = pending(secret)
    if unfinished and unfinished != token:
        _begin(secret, unfinished)
        return refuse(
            "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."
        )
    answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
    if data.get("RotateImmediately", True):
        _prepare(secret, token)
        _begin(secret, token)
        return json_response(answer | {"VersionId": token})
    _begin(secret, token, test_only=True)
    return json_response(answer)


def _function_problem(secret: Secret, function: str | None, permissions: Permissions) -> Response | None:
    if not function:
        return refuse("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    if lambda_svc._get_func_record_for_ref(function)[0] is None:
        return refuse("ResourceNotFoundException", f"Secrets Manager can't find the Lambda function {function}.")
    if not permissions.allows(SECRETS, function, secret["ARN"]):
        return refuse(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            "access to the principal secretsmanager.amazonaws.com.",
        )
    return None


def _prepare(secret: Secret, token: str) -> None:
    """The empty version that the function is to fill."""
    if token not in secret["Versions"]:
        empty = {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": []}
        secret["Versions"][token] = empty
    if "AWSCURRENT" not in secret["Versions"][token]["Stages"]:
        versions.attach(secret, token, "AWSPENDING")


def _begin(secret: Secret, token: str, *, test_only: bool = False) -> None:
    if secret["ARN"] in _running:
        return
    rotation = _running[secret["ARN"]] = Rotation(token)

    def drive() -> None:
        try:
            if test_only:
                _test_configuration(secret, rotation)
            else:
                _rotate(secret, rotation)
        finally:
            _running.pop(secret["ARN"], None)

    threading.Thread(target=contextvars.copy_context().run, args=(drive,), daemon=True).start()


def _rotate(secret: Secret, rotation: Rotation) -> None:
    _tell(secret, "RotationStarted")
    for attempt in range(TRIES_MAX):
        try:
            for step in STEPS:
                if rotation.cancelled:
                    _tell(secret, "RotationAbandoned")
                    return
                _step(secret, rotation, step)
            current = secret["Versions"].get(rotation.token, {}).get("Stages", [])
            if "AWSCURRENT" not in current:
                raise StepFailed("finishSecret left AWSCURRENT on another version")
            secret["LastRotatedDate"] = time.time()
            secret["NextRotationDate"] = next_rotation(secret.get("RotationRules") or {}, time.time())
            _tell(secret, "RotationSucceeded")
            return
        except StepFailed as failure:
            log.warning("rotation of %s, try %d: %s", secret["Name"], attempt + 1, failure)
        if attempt < len(RETRY_SECONDS):
            time.sleep(RETRY_SECONDS[attempt])
    _tell(secret, "RotationFailed")


def _test_configuration(secret: Secret, rotation: Rotation) -> None:
    """Without RotateImmediately, testSecret is run on a version that is made for it and taken away again."""
    _prepare(secret, rotation.token)
    secret["Versions"][rotation.token]["SecretString"] = secretsmanager.resolve_secret_string(secret["ARN"])
    try:
        _step(secret, rotation, "testSecret")
    except StepFailed as failure:
        log.warning("test of the rotation of %s: %s", secret["Name"], failure)
        _tell(secret, "TestRotationFailed")
    else:
        _tell(secret, "TestRotationSucceeded")
    finally:
        secret["Versions"].pop(rotation.token, None)


def _step(secret: Secret, rotation: Rotation, step: str) -> None:
    func, config, _name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
    if func is None or config is None:
        raise StepFailed(f"{step}: there is no function {secret['RotationLambdaARN']}")
    event = {
        "Step": step,
        "SecretId": secret["ARN"],
        "ClientRequestToken": rotation.token,
        "RotationToken": rotation.rotation_token,
    }
    result = lambda_svc._execute_function(lambda_svc._execution_record_for_config(func, config), event)
    if result.get("error") or result.get("throttle"):
        raise StepFailed(f"{step} failed, as the function's log says")


def _tell(secret: Secret, name: str) -> None:
    """The event by which a failed rotation can be noticed."""
    log.info("%s of %s", name, secret["Name"])
    detail = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "eventType": "AwsServiceEvent",
        "additionalEventData": {"SecretId": secret["ARN"]},
    }
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "aws.secretsmanager",
            "DetailType": "AWS Service Event via CloudTrail",
            "Detail": json.dumps(detail),
            "EventBusName": "default",
            "Time": time.time(),
            "Resources": [secret["ARN"]],
            "Account": get_account_id(),
            "Region": get_region(),
        }
    )


def cancel_rotate_secret(data: dict[str, Any]) -> Response:
    """CancelRotateSecret: no more schedule, and a rotation on its way ends before its next step, as it is."""
    secret, problem = versions.find(data)
    if secret is None or problem:
        return problem  # type: ignore[return-value]
    secret["RotationEnabled"] = False
    secret.pop("NextRotationDate", None)
    rotation = _running.get(secret["ARN"])
    if rotation:
        rotation.cancelled = True
    unfinished = rotation.token if rotation else pending(secret)
    answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
    return json_response(answer | ({"VersionId": unfinished} if unfinished else {}))


async def run() -> None:
    """Begin what is due, in every account and region, for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for (account, region, _name), secret in list(secretsmanager._secrets._data.items()):
            due = secret.get("NextRotationDate")
            if not (secret.get("RotationEnabled") and due and due <= time.time()) or secret.get("DeletedDate"):
                continue
            secret["NextRotationDate"] = next_rotation(secret.get("RotationRules") or {}, time.time())
            with request_scope(account, region):
                token = pending(secret) or new_uuid()
                _prepare(secret, token)
                _begin(secret, token)


def _make_due(given: dict[str, Any]) -> Any:
    _key, secret = secretsmanager._resolve(control.text(given, "secret"))
    if not secret or not secret.get("RotationEnabled") or not secret.get("RotationRules"):
        raise control.Mistake(f"no secret '{given['secret']}' with a rotation schedule in this account and region")
    secret["NextRotationDate"] = time.time()
    return {"secret": secret["ARN"], "due": True}


def install(permissions: Permissions) -> None:
    """Replace RotateSecret, add CancelRotateSecret, and show the dates."""
    handle, describe = secretsmanager.handle_request, secretsmanager._describe_secret

    def describe_secret(data: dict[str, Any]) -> Response:
        response = describe(data)
        _key, secret = secretsmanager._resolve(data.get("SecretId"))
        if response[0] != 200 or secret is None:
            return response
        dates = {name: secret[name] for name in ("LastRotatedDate", "NextRotationDate") if secret.get(name)}
        return json_response(json.loads(response[2]) | dates)

    async def handle_request(method: str, path: str, headers: dict[str, str], body: Any, query_params: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".CancelRotateSecret"):
            return cancel_rotate_secret(json.loads(body or b"{}"))
        return await handle(method, path, headers, body, query_params)

    secretsmanager._rotate_secret = lambda data: rotate_secret(data, permissions)
    secretsmanager._describe_secret = describe_secret
    secretsmanager.handle_request = handle_request
    control.register("rotation-due", _make_due)
