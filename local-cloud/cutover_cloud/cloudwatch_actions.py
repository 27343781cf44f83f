"""Action and resource of CloudWatch's calls in Smithy RPC v2 CBOR, which MiniStack lets pass unchecked.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import cbor2
from ministack.core import iam_actions

OPERATION = re.compile(r"/service/GraniteServiceVersion20100801/operation/(?P<operation>[A-Za-z]+)")
# Calls that are authorized on one alarm; the others have no resource, or a list of them (composite alarms need `*`).
ON_ONE_ALARM = ("SetAlarmState", "PutMetricAlarm", "PutCompositeAlarm")


def operation(service: str, path: str) -> str | None:
    """The operation of a call in this protocol."""
    found = OPERATION.fullmatch(path) if service == "monitoring" else None
    return found["operation"] if found else None


def resource(name: str, body: bytes, region: str, account: str) -> str:
    """What the call is authorized on."""
    try:
        alarm = cbor2.loads(body).get("AlarmName") if name in ON_ONE_ALARM else None
    except (cbor2.CBORDecodeError, AttributeError):
        alarm = None
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}" if alarm else "*"


def install() -> None:
    """Ask here first."""
    action: Callable[..., str | None] = iam_actions.extract_iam_action
    known: Callable[..., str] = iam_actions.extract_resource_arn

    def extract_action(service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str | None:
        name = operation(service, path)
        return f"cloudwatch:{name}" if name else action(service, method, path, headers, body, query)

    def extract_resource(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        name = operation(service, path)
        if name:
            return resource(name, body, region, account)
        return known(service, method, path, headers, body, query, region, account)

    iam_actions.extract_iam_action = extract_action
    iam_actions.extract_resource_arn = extract_resource
