"""EventBridge invokes functions asynchronously: a failed invocation is tried twice more.

AWS waits one and two minutes between the tries; MiniStack's own retry, used here, waits seconds.
"""

from __future__ import annotations

import json
import logging

from ministack.services import eventbridge, lambda_svc

log = logging.getLogger("cutover_cloud.rules")


def _to_function(arn: str, payload: str) -> None:
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if func is None or config is None:
        log.warning("a rule's target %s does not exist", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


def install() -> None:
    """Replace the delivery to functions, which tries once."""
    eventbridge._dispatch_to_lambda = _to_function
