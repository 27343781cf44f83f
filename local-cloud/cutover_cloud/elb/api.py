"""The calls that a switcher and a validator rely on: unknown resources are errors, priorities are unique, and a target
group in use stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import alb
from ministack.services.cloudformation import provisioners

from cutover_cloud.elb import actions, targets
from cutover_cloud.elb.actions import Params, Refused

PRIORITY_MAX = 50_000
# AWS's defaults for a Lambda target group: no health checks unless asked for, and then seldom.
LAMBDA_DEFAULTS = {"HealthCheckEnabled": "false", "HealthCheckIntervalSeconds": "35", "HealthCheckTimeoutSeconds": "30"}

Response = tuple[int, dict[str, str], bytes]
Call = Callable[[Params], Response]


def _refusing(call: Call) -> Call:
    def guarded(params: Params) -> Response:
        try:
            return call(params)
        except Refused as refused:
            return alb._error(refused.code, str(refused))

    return guarded


def _changing(name: str, call: Call) -> Call:
    """A call that writes actions: checked as a whole before anything changes."""

    def changing(params: Params) -> Response:
        listener = alb._listeners.get(alb._p(params, "ListenerArn"))
        if name == "ModifyRule":
            rule = alb._rules.get(alb._p(params, "RuleArn"))
            listener = alb._listeners.get(rule["ListenerArn"]) if rule else None
        owner = alb._p(params, "LoadBalancerArn") or (listener or {}).get("LoadBalancerArn", "")
        if owner:
            prefix = "Actions" if name.endswith("Rule") else "DefaultActions"
            for action in alb._parse_actions(params, prefix):
                actions.check(action, owner)
        if name == "CreateRule" and listener:
            _check_priority(listener["ListenerArn"], alb._p(params, "Priority", "1"), "")
        response = call(params)
        actions.settle_associations()
        return response

    return changing


def _check_priority(listener_arn: str, priority: str, rule_arn: str) -> None:
    if not priority.isdigit() or not 1 <= int(priority) <= PRIORITY_MAX:
        raise Refused("ValidationError", f"Priority '{priority}' must be between '1' and '{PRIORITY_MAX}'")
    for arn, rule in alb._rules.items():
        if rule["ListenerArn"] == listener_arn and rule["Priority"] == priority and arn != rule_arn:
            raise Refused("PriorityInUse", f"Priority '{priority}' is currently in use")


def _asking(call: Call, store: Any, member: str, code: str, kind: str) -> Call:
    """A Describe call that names what it wants: AWS refuses the whole call for one that does not exist."""

    def asking(params: Params) -> Response:
        for arn in alb._parse_member_list(params, member):
            if arn not in store:
                return alb._error(code, f"One or more {kind} not found")
        return call(params)

    return asking


def _describe_target_groups(params: Params) -> Response:
    names = alb._parse_member_list(params, "Names")
    if names and not {group["TargetGroupName"] for group in alb._tgs.values()} >= set(names):
        return alb._error("TargetGroupNotFound", "One or more target groups not found")
    return _DESCRIBE_GROUPS(params)


def _create_target_group(params: Params) -> Response:
    if alb._p(params, "TargetType") == "lambda":
        params = {name: [value] for name, value in LAMBDA_DEFAULTS.items()} | params
    return _CREATE_GROUP(params)


def _delete_target_group(params: Params) -> Response:
    arn = alb._p(params, "TargetGroupArn")
    if (alb._tgs.get(arn) or {}).get("LoadBalancerArns"):
        return alb._error("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    targets.forget(arn)
    return _DELETE_GROUP(params)


def _describe_rules(params: Params) -> Response:
    """In the order in which they are tried, the default rule last."""
    arns = alb._parse_member_list(params, "RuleArns")
    listener_arn = alb._p(params, "ListenerArn")
    if listener_arn and listener_arn not in alb._listeners:
        return alb._error("ListenerNotFound", f"One or more listeners not found: {listener_arn}")
    if not set(arns) <= set(alb._rules):
        return alb._error("RuleNotFound", "One or more rules not found")
    found = [
        rule
        for rule in sorted(alb._rules.values(), key=alb._rule_sort_key)
        if (not arns or rule["RuleArn"] in arns) and (not listener_arn or rule["ListenerArn"] == listener_arn)
    ]
    return alb._xml(200, "DescribeRules", f"<Rules>{''.join(alb._rule_xml(rule) for rule in found)}</Rules>")


def _set_rule_priorities(params: Params) -> Response:
    wanted: dict[str, str] = {}
    while arn := alb._p(params, f"RulePriorities.member.{len(wanted) + 1}.RuleArn"):
        if arn not in alb._rules:
            return alb._error("RuleNotFound", f"One or more rules not found: {arn}")
        wanted[arn] = alb._p(params, f"RulePriorities.member.{len(wanted) + 1}.Priority")
    for arn, priority in wanted.items():
        owner = alb._rules[arn]["ListenerArn"]
        for other, rule in alb._rules.items():
            if other != arn and rule["ListenerArn"] == owner and wanted.get(other, rule["Priority"]) == priority:
                return alb._error("PriorityInUse", f"Priority '{priority}' is currently in use")
    return _SET_PRIORITIES(params)


def _declared_groups() -> None:
    """`Targets` of a template, which MiniStack drops, and the defaults of a Lambda target group."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ElasticLoadBalancingV2::TargetGroup"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def settled(made: tuple[str, dict[str, Any]], props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        wanted = [
            {"Id": target["Id"]} | ({"Port": int(target["Port"])} if target.get("Port") else {})
            for target in props.get("Targets") or []
        ]
        targets.replace_declared(made[0], wanted)
        return made

    def complete(props: dict[str, Any]) -> dict[str, Any]:
        return (LAMBDA_DEFAULTS | props) if props.get("TargetType") == "lambda" else props

    def create_group(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        return settled(create(logical_id, complete(props), stack_name), props)

    def update_group(physical_id: str, old: Any, new: dict[str, Any], stack_name: str, logical_id: Any = None) -> Any:
        return settled(update(physical_id, old, complete(new), stack_name, logical_id), new)

    def delete_group(physical_id: str, props: dict[str, Any]) -> None:
        delete(physical_id, props)
        targets.forget(physical_id)

    handlers["create"], handlers["update"], handlers["delete"] = create_group, update_group, delete_group


def _declared_rules() -> None:
    """Listeners and rules of templates change which target groups are in use, too."""
    for kind in ("Listener", "ListenerRule"):
        handlers = provisioners._RESOURCE_HANDLERS[f"AWS::ElasticLoadBalancingV2::{kind}"]
        for step in ("create", "update", "delete"):

            def settling(*arguments: Any, _original: Any = handlers[step], **options: Any) -> Any:
                made = _original(*arguments, **options)
                actions.settle_associations()
                return made

            handlers[step] = settling


_CREATE_GROUP, _DELETE_GROUP = alb._create_tg, alb._delete_tg
_DESCRIBE_GROUPS = _asking(
    alb._describe_tgs, alb._tgs, "TargetGroupArns", "TargetGroupNotFound", "target groups"
)
_SET_PRIORITIES = alb._set_rule_priorities


def install() -> None:
    """Replace the calls in MiniStack's table of actions, and its handlers of the template's types."""
    calls = alb._ACTION_MAP
    for name in ("CreateListener", "ModifyListener", "CreateRule", "ModifyRule"):
        calls[name] = _changing(name, calls[name])
    for name in ("DeleteListener", "DeleteRule"):
        calls[name] = _changing(name, calls[name])
    calls |= {
        "CreateTargetGroup": _create_target_group,
        "DeleteTargetGroup": _delete_target_group,
        "DescribeTargetGroups": _describe_target_groups,
        "DescribeRules": _describe_rules,
        "SetRulePriorities": _set_rule_priorities,
        "DescribeListeners": _asking(
            calls["DescribeListeners"], alb._listeners, "ListenerArns", "ListenerNotFound", "listeners"
        ),
        "DescribeLoadBalancers": _asking(
            calls["DescribeLoadBalancers"], alb._lbs, "LoadBalancerArns", "LoadBalancerNotFound", "load balancers"
        ),
    }
    for name, call in list(calls.items()):
        calls[name] = _refusing(call)
    # As AWS/ApplicationELB's dimension has it; MiniStack leaves out what kind of thing it is.
    alb._target_group_full_name_from_arn = lambda arn: arn.rpartition(":")[2]
    _declared_groups()
    _declared_rules()
