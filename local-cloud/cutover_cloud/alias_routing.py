"""Weighted aliases: MiniStack stores `RoutingConfig` and ignores it when it invokes.

Also the checks of CreateAlias and UpdateAlias that a switcher relies on.
https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

from __future__ import annotations

import contextvars
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

Response = tuple[int, dict[str, str], bytes]
# AWS takes one additional version beside `FunctionVersion`.
ADDITIONAL_VERSIONS_MAX = 1


# Whether a version is being chosen to run. Elsewhere an alias is only looked at, and must not answer by chance.
_choosing: contextvars.ContextVar[bool] = contextvars.ContextVar("choosing", default=False)


class WeightedAlias(dict[str, Any]):
    """An alias whose `FunctionVersion` is drawn anew each time that an invocation asks for it.

    MiniStack resolves an alias by `alias.get("FunctionVersion")` on each of its ways of invoking.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """The version to run now, for `FunctionVersion` of an invocation; the stored value for all else."""
        if key == "FunctionVersion" and _choosing.get():
            drawn = random.random()
            for version, weight in self.weights().items():
                drawn -= weight
                if drawn < 0:
                    return version
        return super().get(key, default)

    def weights(self) -> dict[str, float]:
        """Additional versions and their share of invocations."""
        routing = super().get("RoutingConfig") or {}
        return {version: float(weight) for version, weight in (routing.get("AdditionalVersionWeights") or {}).items()}


@contextmanager
def choosing() -> Iterator[None]:
    """An alias that is looked at in here is looked at to be invoked."""
    token = _choosing.set(True)
    try:
        yield
    finally:
        _choosing.reset(token)


def problem(function: dict[str, Any], function_arn: str, version: str, weights: dict[str, Any]) -> Response | None:
    """What AWS refuses about an alias's target and weights."""
    for name in [version, *weights]:
        if name != "$LATEST" and name not in function["versions"]:
            return error_response_json("ResourceNotFoundException", f"Function not found: {function_arn}:{name}", 404)
    if not weights:
        return None
    if len(weights) > ADDITIONAL_VERSIONS_MAX:
        return _invalid("The number of items in AdditionalVersionWeights cannot be greater than 1")
    if version == "$LATEST" or "$LATEST" in weights:
        return _invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    if version in weights:
        return _invalid(
            f"Invalid function version {version}. Function version {version} is already included in "
            "routing configuration."
        )
    for weight in weights.values():
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
            return error_response_json(
                "ValidationException",
                f"Value '{weight}' at 'routingConfig' failed to satisfy constraint: a weight is between 0.0 and 1.0",
                400,
            )
    return None


def _invalid(message: str) -> Response:
    return error_response_json("InvalidParameterValueException", message, 400)


def _weights(data: dict[str, Any]) -> dict[str, Any]:
    return (data.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def _wrap_aliases(function: dict[str, Any]) -> None:
    for name, alias in function["aliases"].items():
        if not isinstance(alias, WeightedAlias):
            function["aliases"][name] = WeightedAlias(alias)


def create(original: Callable[..., Response]) -> Callable[..., Response]:
    """CreateAlias with AWS's checks, storing a weighted alias."""

    def create_alias(func_name: str, data: dict[str, Any]) -> Response:
        function = lambda_svc._functions.get(func_name)
        if function is not None:
            refused = problem(
                function, lambda_svc._func_arn(func_name), data.get("FunctionVersion", "$LATEST"), _weights(data)
            )
            if refused:
                return refused
        response = original(func_name, data)
        if function is not None:
            _wrap_aliases(function)
        return response

    return create_alias


def update(func_name: str, alias_name: str, data: dict[str, Any]) -> Response:
    """UpdateAlias: checks the revision, then the whole of the new alias, then replaces it at once."""
    function = lambda_svc._functions.get(func_name)
    alias = function["aliases"].get(alias_name) if function is not None else None
    if alias is None:
        return error_response_json(
            "ResourceNotFoundException", f"Cannot find alias arn: {lambda_svc._func_arn(func_name)}:{alias_name}", 404
        )
    # An SDK may send an unset RevisionId as null, which means the same as none.
    stale = lambda_svc._check_revision(alias, data) if data.get("RevisionId") else None
    if stale is not None:
        return stale
    changed = WeightedAlias(alias)
    changed.update({key: data[key] for key in ("FunctionVersion", "Description") if data.get(key) is not None})
    if data.get("RoutingConfig") is not None:
        changed.pop("RoutingConfig", None)
        if _weights(data):
            changed["RoutingConfig"] = {"AdditionalVersionWeights": dict(_weights(data))}
    refused = problem(function, lambda_svc._func_arn(func_name), changed["FunctionVersion"], changed.weights())
    if refused:
        return refused
    changed["RevisionId"] = new_uuid()
    function["aliases"][alias_name] = changed
    return json_response(dict(changed))


def _delete_version(physical_id: str, _props: dict[str, Any]) -> None:
    """AWS refuses to delete a version that an alias names, and so does its CloudFormation."""
    name, version = physical_id.rsplit(":", 2)[1:]
    function = lambda_svc._functions.get(name)
    if function is None or version not in function["versions"]:
        return
    status, _headers, body = lambda_svc._delete_function(name, {}, version)
    if status >= 400:
        raise ValueError(json.loads(body).get("message", "The version cannot be deleted."))


def install() -> None:
    """Replace the alias calls, of the API and of CloudFormation, and draw a version in the two ways of invoking."""
    lambda_svc._create_alias = create(lambda_svc._create_alias)
    lambda_svc._update_alias = lambda_svc._serialized_revision_update(alias=True)(update)
    declared = provisioners._lambda_alias_create
    invoke, resolve = lambda_svc._invoke, lambda_svc._get_func_record_for_ref

    def declare(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        created = declared(logical_id, props, stack_name)
        for function in lambda_svc._functions.values():
            _wrap_aliases(function)
        return created

    async def invoke_drawn(*arguments: Any, **options: Any) -> Any:
        with choosing():
            return await invoke(*arguments, **options)

    def resolve_drawn(function_ref: str) -> Any:
        with choosing():
            func, config, name = resolve(function_ref)
        qualifier = lambda_svc._resolve_name_and_qualifier(function_ref)[1]
        if config is not None and qualifier:
            # A function is told by which alias it was invoked, and its metrics are counted under it.
            config = config | {"FunctionArn": f"{lambda_svc._func_arn(config['FunctionName'])}:{qualifier}"}
        return func, config, name

    lambda_svc._invoke = invoke_drawn
    lambda_svc._get_func_record_for_ref = resolve_drawn
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::Lambda::Alias"]["create"] = declare
    handlers["AWS::Lambda::Version"]["delete"] = _delete_version
