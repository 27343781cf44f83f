"""The metrics of REST APIs, which MiniStack does not count.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import apigateway_v1

from cutover_cloud.metrics import store

NAMESPACE = "AWS/ApiGateway"


def count(api_name: str, stage: str, status: int, milliseconds: float) -> None:
    """One request, by API and by stage. Zeros are counted too, as AWS does: an average is a rate."""
    now = time.time()
    for dimensions in ({"ApiName": api_name}, {"ApiName": api_name, "Stage": stage}):
        store.record(NAMESPACE, "Count", dimensions, 1.0, "Count", now)
        store.record(NAMESPACE, "4XXError", dimensions, float(400 <= status < 500), "Count", now)
        store.record(NAMESPACE, "5XXError", dimensions, float(status >= 500), "Count", now)
        store.record(NAMESPACE, "Latency", dimensions, milliseconds, "Milliseconds", now)


def install() -> None:
    """Count each request to a stage that exists."""
    execute = apigateway_v1.handle_execute

    async def handle_execute(api_id: str, stage_name: str, *rest: Any, **options: Any) -> Any:
        started = time.monotonic()
        response = await execute(api_id, stage_name, *rest, **options)
        scope = apigateway_v1.find_api_scope(api_id)
        if scope is not None:
            with request_scope(*scope):
                api = apigateway_v1._rest_apis.get(api_id)
                if api and stage_name in apigateway_v1._stages_v1.get(api_id, {}):
                    count(api["name"], stage_name, response[0], (time.monotonic() - started) * 1000.0)
        return response

    apigateway_v1.handle_execute = handle_execute
