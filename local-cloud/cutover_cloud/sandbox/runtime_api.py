"""The Lambda Runtime API of one execution environment, as an asyncio protocol.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html: `GET invocation/next` is held until there is an event,
`POST invocation/<id>/response` and `.../error` answer it, `POST init/error` reports a failed start.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Protocol

import httptools

_NEXT = re.compile(rb"^/[^/]+/runtime/invocation/next$")
_RESULT = re.compile(rb"^/[^/]+/runtime/invocation/([^/]+)/(response|error)$")
_INIT_ERROR = re.compile(rb"^/[^/]+/runtime/init/error$")
_REASONS = {200: b"OK", 202: b"Accepted", 400: b"Bad Request", 404: b"Not Found"}


@dataclass(frozen=True)
class Event:
    """One invocation on its way to the function."""

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str
    trace_id: str | None


class Environment(Protocol):
    """What the protocol tells the execution environment."""

    def on_poll(self, connection: RuntimeApiConnection) -> None:
        """The function asks for its next event; `connection.send_event` answers."""

    def on_result(self, request_id: str, is_error: bool, body: bytes) -> bool:
        """The function answered; False when no such request is running."""

    def on_init_error(self, body: bytes) -> None:
        """The function could not start."""


class RuntimeApiConnection(asyncio.Protocol):
    """One connection of the function's runtime."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Feed the HTTP parser, which calls the `on_` methods; a peer that speaks no HTTP is cut off."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._close()

    def on_message_begin(self) -> None:
        """Forget the previous request of a kept-alive connection."""
        self._url = b""
        self._body = []

    def on_url(self, url: bytes) -> None:
        """The target may come in pieces."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """So may the body, chunked or not."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer, or hold a poll until there is an event."""
        body = b"".join(self._body)
        if _NEXT.match(self._url):
            self._environment.on_poll(self)
        elif found := _RESULT.match(self._url):
            known = self._environment.on_result(found[1].decode(), found[2] == b"error", body)
            if known:
                self._respond(202)
            else:
                # What the Runtime Interface Emulator of AWS answers.
                self._respond(400, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')
        elif _INIT_ERROR.match(self._url):
            self._environment.on_init_error(body)
            self._respond(202)
        else:
            self._respond(404)

    def send_event(self, event: Event) -> bool:
        """Hand over an event; False when the runtime has gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        headers = [
            f"Lambda-Runtime-Aws-Request-Id: {event.request_id}",
            f"Lambda-Runtime-Deadline-Ms: {event.deadline_ms}",
            f"Lambda-Runtime-Invoked-Function-Arn: {event.function_arn}",
        ]
        if event.trace_id:
            headers.append(f"Lambda-Runtime-Trace-Id: {event.trace_id}")
        self._respond(200, event.payload, headers)
        return True

    def _respond(self, status: int, body: bytes = b"", headers: list[str] | None = None) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        extra = "".join(f"{line}\r\n" for line in headers or []).encode()
        self._transport.write(
            b"HTTP/1.1 %d %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, _REASONS[status], extra, len(body), body)
        )

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
