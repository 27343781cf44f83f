"""Alarms in templates: metric math in `AWS::CloudWatch::Alarm`, and `AWS::CloudWatch::CompositeAlarm`."""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from cutover_cloud.alarms.api import complete

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
COMPOSITE_MEMBERS = (
    "AlarmRule",
    "AlarmDescription",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "ActionsEnabled",
    "Tags",
)


def _numbers(queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Templates may write numbers and booleans as strings."""
    converted = json.loads(json.dumps(queries))
    for query in converted:
        if "ReturnData" in query:
            query["ReturnData"] = str(query["ReturnData"]).lower() == "true"
        for holder in (query, query.get("MetricStat") or {}):
            if "Period" in holder:
                holder["Period"] = int(holder["Period"])
    return converted


def _put_composite(name: str, props: Properties) -> Created:
    body = {"AlarmName": name} | {key: props[key] for key in COMPOSITE_MEMBERS if key in props}
    body["ActionsEnabled"] = str(props.get("ActionsEnabled", True)).lower() == "true"
    status, _headers, answer = cloudwatch._put_composite_alarm({}, body, False, True)
    if status >= 400:
        raise ValueError(f"AWS::CloudWatch::CompositeAlarm: {answer.decode()}")
    return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}


def _create_composite(logical_id: str, props: Properties, stack_name: str) -> Created:
    return _put_composite(props.get("AlarmName") or provisioners._physical_name(stack_name, logical_id), props)


def _update_composite(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
) -> Created:
    if new.get("AlarmName", physical_id) == physical_id:
        return _put_composite(physical_id, new)
    created = _create_composite(logical_id or physical_id, new, stack_name)
    provisioners._delete_predecessor(_delete_composite, physical_id, old)
    return created


def _delete_composite(physical_id: str, _props: Properties) -> None:
    cloudwatch._delete_alarms({}, {"AlarmNames": [physical_id]}, False, True)


def install() -> None:
    """Extend the one type and add the other."""
    record = provisioners._cw_metric_alarm_record

    def alarm_record(name: str, props: Properties) -> dict[str, Any]:
        queries = props.get("Metrics")
        if not queries:
            return record(name, props)
        # MiniStack refuses metric math, and asks for a metric, which `complete` takes away again.
        plain = {key: value for key, value in props.items() if key != "Metrics"}
        alarm = record(name, plain | {"MetricName": "-", "Namespace": "-"})
        complete(alarm, {"Metrics": _numbers(queries), "ThresholdMetricId": props.get("ThresholdMetricId")})
        return alarm

    provisioners._cw_metric_alarm_record = alarm_record
    provisioners._RESOURCE_HANDLERS.setdefault(
        "AWS::CloudWatch::CompositeAlarm",
        {
            "create": _create_composite,
            "update": _update_composite,
            "update_with_logical_id": True,
            "delete": _delete_composite,
        },
    )
