"""CloudFormation invokes a custom resource's function asynchronously, as any event.

MiniStack waits for the function to end before `ServiceTimeout` begins to count, and never tries a failed one again.
"""

from __future__ import annotations

import contextvars
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import custom_resource

_from_cloudformation: contextvars.ContextVar[bool] = contextvars.ContextVar("from_cloudformation", default=False)


def install() -> None:
    """Send the event without waiting, while MiniStack waits for the answer to its URL."""
    request = custom_resource.invoke_custom_resource
    execute = lambda_svc._execute_function_with_config_scope

    def invoke_custom_resource(*arguments: Any, **options: Any) -> Any:
        token = _from_cloudformation.set(True)
        try:
            return request(*arguments, **options)
        finally:
            _from_cloudformation.reset(token)

    def execute_in_scope(func: dict[str, Any], event: Any) -> dict[str, Any]:
        if not _from_cloudformation.get():
            return execute(func, event)
        lambda_svc.invoke_async_with_retry(func, event)
        return {}

    custom_resource.invoke_custom_resource = invoke_custom_resource
    lambda_svc._execute_function_with_config_scope = execute_in_scope
