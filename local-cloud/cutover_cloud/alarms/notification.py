"""What an alarm's transition sets off: the EventBridge event, and Lambda actions. MiniStack only notifies SNS."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import cloudwatch, eventbridge, lambda_svc

from cutover_cloud.alarms.engine import Alarm, stamp
from cutover_cloud.permissions import ALARMS, Permissions

log = logging.getLogger("cutover_cloud.alarms")

ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
# The state that each alarm was last told to be in, by its ARN: `previousState` of the next event.
_last: dict[str, dict[str, Any]] = {}


def state(alarm: Alarm, value: str, reason: str, now: float) -> dict[str, Any]:
    """`detail.state`. Composite alarms and SetAlarmState may have no data."""
    shown = {"value": value, "reason": reason, "timestamp": stamp(now)}
    return shown | ({"reasonData": alarm["StateReasonData"]} if alarm.get("StateReasonData") else {})


def configuration(alarm: Alarm) -> dict[str, Any]:
    """`detail.configuration`: the rule of a composite alarm, the metrics of any other."""
    described = {"description": alarm["AlarmDescription"]} if alarm.get("AlarmDescription") else {}
    if alarm.get("AlarmRule"):
        return described | {"alarmRule": alarm["AlarmRule"]}
    return described | {"metrics": [_query(entry) for entry in alarm.get("Metrics") or [_own_metric(alarm)]]}


def _own_metric(alarm: Alarm) -> dict[str, Any]:
    metric = {
        "Namespace": alarm.get("Namespace"),
        "MetricName": alarm.get("MetricName"),
        "Dimensions": alarm.get("Dimensions"),
    }
    stat = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    return {"Id": new_uuid(), "MetricStat": {"Metric": metric, "Period": alarm.get("Period"), "Stat": stat}}


def _query(entry: dict[str, Any]) -> dict[str, Any]:
    shown = {"id": entry["Id"], "returnData": entry.get("ReturnData", True)}
    if entry.get("Label"):
        shown["label"] = entry["Label"]
    if entry.get("Expression"):
        return shown | {"expression": entry["Expression"]}
    stat = entry["MetricStat"]
    metric = stat["Metric"]
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions") or []}
    return shown | {
        "metricStat": {
            "metric": {"namespace": metric["Namespace"], "name": metric["MetricName"], "dimensions": dimensions},
            "period": int(stat["Period"]),
            "stat": stat["Stat"],
        }
    }


def detail(alarm: Alarm, previous: str, value: str, reason: str, now: float) -> dict[str, Any]:
    """The event's detail, and the `alarmData` of a Lambda action."""
    current = state(alarm, value, reason, now)
    before = _last.get(alarm["AlarmArn"])
    # An alarm that was deleted and made again has another past.
    if before is None or before["value"] != previous:
        before = {"value": previous, "reason": "Unchecked: Initial alarm creation", "timestamp": stamp(now)}
    _last[alarm["AlarmArn"]] = current
    return {
        "alarmName": alarm["AlarmName"],
        "state": current,
        "previousState": before,
        "configuration": configuration(alarm),
    }


def _send_event(alarm: Alarm, body: dict[str, Any], now: float) -> None:
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Detail": json.dumps(body),
            "EventBusName": "default",
            "Time": now,
            "Resources": [alarm["AlarmArn"]],
            "Account": get_account_id(),
            "Region": get_region(),
        }
    )


def _invoke_actions(alarm: Alarm, body: dict[str, Any], now: float, permissions: Permissions) -> None:
    if not alarm.get("ActionsEnabled", True):
        return
    payload = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": get_account_id(),
        "time": stamp(now),
        "region": get_region(),
        "alarmData": body,
    }
    for action in alarm.get(ACTIONS[body["state"]["value"]]) or []:
        if ":lambda:" not in action or not permissions.allows(ALARMS, action, alarm["AlarmArn"]):
            continue
        func, config, name = lambda_svc._get_func_record_for_ref(action)
        if func is None or config is None:
            log.warning("alarm %s: no function %s", alarm["AlarmName"], name)
            continue
        lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), payload)


def install(permissions: Permissions) -> None:
    """Add to MiniStack's own notification, off the event loop, which delivery may block."""
    notify_topics = cloudwatch._dispatch_alarm_actions

    def dispatch(alarm: Alarm, old_state: str, new_state: str, reason: str) -> None:
        now = time.time()
        body = detail(alarm, old_state, new_state, reason, now)

        def deliver() -> None:
            _send_event(alarm, body, now)
            _invoke_actions(alarm, body, now, permissions)
            notify_topics(alarm, old_state, new_state, reason)

        threading.Thread(target=contextvars.copy_context().run, args=(deliver,), daemon=True).start()

    cloudwatch._dispatch_alarm_actions = dispatch
