"""Other types in templates that MiniStack has the calls for: health checks, record set groups, backup selections, and
policies of secrets."""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import backup, route53, secretsmanager
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
NUMBERS = ("Port", "RequestInterval", "FailureThreshold", "HealthThreshold")
TRUTHS = ("MeasureLatency", "EnableSNI", "Inverted", "Disabled")


def _config(props: Properties) -> Properties:
    config = dict(props["HealthCheckConfig"])
    config |= {name: int(config[name]) for name in NUMBERS if name in config}
    return config | {name: str(config[name]).lower() == "true" for name in TRUTHS if name in config}


def _health_check(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    name = route53._hc_id()
    check = {"id": name, "caller_reference": new_uuid(), "config": _config(props), "version": 1}
    route53._health_checks[name] = check
    route53._hc_caller_refs[check["caller_reference"]] = name
    return name, {"HealthCheckId": name}


def _update_health_check(physical_id: str, _old: Properties, new: Properties, _stack_name: str) -> Created:
    check = route53._health_checks[physical_id]
    check.update(config=_config(new), version=check["version"] + 1)
    return physical_id, {"HealthCheckId": physical_id}


def _delete_health_check(physical_id: str, _props: Properties) -> None:
    check = route53._health_checks.pop(physical_id, None)
    if check:
        route53._hc_caller_refs.pop(check["caller_reference"], None)


def _records(props: Properties) -> list[Properties]:
    zone = {name: props[name] for name in ("HostedZoneId", "HostedZoneName") if name in props}
    return [record | zone for record in props.get("RecordSets") or []]


def _record_group(logical_id: str, props: Properties, stack_name: str) -> Created:
    for record in _records(props):
        provisioners._r53_record_set_create(logical_id, record, stack_name)
    return provisioners._physical_name(stack_name, logical_id), {}


def _delete_record_group(physical_id: str, props: Properties) -> None:
    for record in _records(props):
        provisioners._r53_record_set_delete(physical_id, record)


def _selection(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    status, _headers, body = backup._create_selection(props["BackupPlanId"], props)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(answer.get("message") or "the selection cannot be made")
    name = f"{answer['SelectionId']}_{props['BackupPlanId']}"
    return name, {"SelectionId": answer["SelectionId"], "BackupPlanId": props["BackupPlanId"], "Id": name}


def _delete_selection(physical_id: str, props: Properties) -> None:
    backup._delete_selection(props["BackupPlanId"], physical_id.partition("_")[0])


def _secret_policy(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    request = {"SecretId": props["SecretId"], "ResourcePolicy": json.dumps(props["ResourcePolicy"])}
    status, _headers, body = secretsmanager._put_resource_policy(request)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(answer.get("message"))
    return answer["ARN"], {"Id": answer["ARN"]}


def _delete_secret_policy(physical_id: str, _props: Properties) -> None:
    secretsmanager._delete_resource_policy({"SecretId": physical_id})


def install() -> None:
    """Add the types."""
    provisioners._RESOURCE_HANDLERS |= {
        "AWS::Route53::HealthCheck": {
            "create": _health_check,
            "update": _update_health_check,
            "delete": _delete_health_check,
        },
        "AWS::Route53::RecordSetGroup": {"create": _record_group, "delete": _delete_record_group},
        "AWS::Backup::BackupSelection": {"create": _selection, "delete": _delete_selection},
        "AWS::SecretsManager::ResourcePolicy": {"create": _secret_policy, "delete": _delete_secret_policy},
    }
