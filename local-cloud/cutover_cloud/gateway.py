"""REST APIs: what a function is given, and what a caller hears when it fails."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ministack.services import apigateway_v1

# The longest that a REST API waits for an integration.
INTEGRATION_SECONDS_MAX = 29.0
Response = tuple[int, dict[str, Any], bytes]


def install() -> None:
    """AWS tells a caller nothing about a failed function, gives up after 29 s, and its REST events have no `version`
    (HTTP API events do, by which functions tell them apart)."""
    shape = apigateway_v1._lambda_proxy_response
    build = apigateway_v1._build_lambda_event_v1
    invoke = apigateway_v1._invoke_lambda_proxy_v1

    def lambda_proxy_response(result: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        response, error = shape(result)
        return response, error and "Internal server error"

    def build_event(*arguments: Any, **options: Any) -> dict[str, Any]:
        event = build(*arguments, **options)
        event.pop("version", None)
        return event

    async def invoke_proxy(*arguments: Any, **options: Any) -> Response:
        try:
            async with asyncio.timeout(INTEGRATION_SECONDS_MAX):
                return await invoke(*arguments, **options)
        except TimeoutError:
            body = json.dumps({"message": "Endpoint request timed out"}).encode()
            return 504, {"Content-Type": "application/json"}, body

    apigateway_v1._lambda_proxy_response = lambda_proxy_response
    apigateway_v1._build_lambda_event_v1 = build_event
    apigateway_v1._invoke_lambda_proxy_v1 = invoke_proxy
