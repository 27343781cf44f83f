"""Clients at module level: made once a sandbox, at init; connections and secrets with the first payment, kept after it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clients import Clients
from flow import handle

CLIENTS = Clients()
WORKERS = ThreadPoolExecutor(max_workers=1)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return handle(event, CLIENTS, WORKERS)
