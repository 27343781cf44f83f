"""`/_cutover/<topic>`: what a test sets or asks that AWS has no API for. JSON in, JSON out, and 400 with `error`.

Each bridge registers a topic of its own; README.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from ministack.core.responses import request_scope

PREFIX = "/_cutover/"
ACCOUNT = "000000000000"
BODY_BYTES_MAX = 65_536

Scope = dict[str, Any]
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]
Topic = Callable[[dict[str, Any]], Any]
Rewrite = Callable[[Scope], Scope]


class Mistake(ValueError):
    """A request that a topic does not take; the message says what it takes."""


_topics: dict[str, Topic] = {}
_rewrites: list[Rewrite] = []


def register(name: str, topic: Topic) -> None:
    """Serve `/_cutover/<name>`: the topic is given the query and the JSON body as one mapping."""
    _topics[name] = topic


def rewrite(change: Rewrite) -> None:
    """Look at every other request before MiniStack does."""
    _rewrites.append(change)


def wrap(app: Asgi, region: str) -> Asgi:
    """The application with the control endpoints in front of it."""

    async def controlled(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"].startswith(PREFIX):
            await _serve(scope, receive, send, region)
        else:
            for change in _rewrites:
                scope = change(scope)
            await app(scope, receive, send)

    return controlled


async def _serve(scope: Scope, receive: Any, send: Any, region: str) -> None:
    try:
        given: dict[str, Any] = dict(parse_qsl(scope["query_string"].decode()))
        given |= await _body(receive)
        topic = _topics.get(scope["path"].removeprefix(PREFIX))
        if topic is None:
            raise Mistake(f"unknown topic: it takes {', '.join(sorted(_topics))}")
        with request_scope(given.pop("account", ACCOUNT), given.pop("region", region)):
            status, answer = 200, topic(given)
    except Mistake as mistake:
        status, answer = 400, {"error": str(mistake)}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def _body(receive: Any) -> dict[str, Any]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise Mistake(f"the body has more than {BODY_BYTES_MAX} bytes")
        if not message.get("more_body"):
            break
    if not body:
        return {}
    try:
        given = json.loads(body)
    except ValueError as error:
        raise Mistake("the body is no JSON") from error
    if not isinstance(given, dict):
        raise Mistake("the body is no JSON object")
    return given


def text(given: dict[str, Any], name: str) -> str:
    """A required member. Raises Mistake."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Mistake(f"'{name}' is missing: a non-empty string")
    return value


def choice(given: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """A required member of a known few. Raises Mistake."""
    value = text(given, name)
    if value not in allowed:
        raise Mistake(f"'{name}' is '{value}': it takes {', '.join(allowed)}")
    return value
