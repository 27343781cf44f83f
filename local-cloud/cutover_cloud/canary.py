"""Canary releases and stage variables of REST APIs: MiniStack keeps neither, and takes an integration's URI literally.

https://docs.aws.amazon.com/apigateway/latest/developerguide/canary-release.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/stage-variables.html
"""

from __future__ import annotations

import contextvars
import copy
import random
import re
from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

VARIABLE_VALUE = re.compile(r"[A-Za-z0-9\-._~:/?#&=,]*")
VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")
_REFERENCE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")

Stage = dict[str, Any]
Patch = dict[str, Any]
Response = tuple[int, dict[str, Any], bytes]

# The stage's variables as the request at hand sees them: drawn once, so that all of it goes to one side.
_variables: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("variables", default=None)


class Refused(ValueError):
    """A patch or a setting that API Gateway refuses with BadRequestException."""


def patched(stage: Stage, patches: list[Patch]) -> Stage:
    """The stage after all patches; none applies if one is refused. Raises Refused."""
    changed = copy.deepcopy(stage)
    for patch in patches:
        tokens = [apigateway_v1._decode_json_pointer_token(token) for token in patch.get("path", "").split("/")[1:]]
        value = _source(changed, patch.get("from", "")) if patch.get("op") == "copy" else patch.get("value")
        if tokens[:1] == ["canarySettings"]:
            _patch_canary(changed, patch.get("op", ""), tokens[1:], value)
        elif tokens[:1] == ["variables"]:
            _patch_variables(changed, "variables", patch.get("op", ""), tokens[1:], value)
        elif patch.get("op") == "copy" and tokens == ["deploymentId"]:
            changed["deploymentId"] = value
        else:
            apigateway_v1._apply_stage_patch(changed, [dict(patch)])
    return changed


def _source(stage: Stage, path: str) -> Any:
    found: Any = stage
    for token in path.split("/")[1:]:
        found = found.get(apigateway_v1._decode_json_pointer_token(token)) if isinstance(found, dict) else None
    if found is None:
        raise Refused(f"Invalid patch path '{path}': there is nothing to copy")
    return copy.deepcopy(found)


def _patch_canary(stage: Stage, operation: str, tokens: list[str], value: Any) -> None:
    if not tokens:
        if operation != "remove":
            raise Refused(f"Invalid patch operation '{operation}' for '/canarySettings': it can only be removed")
        stage.pop("canarySettings", None)
        return
    if operation not in ("replace", "add", "copy", "remove"):
        raise Refused(f"Invalid patch operation '{operation}'")
    canary = stage.setdefault(
        "canarySettings",
        {"percentTraffic": 0.0, "deploymentId": stage.get("deploymentId", ""), "useStageCache": False},
    )
    name = tokens[0]
    if name == "stageVariableOverrides":
        _patch_variables(canary, name, operation, tokens[1:], value)
    elif len(tokens) > 1 or operation == "remove":
        raise Refused(f"Invalid patch operation '{operation}' for '/canarySettings/{'/'.join(tokens)}'")
    elif name == "percentTraffic":
        canary[name] = percent(value)
    elif name == "useStageCache":
        canary[name] = str(value).lower() == "true"
    elif name == "deploymentId":
        canary[name] = value
    else:
        raise Refused(f"Invalid patch path '/canarySettings/{name}'")


def percent(value: Any) -> float:
    """`percentTraffic`, 0.0 to 100.0. Raises Refused."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0.0 <= number <= 100.0:
        raise Refused(f"Canary percent traffic must be between 0.0 and 100.0, not '{value}'")
    return number


def _patch_variables(holder: dict[str, Any], member: str, operation: str, tokens: list[str], value: Any) -> None:
    if not tokens:
        # A whole map: copied when a canary is promoted, removed, or set by CloudFormation.
        if operation == "remove":
            holder[member] = {}
        elif isinstance(value, dict):
            merged = (holder.get(member) or {}) | value if operation == "copy" else value
            holder[member] = {name: variable(name, text) for name, text in merged.items()}
        else:
            raise Refused(f"Invalid patch path '/{member}'")
        return
    kept = dict(holder.get(member) or {})
    if operation == "remove":
        kept.pop(tokens[0], None)
    elif operation in ("replace", "add", "copy"):
        kept[tokens[0]] = variable(tokens[0], value)
    else:
        raise Refused(f"Invalid patch operation '{operation}'")
    holder[member] = kept


def variable(name: str, value: Any) -> str:
    """A stage variable's value. Raises Refused."""
    if not VARIABLE_NAME.fullmatch(name):
        raise Refused(f"Stage variable name '{name}' may have letters, digits and underscores only")
    if not isinstance(value, str) or not VARIABLE_VALUE.fullmatch(value):
        raise Refused(f"Stage variable value of '{name}' must match [A-Za-z0-9-._~:/?#&=,]+")
    return value


def settings(given: dict[str, Any], deployment_id: str) -> dict[str, Any]:
    """`canarySettings` as given to CreateStage or CreateDeployment. Raises Refused."""
    return {
        "percentTraffic": percent(given.get("percentTraffic", 0.0)),
        "deploymentId": given.get("deploymentId") or deployment_id,
        "stageVariableOverrides": {
            name: variable(name, value) for name, value in (given.get("stageVariableOverrides") or {}).items()
        },
        "useStageCache": str(given.get("useStageCache", False)).lower() == "true",
    }


def variables_of(stage: Stage, point: float) -> dict[str, str]:
    """The variables of a request; `point` is 0 to 100, 100 excluded. The canary overrides those of its stage."""
    canary = stage.get("canarySettings") or {}
    overrides = canary.get("stageVariableOverrides") or {} if point < canary.get("percentTraffic", 0.0) else {}
    return (stage.get("variables") or {}) | overrides


def resolved(uri: str, variables: dict[str, str]) -> str | None:
    """The URI with its stage variables; None where one is unknown, which leaves no valid integration."""
    if not set(_REFERENCE.findall(uri)) <= set(variables):
        return None
    return _REFERENCE.sub(lambda found: variables[found[1]], uri)


def _refusing(call: Callable[..., Response]) -> Callable[..., Response]:
    def guarded(*arguments: Any, **options: Any) -> Response:
        try:
            return call(*arguments, **options)
        except Refused as refused:
            return apigateway_v1._v1_error("BadRequestException", str(refused), 400)

    return guarded


def _control_plane() -> None:
    create_stage, create_deployment = apigateway_v1._create_stage, apigateway_v1._create_deployment

    def stage_of(api_id: str, name: str) -> Stage | None:
        return apigateway_v1._stages_v1.get(api_id, {}).get(name)

    def create_with_canary(api_id: str, data: dict[str, Any]) -> Response:
        for name, value in (data.get("variables") or {}).items():
            variable(name, value)
        canary = settings(data["canarySettings"], data.get("deploymentId", "")) if data.get("canarySettings") else None
        response = create_stage(api_id, data)
        stage = stage_of(api_id, data.get("stageName", ""))
        if canary is None or response[0] != 201 or stage is None:
            return response
        stage["canarySettings"] = canary
        return apigateway_v1._v1_response(stage, 201)

    def deploy(api_id: str, data: dict[str, Any]) -> Response:
        """To a stage that has a canary, a deployment is the canary's; the stage keeps its own."""
        stage = stage_of(api_id, data.get("stageName", ""))
        given = data.get("canarySettings")
        if stage is None or not (given or stage.get("canarySettings")):
            return create_deployment(api_id, data)
        before = stage["deploymentId"]
        canary = settings(given or stage["canarySettings"] | {"deploymentId": ""}, "")
        response = create_deployment(api_id, data)
        if response[0] == 201:
            stage["canarySettings"] = canary | {"deploymentId": stage["deploymentId"]}
            stage["deploymentId"] = before
        return response

    def update_stage(api_id: str, name: str, data: dict[str, Any]) -> Response:
        stage = stage_of(api_id, name)
        if stage is None:
            return apigateway_v1._v1_error("NotFoundException", "Invalid Stage identifier specified", 404)
        changed = patched(stage, data.get("patchOperations") or [])
        changed["lastUpdatedDate"] = apigateway_v1._now_unix()
        stage.clear()
        stage.update(changed)
        return apigateway_v1._v1_response(stage)

    apigateway_v1._create_stage = _refusing(create_with_canary)
    apigateway_v1._create_deployment = _refusing(deploy)
    apigateway_v1._update_stage = _refusing(update_stage)


def _data_plane() -> None:
    handle = apigateway_v1._handle_execute_in_scope

    async def handle_in_scope(api_id: str, stage_name: str, *rest: Any, **options: Any) -> Any:
        stage = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
        drawn = _variables.set(variables_of(stage, random.random() * 100.0) if stage else None)
        try:
            return await handle(api_id, stage_name, *rest, **options)
        finally:
            _variables.reset(drawn)

    def with_variables(invoke: Callable[..., Any], stage_at: int | None) -> Callable[..., Any]:
        async def invoke_resolved(integration: dict[str, Any], *rest: Any, **options: Any) -> Any:
            variables = _variables.get() or {}
            given = list(rest)
            if stage_at is not None:
                given[stage_at] = given[stage_at] | {"variables": variables}
            uri = resolved(integration.get("uri") or "", variables)
            if uri is None:
                return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
            return await invoke(integration | {"uri": uri}, *given, **options)

        return invoke_resolved

    apigateway_v1._handle_execute_in_scope = handle_in_scope
    # The stage is the third of (api id, stage name, stage, ...) after the integration; HTTP integrations get none.
    stages = {"_invoke_lambda_proxy_v1": 2, "_invoke_lambda_custom_v1": 2, "_invoke_http_proxy_v1": None}
    for name, stage_at in stages.items():
        setattr(apigateway_v1, name, with_variables(getattr(apigateway_v1, name), stage_at))


def _declared() -> None:
    """`CanarySetting` of `AWS::ApiGateway::Stage`."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::Stage"]
    create, update = handlers["create"], handlers["update"]

    def settle(made: Any, props: dict[str, Any]) -> Any:
        stage = apigateway_v1._stages_v1.get(props.get("RestApiId", ""), {}).get(props.get("StageName", ""))
        given = props.get("CanarySetting")
        if stage is not None and given:
            lower = {name[:1].lower() + name[1:]: value for name, value in given.items()}
            stage["canarySettings"] = settings(lower, stage.get("deploymentId", ""))
        return made

    def create_stage(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        return settle(create(logical_id, props, stack_name), props)

    def update_stage(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        made = update(physical_id, old, new, stack_name)
        # Like the API's, CloudFormation's update leaves a canary that somebody else set.
        return settle(made, new) if new.get("CanarySetting") != old.get("CanarySetting") else made

    handlers["create"], handlers["update"] = create_stage, update_stage


def install() -> None:
    """After the bridges that look at an integration's URI: they are to see the resolved one."""
    _control_plane()
    _data_plane()
    _declared()
