"""EventBridge and SNS invoke functions asynchronously: a failed invocation is tried twice more.

AWS waits one and two minutes between the tries; MiniStack's own retry, used here, waits seconds.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from ministack.services import eventbridge, lambda_svc, sns

log = logging.getLogger("cutover_cloud.rules")


def _to_function(arn: str, payload: str) -> None:
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if func is None or config is None:
        log.warning("target %s does not exist", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


def _from_topic(endpoint: str, envelope: str, _topic_arn: str, subscription_arn: str, *_rest: Any) -> None:
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    _to_function(endpoint, json.dumps({"Records": [record]}))


def install() -> None:
    """Replace the deliveries to functions, which try once."""
    eventbridge._dispatch_to_lambda = _to_function
    sns._deliver_to_lambda = _from_topic
