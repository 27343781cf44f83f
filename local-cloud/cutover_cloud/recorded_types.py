"""Types in templates that are only written down: they are made, have a name and attributes, and do nothing.

Each is here by name, so that a template with any other unknown type is refused as AWS refuses it, and
`/_cutover/recorded` lists those that a stack made, lest a pass be taken for more than it shows.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services.cloudformation import provisioners

from cutover_cloud import control

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

# Type -> the service and resource of the ARN that it goes by; None where its name is no ARN.
TYPES: dict[str, str | None] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": None,
    "AWS::ApplicationAutoScaling::ScalingPolicy": "autoscaling:scalingPolicy/",
    "AWS::CloudTrail::Trail": None,
    "AWS::Config::ConfigRule": None,
    "AWS::Config::ConfigurationRecorder": None,
    "AWS::Config::DeliveryChannel": None,
    "AWS::DMS::Certificate": "dms:cert:",
    "AWS::DMS::EventSubscription": None,
    "AWS::EC2::NetworkAcl": None,
    "AWS::EC2::NetworkAclEntry": None,
    "AWS::EC2::SubnetNetworkAclAssociation": None,
    "AWS::ECS::CapacityProvider": None,
    "AWS::ECS::ClusterCapacityProviderAssociations": None,
    "AWS::ElasticLoadBalancingV2::ListenerCertificate": None,
    "AWS::IAM::ServiceLinkedRole": None,
    "AWS::Logs::Delivery": None,
    "AWS::Logs::DeliveryDestination": "logs:delivery-destination:",
    "AWS::Logs::DeliverySource": None,
    "AWS::Logs::QueryDefinition": None,
    "AWS::RDS::EventSubscription": None,
    "AWS::SSM::Document": None,
    "AWS::WAFv2::LoggingConfiguration": None,
    "AWS::WAFv2::WebACLAssociation": None,
}

# Physical id -> what was declared.
_recorded = AccountRegionScopedDict()


def _name(kind: str, logical_id: str, props: Properties, stack_name: str) -> str:
    if kind == "AWS::ApplicationAutoScaling::ScalableTarget":
        return f"{props['ResourceId']}|{props['ScalableDimension']}|{props['ServiceNamespace']}"
    named = [value for key, value in props.items() if key in ("Name", f"{kind.rpartition(':')[2]}Name", "TrailName")]
    name = str(named[0]) if named else provisioners._physical_name(stack_name, logical_id)
    arn = TYPES[kind]
    if arn is None:
        return name
    service, _, resource = arn.partition(":")
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}{name}"


def _handlers(kind: str) -> dict[str, Any]:
    def create(logical_id: str, props: Properties, stack_name: str) -> Created:
        name = _name(kind, logical_id, props, stack_name)
        _recorded[f"{stack_name}/{logical_id}"] = {"type": kind, "id": name, "stack": stack_name}
        return name, {"Arn": name, "Id": name}

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str = "") -> Created:
        return create(logical_id, new, stack_name)

    def delete(physical_id: str, _props: Properties) -> None:
        for key, record in list(_recorded.items()):
            if record["id"] == physical_id and record["type"] == kind:
                del _recorded[key]

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _listed(_given: dict[str, Any]) -> Any:
    return {"recorded": sorted(_recorded.values(), key=lambda record: (record["type"], record["id"]))}


def install() -> None:
    """Add the types that MiniStack does not have by now."""
    for kind in TYPES:
        provisioners._RESOURCE_HANDLERS.setdefault(kind, _handlers(kind))
    control.register("recorded", _listed)
