"""Nested stacks as AWS has them: templates by the bucket's own host name, resources that did not change keep their
attributes, and a child that fails says which resource failed, leaves nothing behind, or stays where it cannot be deleted.

Templates are read by libyaml: with two dozen of them PyYAML's own parser is the slowest part of a deployment.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import yaml
from ministack.services import cloudformation
from ministack.services.cloudformation import engine, helpers, provisioners

log = logging.getLogger("cutover_cloud.nested_stacks")
Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
Stack = dict[str, Any]

# https://<bucket>.s3.<region>.amazonaws.com/<key>, which MiniStack reads as a key's first part and the rest.
BUCKET_HOST = re.compile(r"https?://(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com/(?P<key>.+)")


def path_style(url: str) -> str:
    """The same object with the bucket in the path; other addresses as they are."""
    found = BUCKET_HOST.fullmatch(url)
    return f"https://s3.amazonaws.com/{found['bucket']}/{found['key']}" if found else url


def _addresses() -> None:
    resolve = helpers._resolve_document

    def resolve_document(params: Any, body_key: str, url_key: str, label: str) -> Any:
        url = helpers._p(params, url_key)
        if url:
            params = {**params, url_key: [path_style(url)]}
        return resolve(params, body_key, url_key, label)

    helpers._resolve_document = resolve_document


def _kept_attributes() -> None:
    """MiniStack does not hand a child's old attributes on, so that what did not change had none."""
    update = provisioners._update_resource

    def update_resource(
        resource_type: str,
        physical_id: str,
        old: Properties,
        new: Properties,
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: Properties | None = None,
    ) -> Created:
        if old_attrs is None:
            resources = (cloudformation._stacks.get(stack_name) or {}).get("_resources", {})
            old_attrs = resources.get(logical_id, {}).get("Attributes")
        result: Created = update(resource_type, physical_id, old, new, stack_name, logical_id, old_attrs)
        return result

    provisioners._update_resource = update_resource


def _quick_templates() -> None:
    slow = engine.CfnLoader
    members = {name: dict(getattr(slow, name)) for name in ("yaml_constructors", "yaml_multi_constructors")}
    engine.CfnLoader = type("QuickCfnLoader", (yaml.CSafeLoader,), members)


def _children(parent: str, logical_id: str) -> list[Stack]:
    prefix = f"{parent}-{logical_id}-"
    return [stack for name, stack in list(cloudformation._stacks.items()) if name.startswith(prefix)]


def _order(stack: Stack) -> list[str]:
    resources = stack.get("_resources", {})
    declared = (stack.get("_template") or {}).get("Resources") or {}
    try:
        ordered = engine._topological_sort(declared, stack.get("_conditions", {}))
    except ValueError:
        ordered = []
    known = [name for name in ordered if name in resources]
    return known + [name for name in resources if name not in known]


def take_down(stack: Stack) -> None:
    """Delete what the stack still has, dependents first. Raises ValueError with what could not be deleted."""
    resources, failed = stack.get("_resources", {}), []
    for name in reversed(_order(stack)):
        record = resources[name]
        try:
            provisioners._delete_resource(
                record["ResourceType"], record["PhysicalResourceId"], record["Properties"], stack["StackName"], name
            )
        except Exception as error:
            log.warning("%s of %s cannot be deleted: %s", name, stack["StackName"], error)
            failed.append(f"{name} ({error})")
        else:
            del resources[name]
    if failed:
        stack["StackStatus"] = "DELETE_FAILED"
        raise ValueError(f"The following resource(s) failed to delete: {'; '.join(failed)}")
    stack["StackStatus"] = "DELETE_COMPLETE"


def _create(logical_id: str, props: Properties, stack_name: str) -> Created:
    before = {stack["StackName"] for stack in _children(stack_name, logical_id)}
    try:
        return provisioners._cfn_nested_stack_deploy(logical_id, props, stack_name)
    except Exception as error:
        why = str(error)
        for stack in _children(stack_name, logical_id):
            if stack["StackName"] in before:
                continue
            why = stack.get("StackStatusReason") or why
            take_down(stack)
        raise ValueError(f"Embedded stack {logical_id} was not successfully created: {why}") from error


def _update(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    name = provisioners._nested_stack_lookup_name(physical_id)
    try:
        return provisioners._cfn_nested_stack_deploy(
            physical_id, new, stack_name, previous_physical_id=name, previous_props=old
        )
    except Exception as error:
        why = (cloudformation._stacks.get(name) or {}).get("StackStatusReason") or str(error)
        raise ValueError(f"Embedded stack {name} was not successfully updated: {why}") from error


def _delete(physical_id: str, _props: Properties) -> None:
    stack = cloudformation._stacks.get(provisioners._nested_stack_lookup_name(physical_id))
    if stack is not None:
        take_down(stack)


def install() -> None:
    """Replace the type's handlers, and what they build on."""
    _quick_templates()
    _addresses()
    _kept_attributes()
    provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"].update(create=_create, update=_update, delete=_delete)
