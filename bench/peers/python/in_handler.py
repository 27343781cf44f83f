"""Clients inside the handler: made, used and closed with every payment, as much published code does."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clients import Clients
from flow import handle


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    clients = Clients()
    try:
        with ThreadPoolExecutor(max_workers=1) as workers:
            return handle(event, clients, workers)
    finally:
        clients.close()
