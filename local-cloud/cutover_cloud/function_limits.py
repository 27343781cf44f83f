"""What Lambda refuses of a function's variables: more than 4 KB of them, as the JSON object that they are.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

VARIABLES_BYTES_MAX = 4096


def check(variables: dict[str, Any]) -> None:
    """Raises ValueError for more than Lambda takes."""
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > VARIABLES_BYTES_MAX:
        raise ValueError(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit ({len(measured.encode())} bytes). String measured: {measured:.64}..."
        )


def _variables(given: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (given.get("Environment") or {}).get("Variables") or {}
    return found


def install() -> None:
    """Look before a function is made or changed, by call or in a template."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = handlers["create"], handlers["update"]
    build: Callable[..., dict[str, Any]] = lambda_svc._build_config

    def create_checked(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        check(_variables(props))
        return create(logical_id, props, stack_name)

    def update_checked(physical_id: str, old: dict[str, Any], new: dict[str, Any], *more: Any) -> Any:
        check(_variables(new))
        return update(physical_id, old, new, *more)

    def build_checked(name: str, data: dict[str, Any], *more: Any, **options: Any) -> dict[str, Any]:
        check(_variables(data))
        return build(name, data, *more, **options)

    handlers["create"], handlers["update"] = create_checked, update_checked
    lambda_svc._build_config = build_checked
