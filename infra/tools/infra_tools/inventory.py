"""That whatever takes tags or a name has ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import registry
from .results import Outcome
from .suppression import Finding, rules_of
from .templates import Template, strings
from .views import views

TAGS = ("Environment", "Project", "CostCenter", "MigrationPhase")
#: A template that is made once for each color tags with it too.
COLOR_TAG = "DeploymentColor"
#: Properties that name a resource, for types whose names are unique in an account and region.
NAME_PROPERTIES = (
    "AlarmName", "AliasName", "AutoScalingGroupName", "BackupPlanName", "BackupVaultName", "BucketName", "ClusterName",
    "DBClusterIdentifier", "DBClusterParameterGroupName", "DBInstanceIdentifier", "DBParameterGroupName", "DBSubnetGroupName",
    "DashboardName", "FunctionName", "InstanceProfileName", "LaunchTemplateName", "LogGroupName", "ManagedPolicyName",
    "QueueName", "ReplicationInstanceIdentifier", "ReplicationSubnetGroupIdentifier", "ReplicationTaskIdentifier", "RoleName",
    "TableName", "TopicName", "TrailName",
)  # fmt: skip
#: Types whose `Name` is such a name.
NAMED_TYPES = (
    "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::Events::Rule", "AWS::SSM::Parameter", "AWS::SecretsManager::Secret", "AWS::WAFv2::WebACL", "AWS::ApiGateway::RestApi",
)  # fmt: skip


#: The rules' names, for a resource that says why it breaks one.
TAGS_RULE = "PCI_12_5_1_TAGS_ARE_COMPLETE"
NAMES_RULE = "PCI_12_5_1_NAMES_ARE_OURS"
RULES = (TAGS_RULE, NAMES_RULE)


def check(templates: Sequence[Template]) -> Outcome:
    """Tags on what is taggable, the environment in each name."""
    suppressed = {
        (t.name, i, rule) for t in templates for i, resource in t.resources.items() for rule in rules_of(resource)
    }
    found = [f for f in findings(templates) if (f.template, f.resource, f.rule) not in suppressed]
    tagged = sum(1 for t in templates for r in t.resources.values() if registry.tag_property(r["Type"]))
    return Outcome(len(templates), [str(finding) for finding in found], f"{tagged} taggable resources")


def findings(templates: Sequence[Template]) -> list[Finding]:
    """Every name and tag that is missing, suppressed or not."""
    found: set[Finding] = set()
    for template in templates:
        wanted = (*TAGS, COLOR_TAG) if "Color" in template.section("Parameters") else TAGS
        for view in views({"Resources": template.resources}):
            for logical_id, resource in view["Resources"].items():
                found |= {Finding(template.name, logical_id, TAGS_RULE, text) for text in _tags(resource, wanted)}
                found |= {Finding(template.name, logical_id, NAMES_RULE, text) for text in _name(resource)}
    return sorted(found)


def _tags(resource: dict[str, Any], wanted: Sequence[str]) -> Iterator[str]:
    name = registry.tag_property(resource["Type"])
    if name is None:
        return
    tags = resource.get("Properties", {}).get(name, [])
    keys = set(tags) if isinstance(tags, dict) else {tag.get("Key") for tag in tags if isinstance(tag, dict)}
    missing = [key for key in wanted if key not in keys]
    if missing:
        yield f"has no tag {', '.join(missing)}"


def _name(resource: dict[str, Any]) -> Iterator[str]:
    schema = registry.schema(resource["Type"])
    if schema is None:
        return
    settable = set(schema["properties"]) - {path.rsplit("/", 1)[-1] for path in schema.get("readOnlyProperties", [])}
    properties = resource.get("Properties", {})
    own = [
        name
        for name in NAME_PROPERTIES
        if name in settable and f"/properties/{name}" in schema.get("createOnlyProperties", [])
    ]
    if resource["Type"] in NAMED_TYPES:
        own.append("Name")
    if resource["Type"] == "AWS::ECS::TaskDefinition":
        own.append("Family")
    if resource["Type"] == "AWS::RDS::DBInstance":
        # A cluster's member is in its cluster's subnets.
        own.remove("DBSubnetGroupName")
    for name in own:
        value = properties.get(name)
        if isinstance(value, dict) and not {"Fn::Sub", "Fn::Join"} & set(value):
            # A reference to another resource, which has the name: as the function of a version.
            continue
        if value is None:
            yield f"has no {name}, so its name would be made up"
        elif not any("${EnvironmentName}" in text or text == "EnvironmentName" for text in strings(value)):
            yield f"{name} does not contain the environment's name"
