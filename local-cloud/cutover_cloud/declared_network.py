"""Network types in templates that MiniStack has the calls for and not the type: addresses, NAT gateways, rules of
security groups, flow logs. And what it does not show of endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.core.responses import new_uuid
from ministack.services import ec2
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def _call(call: Callable[[Properties], Any], **parameters: Any) -> str:
    """The answer's XML of one of MiniStack's EC2 calls. Raises ValueError."""
    given = {name: [str(value)] for name, value in parameters.items() if value is not None}
    status, _headers, body = call(given)
    text = body.decode() if isinstance(body, bytes) else body
    if status >= 400:
        raise ValueError(_one(text, "Message"))
    return text


def _one(xml: str, tag: str) -> str:
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", xml)
    return found[1] if found else ""


def _address(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    xml = _call(ec2._allocate_address, Domain=props.get("Domain", "vpc"))
    address, allocation = _one(xml, "publicIp"), _one(xml, "allocationId")
    provisioners._ec2_apply_tags(allocation, props)
    return address, {"PublicIp": address, "AllocationId": allocation}


def _release(physical_id: str, _props: Properties) -> None:
    for allocation, address in list(ec2._addresses.items()):
        if address["PublicIp"] == physical_id:
            _call(ec2._release_address, AllocationId=allocation)


def _nat_gateway(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    public = props.get("ConnectivityType", "public") == "public"
    if public and props.get("AllocationId") not in ec2._addresses:
        raise ValueError(f"The allocation ID '{props.get('AllocationId')}' does not exist")
    if props.get("SubnetId") not in ec2._subnets:
        raise ValueError(f"The subnet ID '{props.get('SubnetId')}' does not exist")
    names = ("SubnetId", "AllocationId", "ConnectivityType")
    xml = _call(ec2._create_nat_gateway, **{name: props[name] for name in names if name in props})
    gateway = _one(xml, "natGatewayId")
    provisioners._ec2_apply_tags(gateway, props)
    return gateway, {"NatGatewayId": gateway}


def _delete_nat_gateway(physical_id: str, _props: Properties) -> None:
    if physical_id in ec2._nat_gateways:
        _call(ec2._delete_nat_gateway, NatGatewayId=physical_id)


def _flow_log(_logical_id: str, props: Properties, _stack_name: str) -> Created:
    names = {
        "ResourceType": "ResourceType",
        "TrafficType": "TrafficType",
        "LogDestinationType": "LogDestinationType",
        "LogDestination": "LogDestination",
        "LogGroupName": "LogGroupName",
    }
    given = {parameter: props[name] for name, parameter in names.items() if name in props}
    xml = _call(ec2._create_flow_logs, **given, **{"ResourceId.1": props["ResourceId"]})
    name = _one(xml, "item")
    provisioners._ec2_apply_tags(name, props)
    return name, {"Id": name}


def _delete_flow_log(physical_id: str, _props: Properties) -> None:
    _call(ec2._delete_flow_logs, **{"FlowLogId.1": physical_id})


def _rule(direction: str) -> dict[str, Callable[..., Any]]:
    member = "IpPermissions" if direction == "Ingress" else "IpPermissionsEgress"

    def create(_logical_id: str, props: Properties, _stack_name: str) -> Created:
        group = ec2._security_groups.get(props.get("GroupId"))
        if group is None:
            raise ValueError(f"The security group '{props.get('GroupId')}' does not exist")
        (permission,) = provisioners._ec2_sg_permissions([props])
        if permission in group.setdefault(member, []):
            raise ValueError(f"the specified rule already exists in {group['GroupId']}")
        group[member].append(permission)
        name = f"sgr-{new_uuid().replace('-', '')[:17]}"
        return name, {"Id": name}

    def delete(_physical_id: str, props: Properties) -> None:
        group = ec2._security_groups.get(props.get("GroupId"))
        (permission,) = provisioners._ec2_sg_permissions([props])
        if group is not None and permission in group.get(member, []):
            group[member].remove(permission)

    return {"create": create, "delete": delete}


def _shown_endpoint(original: Callable[..., str]) -> Callable[..., str]:
    def shown(endpoint: dict[str, Any], tag: str = "item") -> str:
        document = endpoint.get("PolicyDocument")
        policy = json.dumps(document) if isinstance(document, dict) else document or ""
        groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in endpoint.get("SecurityGroupIds", []))
        private = str(endpoint.get("PrivateDnsEnabled", False)).lower()
        more = (
            f"<privateDnsEnabled>{private}</privateDnsEnabled><groupSet>{groups}</groupSet>"
            f"<policyDocument>{escape(policy)}</policyDocument>"
        )
        xml, ending = original(endpoint, tag), f"</{tag}>"
        return xml.removesuffix(ending) + more + ending

    return shown


def install() -> None:
    """Add the types. None has an update of its own: a change makes another and takes the old one away."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::EC2::EIP"] = {"create": _address, "delete": _release}
    handlers["AWS::EC2::NatGateway"] = {"create": _nat_gateway, "delete": _delete_nat_gateway}
    handlers["AWS::EC2::FlowLog"] = {"create": _flow_log, "delete": _delete_flow_log}
    handlers["AWS::EC2::SecurityGroupIngress"] = _rule("Ingress")
    handlers["AWS::EC2::SecurityGroupEgress"] = _rule("Egress")
    ec2._vpce_fields_xml = _shown_endpoint(ec2._vpce_fields_xml)
