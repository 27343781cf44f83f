"""Forward actions over several weighted target groups, in the API, in templates, and in answers.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ForwardActionConfig.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import alb
from ministack.services.cloudformation import provisioners

GROUPS_MAX = 5
WEIGHT_MAX = 999
STICKY_SECONDS_MAX = 7 * 24 * 3600

Action = dict[str, Any]
Params = dict[str, Any]


class Refused(ValueError):
    """What AWS refuses about an action, with its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def normal(action: Action, config: dict[str, Any] | None) -> Action:
    """A forward action as AWS stores it: always a `ForwardConfig`, and `TargetGroupArn` only where it is the one."""
    if action.get("Type", "").lower() != "forward":
        return action
    config = config or {}
    groups = [
        {"TargetGroupArn": group["TargetGroupArn"], "Weight": _integer(group.get("Weight", 1), "Weight")}
        for group in config.get("TargetGroups") or []
    ]
    own = action.get("TargetGroupArn")
    if own and groups and [group["TargetGroupArn"] for group in groups] != [own]:
        raise Refused(
            "ValidationError",
            "You cannot specify both a target group ARN and a forward action with more than that target group",
        )
    groups = groups or ([{"TargetGroupArn": own, "Weight": 1}] if own else [])
    stored = {name: value for name, value in action.items() if name != "TargetGroupArn"}
    if len(groups) == 1:
        stored["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return stored | {
        "ForwardConfig": {
            "TargetGroups": groups,
            "TargetGroupStickinessConfig": _stickiness(config.get("TargetGroupStickinessConfig") or {}),
        }
    }


def _stickiness(given: dict[str, Any]) -> dict[str, Any]:
    enabled = str(given.get("Enabled", False)).lower() == "true"
    seconds = given.get("DurationSeconds")
    if not enabled:
        return {"Enabled": False} | ({"DurationSeconds": _integer(seconds, "DurationSeconds")} if seconds else {})
    duration = _integer(seconds, "DurationSeconds") if seconds else 0
    if not 1 <= duration <= STICKY_SECONDS_MAX:
        raise Refused(
            "ValidationError", f"Stickiness duration seconds must be between '1' and '{STICKY_SECONDS_MAX}'"
        )
    return {"Enabled": True, "DurationSeconds": duration}


def _integer(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refused("ValidationError", f"'{name}' must be an integer, not '{value}'") from None


def check(action: Action, load_balancer_arn: str) -> None:
    """Raise Refused for groups that do not exist, serve another load balancer, are too many, or weigh too much."""
    config = action.get("ForwardConfig")
    if config is None:
        return
    groups = config["TargetGroups"]
    if not groups:
        raise Refused("ValidationError", "A forward action needs a target group")
    if len(groups) > GROUPS_MAX:
        raise Refused("ValidationError", f"A forward action can have up to '{GROUPS_MAX}' target groups")
    arns = [group["TargetGroupArn"] for group in groups]
    if len(set(arns)) < len(arns):
        raise Refused("ValidationError", "A target group can only be specified once in a forward action")
    for group in groups:
        arn = group["TargetGroupArn"]
        if not 0 <= group["Weight"] <= WEIGHT_MAX:
            raise Refused("ValidationError", f"Weight '{group['Weight']}' must be between '0' and '{WEIGHT_MAX}'")
        if arn not in alb._tgs:
            raise Refused("TargetGroupNotFound", f"Target groups '{arn}' not found")
        if any(other != load_balancer_arn for other in alb._tgs[arn].get("LoadBalancerArns", [])):
            raise Refused(
                "TargetGroupAssociationLimit",
                f"The following target groups cannot be associated with more than one load balancer: {arn}",
            )


def groups_of(action: Action) -> list[dict[str, Any]]:
    """The weighted groups of a forward action; none of another."""
    return (action.get("ForwardConfig") or {}).get("TargetGroups") or []


def settle_associations() -> None:
    """Name for each target group the load balancers whose rules forward to it, as DescribeTargetGroups shows them."""
    used: dict[str, list[str]] = {}
    for rule in alb._rules.values():
        listener = alb._listeners.get(rule["ListenerArn"])
        for group in [group for action in rule.get("Actions") or [] for group in groups_of(action)] if listener else []:
            found = used.setdefault(group["TargetGroupArn"], [])
            if listener["LoadBalancerArn"] not in found:
                found.append(listener["LoadBalancerArn"])
    for arn, group in alb._tgs.items():
        group["LoadBalancerArns"] = used.get(arn, [])


def _given_config(params: Params, base: str) -> dict[str, Any]:
    groups, index = [], 1
    while arn := alb._p(params, f"{base}.TargetGroups.member.{index}.TargetGroupArn"):
        weight = alb._p(params, f"{base}.TargetGroups.member.{index}.Weight", "1")
        groups.append({"TargetGroupArn": arn, "Weight": weight})
        index += 1
    sticky = f"{base}.TargetGroupStickinessConfig"
    return {
        "TargetGroups": groups,
        "TargetGroupStickinessConfig": {
            "Enabled": alb._p(params, f"{sticky}.Enabled", "false"),
            "DurationSeconds": alb._p(params, f"{sticky}.DurationSeconds"),
        },
    }


def _xml(config: dict[str, Any]) -> str:
    groups = "".join(
        f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn><Weight>{group['Weight']}</Weight></member>"
        for group in config["TargetGroups"]
    )
    sticky = config["TargetGroupStickinessConfig"]
    seconds = f"<DurationSeconds>{sticky['DurationSeconds']}</DurationSeconds>" if "DurationSeconds" in sticky else ""
    return (
        f"<ForwardConfig><TargetGroups>{groups}</TargetGroups><TargetGroupStickinessConfig>"
        f"<Enabled>{str(sticky['Enabled']).lower()}</Enabled>{seconds}"
        "</TargetGroupStickinessConfig></ForwardConfig>"
    )


def install() -> None:
    """Read and show `ForwardConfig` wherever MiniStack reads and shows actions."""
    parse, show, declared = alb._parse_actions, alb._action_xml, provisioners._elbv2_listener_actions

    def parse_actions(params: Params, prefix: str = "DefaultActions") -> list[Action]:
        found = parse(params, prefix)
        return [
            normal(action, _given_config(params, f"{prefix}.member.{index}.ForwardConfig"))
            for index, action in enumerate(found, 1)
        ]

    def action_xml(action: Action) -> str:
        plain = show(action)
        if "ForwardConfig" not in action:
            return plain
        return plain.removesuffix("</member>") + _xml(action["ForwardConfig"]) + "</member>"

    def declared_actions(props: dict[str, Any], lb_arn: str | None, prop: str = "DefaultActions") -> list[Action]:
        made = declared(props, None, prop)
        owner = lb_arn or alb._listeners[props["ListenerArn"]]["LoadBalancerArn"]
        stored = []
        for action, given in zip(made, props.get(prop) or [], strict=True):
            # MiniStack writes the first group of several into the plain member.
            plain = {name: value for name, value in action.items() if name != "TargetGroupArn"}
            if given.get("TargetGroupArn"):
                plain["TargetGroupArn"] = given["TargetGroupArn"]
            stored.append(normal(plain, given.get("ForwardConfig")))
            check(stored[-1], owner)
        return stored

    alb._parse_actions = parse_actions
    alb._action_xml = action_xml
    provisioners._elbv2_listener_actions = declared_actions
