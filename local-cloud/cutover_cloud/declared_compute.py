"""Services of ECS as AWS takes them, what a template says of them, and the image that instances are made from."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import alb, ecs, ssm
from ministack.services.cloudformation import provisioners

UBUNTU = "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id"
# A stub image of MiniStack's.
UBUNTU_IMAGE = "ami-0c2023a1b2c3d4e5f"
# Properties of a declared service that MiniStack drops, and what ECS calls them.
KEPT = {
    "EnableExecuteCommand": "enableExecuteCommand",
    "EnableECSManagedTags": "enableECSManagedTags",
    "HealthCheckGracePeriodSeconds": "healthCheckGracePeriodSeconds",
    "PlatformVersion": "platformVersion",
    "PropagateTags": "propagateTags",
}
Properties = dict[str, Any]


def _create_service(request: Properties) -> Any:
    """Refuse target groups that no load balancer names: so does ECS, and so the order of a template's stacks counts."""
    for balancer in request.get("loadBalancers") or []:
        arn = balancer.get("targetGroupArn")
        if arn and not (alb._tgs.get(arn) or {}).get("LoadBalancerArns"):
            return error_response_json(
                "InvalidParameterException",
                f"The target group with targetGroupArn {arn} does not have an associated load balancer.",
                400,
            )
    return _CREATE_SERVICE(request)


def _counted(props: Properties) -> Properties:
    """The properties with their count as a number: a parameter's value comes as text."""
    return props | ({"DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else {})


def _update_service(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Any:
    if "DesiredCount" not in new:
        # What is left out stays as it is.
        old = {name: value for name, value in old.items() if name != "DesiredCount"}
    return _UPDATE_SERVICE(physical_id, _counted(old), _counted(new), stack_name)


def _declared_service(logical_id: str, props: Properties, stack_name: str) -> Any:
    made = _DECLARED_SERVICE(logical_id, _counted(props), stack_name)
    cluster = ecs._resolve_cluster_name(props.get("Cluster", "default"))
    kept = {own: props[name] for name, own in KEPT.items() if name in props}
    ecs._services[f"{cluster}/{made[1]['Name']}"].update(kept)
    return made


_CREATE_SERVICE = ecs._create_service
_DECLARED_SERVICE, _UPDATE_SERVICE = provisioners._ecs_service_create, provisioners._ecs_service_update


def install() -> None:
    """Replace MiniStack's creation of services, by call and by template."""
    ecs._create_service = ecs._ACTION_MAP["CreateService"] = _create_service
    provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"] |= {"create": _declared_service, "update": _update_service}
    ssm._PUBLIC_AMI_PARAMETERS[UBUNTU] = UBUNTU_IMAGE
