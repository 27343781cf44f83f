"""CloudWatch's three wire protocols, from botocore's model of the service.

The Rust SDK and boto3 speak Smithy RPC v2 CBOR; older clients speak the query protocol, in which MiniStack leaves out
most of an alarm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import cbor2
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from ministack.services import cloudwatch

ITEMS_MAX = 1000
Response = tuple[int, dict[str, str], bytes]


@cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("cloudwatch")


@dataclass(frozen=True)
class Request:
    """A request as MiniStack hands it to its handlers."""

    params: dict[str, Any]
    body: dict[str, Any]
    is_cbor: bool
    is_json: bool

    def input(self, operation: str) -> dict[str, Any]:
        """The operation's input, whatever the protocol."""
        if self.is_cbor or self.is_json:
            return self.body
        shape = _model().operation_model(operation).input_shape
        return _from_query(self.params, shape, "") or {}

    def answer(self, operation: str, output: dict[str, Any]) -> Response:
        """The operation's output; members that the model does not have are dropped."""
        shape = _model().operation_model(operation).output_shape
        if self.is_cbor:
            headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            return 200, headers, cbor2.dumps(_plain(output, shape, lambda at: cbor2.CBORTag(1, at)))
        if self.is_json:
            return 200, {"Content-Type": "application/json"}, json.dumps(_plain(output, shape, int)).encode()
        inner = _xml(output, shape) if shape else ""
        return cloudwatch._xml(200, f"{operation}Response", f"<{operation}Result>{inner}</{operation}Result>")

    def refuse(self, code: str, message: str) -> Response:
        """An error with status 400."""
        return cloudwatch._error(code, message, 400, use_json=self.is_json, use_cbor=self.is_cbor)


def _from_query(params: dict[str, Any], shape: Shape, prefix: str) -> Any:
    if isinstance(shape, StructureShape):
        found = {
            name: _from_query(params, member, f"{prefix}.{name}" if prefix else name)
            for name, member in shape.members.items()
            if _mentioned(params, prefix, name)
        }
        return {name: value for name, value in found.items() if value is not None} or None
    if isinstance(shape, ListShape):
        items = []
        for index in range(1, ITEMS_MAX):
            item = _from_query(params, shape.member, f"{prefix}.member.{index}")
            if item is None:
                break
            items.append(item)
        return items or None
    text = params.get(prefix, [None])
    text = text[0] if isinstance(text, list) else text
    return None if text is None else _scalar(text, shape.type_name)


def _mentioned(params: dict[str, Any], prefix: str, name: str) -> bool:
    """Whether any parameter is about this member. Without it, a recursive shape would never end."""
    start = f"{prefix}.{name}" if prefix else name
    return any(key == start or key.startswith(f"{start}.") for key in params)


def _scalar(text: str, type_name: str) -> Any:
    if type_name == "boolean":
        return text == "true"
    if type_name in ("integer", "long"):
        return int(text)
    if type_name in ("double", "float"):
        return float(text)
    return cloudwatch._parse_ts(text) if type_name == "timestamp" else text


def _plain(value: Any, shape: Shape, timestamp: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            name: _plain(value[name], member, timestamp)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_plain(item, shape.member, timestamp) for item in value]
    return timestamp(_epoch(value)) if shape.type_name == "timestamp" else value


def _xml(value: Any, shape: Shape) -> str:
    if isinstance(shape, StructureShape):
        return "".join(
            f"<{name}>{_xml(value[name], member)}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if isinstance(shape, ListShape):
        return "".join(f"<member>{_xml(item, shape.member)}</member>" for item in value)
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(_epoch(value), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return escape(str(value))


def _epoch(value: Any) -> float:
    return float(cloudwatch._parse_ts(value) or 0.0)
