"""The resource that a call is authorized on, where MiniStack's guess lets a policy pass or fail that does not on AWS.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions

ROUTE53_NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
Params = dict[str, Any]

# ELBv2 members in order of how closely they name what is changed.
ELB_MEMBERS = ("RuleArn", "ListenerArn", "TargetGroupArn", "LoadBalancerArn")
# Calls on a load balancer that name a listener or a group too, or the other way round.
ELB_BY_CALL = {"CreateListener": "LoadBalancerArn", "CreateRule": "ListenerArn"}
RDS_GROUPS = {"DBClusterParameterGroupName": "cluster-pg", "DBParameterGroupName": "pg", "DBSubnetGroupName": "subgrp"}
RDS_LISTS = {"DescribeDBInstances": "db", "DescribeDBClusters": "cluster"}


def _first(params: Params, name: str) -> str:
    value = params.get(name) or ""
    return str(value[0]) if isinstance(value, list) else str(value)


def load_balancing(params: Params) -> str:
    """Describe calls have no resource; others the one that they change."""
    action = _first(params, "Action")
    if action.startswith("Describe"):
        return "*"
    members = (ELB_BY_CALL[action],) if action in ELB_BY_CALL else ELB_MEMBERS
    return next((arn for name in members if (arn := _first(params, name))), "*")


def database(params: Params, region: str, account: str) -> str | None:
    """Parameter groups by name; a list of all is authorized on all of them."""
    prefix = f"arn:aws:rds:{region}:{account}"
    for name, kind in RDS_GROUPS.items():
        if _first(params, "Action").startswith("Describe") and _first(params, name):
            return f"{prefix}:{kind}:{_first(params, name)}"
    kind = RDS_LISTS.get(_first(params, "Action"))
    named = _first(params, "DBInstanceIdentifier") or _first(params, "DBClusterIdentifier")
    if named.startswith("arn:"):
        return named
    return f"{prefix}:{kind}:*" if kind and not named else None


def _after(path: str, folder: str) -> str:
    parts = [part for part in path.split("/") if part]
    at = parts.index(folder) + 1 if folder in parts else len(parts)
    return unquote(parts[at]) if at < len(parts) else ""


def resource(service: str, path: str, params: Params, region: str, account: str) -> str | None:
    """The ARN, or None where MiniStack's is right."""
    if service == "elasticloadbalancing":
        return load_balancing(params)
    if service == "rds":
        return database(params, region, account)
    if service == "route53":
        for folder, kind in (("change", "change"), ("healthcheck", "healthcheck")):
            if name := _after(path, folder):
                return f"arn:aws:route53:::{kind}/{name}"
    if service == "backup" and (vault := _after(path, "backup-vaults")):
        return f"arn:aws:backup:{region}:{account}:backup-vault:{vault}"
    if service == "lambda" and (qualifier := _first(params, "Qualifier")):
        name = _after(path, "functions")
        # A version or alias is a resource of its own: a policy on the function alone does not reach it.
        if name and not name.startswith("arn:") and ":" not in name:
            return f"arn:aws:lambda:{region}:{account}:function:{name}:{qualifier}"
        if name.startswith("arn:") and name.count(":") == 6:
            return f"{name}:{qualifier}"
    return None


def replication(body: bytes | None) -> str | None:
    """The task that a call of DMS names; lists and what is not a task's are authorized as MiniStack does."""
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return None
    name = given.get("ReplicationTaskArn") if isinstance(given, dict) else None
    return name if isinstance(name, str) else None


def _in_service_form(denied: Callable[..., Any]) -> Callable[..., Any]:
    """Route 53 answers in an envelope that MiniStack leaves out; without it the Rust SDK finds no code."""

    def respond(service: str, *arguments: Any, **options: Any) -> Any:
        status, headers, body = denied(service, *arguments, **options)
        if service == "route53":
            inner = body.decode().partition("<Error>")[2].partition("</Error>")[0]
            error, _, request_id = inner.partition("<RequestId>")
            body = (
                f'<ErrorResponse xmlns="{ROUTE53_NAMESPACE}"><Error><Type>Sender</Type>{error}</Error>'
                f"<RequestId>{request_id}</ErrorResponse>"
            ).encode()
        return status, headers, body

    return respond


def install() -> None:
    """Ask here first."""
    original: Callable[..., str] = iam_actions.extract_resource_arn

    def extract(
        service: str, method: str, path: str, headers: Any, body: Any, query_params: Params, region: str, account: str
    ) -> str:
        if service == "dms" and (task := replication(body)):
            return task
        found = resource(service, path, query_params or {}, region, account)
        return found or original(service, method, path, headers, body, query_params, region, account)

    iam_actions.extract_resource_arn = extract
    iam_actions.access_denied_response = _in_service_form(iam_actions.access_denied_response)
