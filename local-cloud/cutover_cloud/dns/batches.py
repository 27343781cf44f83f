"""Rules of a change batch that MiniStack does not know. It already applies a batch as a whole, and deletes only what
matches exactly.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import route53

WEIGHT_MAX = 255
POLICIES = ("Weight", "Region", "Failover", "GeoLocation", "MultiValueAnswer", "CidrRoutingConfig")
Record = dict[str, Any]


def problems(zone_name: str, records: list[Record]) -> list[str]:
    """What is wrong with the records of a zone, in Route 53's words."""
    found = []
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        name = record["Name"].lower()
        shown = f"[name='{record['Name']}', type='{record['Type']}'"
        groups.setdefault((name, record["Type"]), []).append(record)
        if not (name == zone_name.lower() or name.endswith("." + zone_name.lower())):
            found.append(f"RRSet with DNS name {record['Name']} is not permitted in zone {zone_name}")
        if bool(record.get("AliasTarget")) == bool(record.get("ResourceRecords")):
            found.append(f"Invalid request: RRSet {shown}] needs either an alias target or resource records")
        if record.get("ResourceRecords") and not record.get("TTL"):
            found.append(f"Invalid request: Expected exactly one of TTL or AliasTarget in RRSet {shown}]")
        if record.get("Weight") is not None and not 0 <= record["Weight"] <= WEIGHT_MAX:
            found.append(f"Value '{record['Weight']}' at 'weight' must be between 0 and {WEIGHT_MAX}")
        if record.get("HealthCheckId") and record["HealthCheckId"] not in route53._health_checks:
            found.append(f"Invalid Configuration: Health check {record['HealthCheckId']} does not exist")
    for (name, kind), group in groups.items():
        found += _group_problems(name, kind, group)
    for name, kind in groups:
        if kind == "CNAME" and any(other == name and (name, of) != (name, kind) for other, of in groups):
            found.append(f"RRSet of type CNAME with DNS name {name} is not permitted as other records exist with it")
    return found


def _group_problems(name: str, kind: str, group: list[Record]) -> list[str]:
    shown = f"[name='{name}', type='{kind}']"
    policies = [next((policy for policy in POLICIES if record.get(policy) is not None), None) for record in group]
    if len(set(policies)) > 1:
        return [f"RRSet with DNS name {name}, type {kind} cannot be created as other RRSets exist with another routing"]
    for record, policy in zip(group, policies, strict=True):
        if bool(policy) != bool(record.get("SetIdentifier")):
            return [f"Invalid request: Expected SetIdentifier exactly with a routing policy in RRSet {shown}"]
    ttls = {str(record["TTL"]) for record in group if record.get("TTL")}
    return [f"RRSets of the group {shown} must have the same TTL"] if len(ttls) > 1 else []


def install() -> None:
    """Check the outcome of a batch before it is kept."""
    change: Callable[[str, bytes], Any] = route53._change_resource_record_sets
    normalise = route53._normalise_name

    def change_checked(zone_id: str, body: bytes) -> Any:
        with route53._lock:
            zone = route53._zones.get(zone_id)
            before = route53._records.get(zone_id)
        if zone is None:
            return change(zone_id, body)
        response = change(zone_id, body)
        after = route53._records[zone_id]
        wrong = problems(zone["name"], after) if response[0] == 200 else []
        if not wrong:
            return response
        # One thread serves all requests, so nobody saw the batch that is taken back here.
        route53._records.put_back(zone_id, before)
        return route53._error_response("InvalidChangeBatch", f"[{', '.join(wrong)}]")

    route53._normalise_name = lambda name: normalise(name).lower()
    route53._change_resource_record_sets = change_checked
