"""The condition on a request's source, which MiniStack takes for met by every request."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from ministack.services import alb

# Nothing but this machine reaches the local cloud.
SOURCE = ip_address("127.0.0.1")


def from_here(condition: dict[str, Any]) -> bool:
    """Whether a `source-ip` condition has a network that requests of this machine come from."""
    networks = condition.get("Values") or (condition.get("SourceIpConfig") or {}).get("Values") or []
    return any(SOURCE in ip_network(network, strict=False) for network in networks)


def install() -> None:
    """Replace MiniStack's match of conditions for this field."""
    match = alb._match_condition

    def match_condition(condition: dict[str, Any], *request: Any) -> bool:
        return from_here(condition) if condition.get("Field") == "source-ip" else match(condition, *request)

    alb._match_condition = match_condition
