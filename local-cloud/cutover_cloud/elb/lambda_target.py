"""Functions as targets: the event of a load balancer, and what it makes of the answer.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ministack.services import alb, lambda_svc

BODY_BYTES_MAX = 1024 * 1024
# Bodies of these types are given as text; all others in base64.
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")

Event = dict[str, Any]
Response = tuple[int, dict[str, Any], bytes]


class BadAnswer(ValueError):
    """The function's answer is none that a load balancer understands."""


def multi_value(tg_arn: str) -> bool:
    """Whether the group has multi-value headers switched on."""
    return any(
        attribute["Key"] == "lambda.multi_value_headers.enabled" and attribute["Value"] == "true"
        for attribute in alb._tg_attrs.get(tg_arn, [])
    )


def event(
    tg_arn: str, method: str, path: str, headers: dict[str, str], body: bytes, raw_query: str, *, several: bool
) -> Event:
    """The event of a request. With multi-value headers there are no single-valued ones, and the other way round."""
    pairs = [part.partition("=")[::2] for part in raw_query.split("&") if part]
    text, encoded = _body(headers, body)
    made: Event = {
        "requestContext": {"elb": {"targetGroupArn": tg_arn}},
        "httpMethod": method.upper(),
        "path": path,
    }
    if several:
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        made["multiValueQueryStringParameters"] = values
        made["multiValueHeaders"] = {name.lower(): [value] for name, value in headers.items()}
    else:
        # The last value of a repeated key. Query strings are passed on as they came, not decoded.
        made["queryStringParameters"] = dict(pairs)
        made["headers"] = {name.lower(): value for name, value in headers.items()}
    return made | {"body": text, "isBase64Encoded": encoded}


def _body(headers: dict[str, str], body: bytes) -> tuple[str, bool]:
    lower = {name.lower(): value for name, value in headers.items()}
    kind = lower.get("content-type", "")
    if not body:
        return "", False
    if not lower.get("content-encoding") and kind.startswith(TEXT_TYPES):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def response(answer: Any, *, several: bool) -> Response:
    """Status, headers and body of a function's answer. Raises BadAnswer."""
    if not isinstance(answer, dict) or not isinstance(answer.get("statusCode"), int):
        raise BadAnswer("no statusCode")
    text = answer.get("body") or ""
    if not isinstance(text, str):
        raise BadAnswer("the body is no string")
    try:
        body = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
    except binascii.Error as error:
        raise BadAnswer("the body is not in base64") from error
    if len(body) > BODY_BYTES_MAX:
        raise BadAnswer("the body is larger than 1 MB")
    if several:
        given = answer.get("multiValueHeaders") or {}
        headers = {name: values[0] if len(values) == 1 else list(values) for name, values in given.items()}
    else:
        headers = {name: str(value) for name, value in (answer.get("headers") or {}).items()}
    return answer["statusCode"], headers, body


async def invoke(function_arn: str, given: Event) -> Any:
    """The answer of the function, version or alias. Raises BadAnswer where it fails."""
    func, config, _name = lambda_svc._get_func_record_for_ref(function_arn)
    if func is None or config is None:
        raise BadAnswer("no such function")
    record = lambda_svc._execution_record_for_config(func, config)
    result = await lambda_svc.run_reentrant(lambda_svc._execute_function_with_config_scope, record, given)
    if result.get("error") or result.get("throttle"):
        raise BadAnswer("the function failed")
    return result.get("body")


async def health_status(function_arn: str, tg_arn: str, path: str) -> int:
    """The status that a function answers to a health check. Raises BadAnswer."""
    several = multi_value(tg_arn)
    headers = {"user-agent": "ELB-HealthChecker/2.0"}
    given = event(tg_arn, "GET", path, headers, b"", "", several=several)
    return response(await invoke(function_arn, given), several=several)[0]
