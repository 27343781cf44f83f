"""HTTP servers of the tests: what an instance or a container would run."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Origin:
    """A server that answers every request with its name, and health checks as told."""

    def __init__(self, name: str) -> None:
        self.healthy = True
        self.requests = 0
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                checked = self.path == "/health"
                origin.requests += not checked
                body = (name + " " + self.path).encode()
                self.send_response(503 if checked and not origin.healthy else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def origins(*names: str) -> Iterator[list[Origin]]:
    """Running servers, by name."""
    running = [Origin(name) for name in names]
    try:
        yield running
    finally:
        for origin in running:
            origin.close()


def get(
    url: str, headers: dict[str, str] | None = None, body: dict[str, Any] | None = None
) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, text and headers of a GET, or of a POST of a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, (headers or {}) | kind), timeout=30) as response:
            return response.status, response.read().decode(), response.getheaders()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), list(error.headers.items())
