"""`make status`: the stack, what of it is under way, and where the switch stands."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from deploy import cloud, stack
from deploy.account import Account, connect
from deploy.refusal import Refusal
from deploy.screen import Screen
from deploy.settings import Settings


def show(settings: Settings, screen: Screen) -> None:
    """Print it; changes nothing. Raises Refusal when there is no stack."""
    if settings.local and not cloud.answers(settings):
        raise Refusal(f"no local cloud answers at port {settings.local_port}: `make deploy ... LOCAL=1` starts one")
    account = connect(settings, cloud.endpoint(settings) if settings.local else None)
    name = settings.name(account.id)
    present = stack.find(account, name)
    if present is None:
        raise Refusal(f"there is no stack {name} in account {account.id}, region {account.region}")
    screen.heading(name)
    rows = [("account", account.id), ("region", account.region), ("stack", f"{present.status} {present.reason}".strip())]
    for parameter in ("DeployColor", "BlueRelease", "GreenRelease", "MigrationPhase"):
        if parameter in present.parameters:
            rows.append((parameter, present.parameters[parameter] or "-"))
    rows += switch(account, name)
    screen.pairs(rows)
    under_way = [r for r in stack.resources(account, present.id) if r.status.endswith(("_IN_PROGRESS", "_FAILED"))]
    if under_way:
        screen.heading("not settled")
        screen.table(["resource", "type", "status"], [[r.path, r.kind, r.status] for r in under_way])


def migration(account: Account, name: str) -> dict[str, Any]:
    """What the switch last said of itself; empty where it said nothing yet."""
    try:
        found = account.client("ssm").get_parameter(Name=f"/cutover/{name}/runtime/status")
        said = json.loads(found["Parameter"]["Value"])
    except (ClientError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def switch(account: Account, name: str) -> list[tuple[str, str]]:
    """Phase, active environment and weights."""
    said = migration(account, name)
    if not said:
        return [("switch", "has said nothing yet")]
    weights = said.get("weights") or {}
    shares = ", ".join(f"{color} {weights[color]} %" for color in ("blue", "green") if color in weights)
    return [
        ("phase", str(said.get("phase", "?"))),
        ("active", str(said.get("activeEnvironment", "?"))),
        ("weights", shares or "?"),
    ]
