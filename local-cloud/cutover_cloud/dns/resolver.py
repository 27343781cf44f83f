"""Answers names as Route 53 does, by weight and health, and routes requests whose `Host` is such a name.

There is no resolver, no cache and no TTL between a client and the answer: each request is resolved anew. A client that
caches, as all do for the TTL, moves later than this shows.
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import alb, route53

from cutover_cloud import control
from cutover_cloud.dns import checks
from cutover_cloud.elb import targets

HOPS_MAX = 5
Record = dict[str, Any]


def answer(records: list[Record], healthy: Callable[[Record], bool], point: float) -> Record | None:
    """The record set that answers; `point` is 0 to 1, 1 excluded. Weights that are all zero share equally; if all with
    a weight are unhealthy, those of weight zero answer; if none is healthy, all count as healthy."""
    if not records:
        return None
    alive = [record for record in records if healthy(record)] or records
    chosen = [record for record in alive if record.get("Weight", 1) > 0] or alive
    weights = [record.get("Weight", 1) or 1 for record in chosen]
    left = point * sum(weights)
    for record, weight in zip(chosen, weights, strict=True):
        left -= weight
        if left < 0:
            return record
    return chosen[-1]


def _healthy(record: Record) -> bool:
    if record.get("HealthCheckId") and not checks.healthy(record["HealthCheckId"]):
        return False
    alias = record.get("AliasTarget") or {}
    if not alias.get("EvaluateTargetHealth"):
        return True
    return _balancer_healthy(alias["DNSName"])


def _balancer_healthy(dns_name: str) -> bool:
    """An alias to a load balancer is healthy if each of its target groups with targets has a healthy one; other
    targets of an alias are not evaluated here."""
    for (account, region, arn), balancer in list(alb._lbs._data.items()):
        if balancer["DNSName"].lower() != dns_name.rstrip(".").lower().removeprefix("dualstack."):
            continue
        with request_scope(account, region):
            states = [
                {targets.state(group, target)[0] for target in targets.registered(group["TargetGroupArn"])}
                for group in alb._tgs.values()
                if arn in group.get("LoadBalancerArns", [])
            ]
        known = [found for found in states if found]
        return bool(known) and all(found & {targets.HEALTHY, "unavailable"} for found in known)
    return True


def lookup(name: str, kinds: tuple[str, ...]) -> Record | None:
    """The record set that answers for a name in any account's public zone."""
    wanted = name.lower().rstrip(".") + "."
    for (account, zone_id), zone in list(route53._zones._data.items()):
        if not wanted.endswith(zone["name"].lower()):
            continue
        with request_scope(account, "us-east-1"):
            records = [
                record
                for record in route53._records.answered(zone_id)
                if record["Name"].lower() == wanted and record["Type"] in kinds
            ]
            found = answer(records, _healthy, random.random())
        if found is not None:
            return found
    return None


def _target(record: Record) -> str:
    alias = (record.get("AliasTarget") or {}).get("DNSName", "")
    return (alias or (record.get("ResourceRecords") or [""])[0]).rstrip(".").lower()


def endpoint(name: str) -> str | None:
    """The path prefix under which MiniStack serves what a name leads to; None where that is nothing of ours."""
    for _ in range(HOPS_MAX):
        record = lookup(name, ("A", "AAAA", "CNAME"))
        if record is None:
            return None
        name = _target(record).removeprefix("dualstack.")
        for balancer in list(alb._lbs._data.values()):
            if balancer["DNSName"].lower() == name:
                return f"/_alb/{balancer['LoadBalancerName']}"
        api, _, rest = name.partition(".")
        if rest.startswith("execute-api."):
            return f"/_aws/execute-api/{api}"
    return None


def route(scope: dict[str, Any]) -> dict[str, Any]:
    """The request with the path that MiniStack routes by; its `Host` stays as the client sent it."""
    if not route53._zones._data:
        return scope
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").partition(":")[0]
    prefix = endpoint(host) if "." in host and not host.replace(".", "").isdigit() else None
    if prefix is None:
        return scope
    changed = dict(scope) | {"path": prefix + scope["path"]}
    if scope.get("raw_path"):
        changed["raw_path"] = prefix.encode() + scope["raw_path"]
    return changed


def _resolve(given: dict[str, Any]) -> Any:
    kind = given.get("type", "A")
    record = lookup(control.text(given, "name"), (kind,))
    if record is None:
        return {"status": "NXDOMAIN", "answers": []}
    alias = record.get("AliasTarget")
    return {
        "status": "NOERROR",
        "setIdentifier": record.get("SetIdentifier"),
        "answers": [alias["DNSName"]] if alias else record.get("ResourceRecords") or [],
        "alias": bool(alias),
        "ttl": 60 if alias else int(record.get("TTL") or 0),
    }


def install() -> None:
    """Route by names, and let a test ask for an answer."""
    control.rewrite(route)
    control.register("dns", _resolve)
