"""The states of functions: a version that was idle for weeks is Inactive on AWS, which nobody waits for in a test.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import lambda_svc

from cutover_cloud import control

STATES = ("Active", "Inactive", "Pending", "Failed")
REASONS = {
    "Active": ("", ""),
    "Inactive": ("Idle", "The function is idle."),
    "Pending": ("Restoring", "The function is being restored."),
    "Failed": ("InternalError", "The function could not be restored."),
}


def refuses(config: dict[str, Any]) -> str | None:
    """Why a function cannot run now; None where it can. The first look at an Inactive one begins to restore it."""
    told = config.get("_told_state")
    if told in (None, "Active"):
        return None
    if told == "Inactive":
        # An invocation is given a copy of the configuration.
        stored = _stored(config["FunctionName"], config.get("Version", "$LATEST"))
        set_state(stored or config, "Active")
    return f"The operation cannot be performed at this time. The function is currently in the following state: {told}"


def set_state(config: dict[str, Any], state: str) -> None:
    """Write the state and its reason where GetFunctionConfiguration looks."""
    code, reason = REASONS[state]
    config.update(State=state, StateReasonCode=code, StateReason=reason, _told_state=state)


def _stored(name: str, version: str) -> dict[str, Any] | None:
    function = lambda_svc._functions.get(name)
    record = function if function is None or version == "$LATEST" else function["versions"].get(version)
    return record["config"] if record else None


def _tell(given: dict[str, Any]) -> Any:
    name, version = control.text(given, "function"), given.get("version", "$LATEST")
    config = _stored(name, version)
    if config is None:
        raise control.Mistake(f"no function '{name}' with version '{version}' ($LATEST or a published number) here")
    set_state(config, control.choice(given, "state", STATES))
    return {"function": name, "version": version, "state": given["state"]}


def _of_qualifier(response: Any, name: str, qualifier: str | None, member: str | None = None) -> Any:
    """The ARN of the alias that was asked for, and nothing of ours."""
    status, headers, body = response
    if status != 200:
        return response
    answer = json.loads(body)
    config = answer[member] if member else answer
    config.pop("_told_state", None)
    if qualifier and qualifier != "$LATEST":
        config["FunctionArn"] = f"{lambda_svc._func_arn(name)}:{qualifier}"
    return status, headers, json.dumps(answer).encode()


def install() -> None:
    """Let a test set the state, and show the alias's ARN for an alias."""
    get, get_config = lambda_svc._get_function, lambda_svc._get_function_config

    def get_function(name: str, qualifier: str | None = None) -> Any:
        return _of_qualifier(get(name, qualifier), name, qualifier, "Configuration")

    def get_function_config(name: str, qualifier: str | None = None) -> Any:
        return _of_qualifier(get_config(name, qualifier), name, qualifier)

    lambda_svc._get_function = get_function
    lambda_svc._get_function_config = get_function_config
    control.register("function-state", _tell)
