//! The template against what it must agree with.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(cutover_tests::project().join(path)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

/// The text of a scalar, its tag (`!Ref`, `!GetAtt`) put aside.
fn text(value: &Value) -> &str {
    match value {
        Value::Tagged(tagged) => text(&tagged.value),
        value => value.as_str().unwrap(),
    }
}

/// The path of an API resource, from the root down.
fn path(resources: &Value, id: &str) -> String {
    let properties = &resources[id]["Properties"];
    let part = text(&properties["PathPart"]);
    match text(&properties["ParentId"]) {
        "Api.RootResourceId" => format!("/{part}"),
        parent => format!("{}/{part}", path(resources, parent)),
    }
}

/// API Gateway imports no `OpenAPI` 3.1, so the template declares its routes itself; they are those of the document.
#[test]
fn the_api_has_the_documented_routes() {
    let template = yaml("infra/template.yaml");
    let resources = &template["Resources"];
    let mut declared = BTreeSet::new();
    for resource in resources.as_mapping().unwrap().values() {
        if resource["Type"] == "AWS::ApiGateway::Method" {
            let properties = &resource["Properties"];
            let path = path(resources, text(&properties["ResourceId"]));
            declared.insert(format!("{} {path}", text(&properties["HttpMethod"])));
        }
    }
    let mut documented = BTreeSet::new();
    for (path, methods) in yaml("infra/openapi/payment.yaml")["paths"]
        .as_mapping()
        .unwrap()
    {
        for method in methods.as_mapping().unwrap().keys() {
            documented.insert(format!("{} {}", text(method).to_uppercase(), text(path)));
        }
    }
    assert_eq!(declared, documented);
    assert!(declared.len() >= 5, "{declared:?}");
}

/// CloudFormation would reset what it declares: the alias and its weights belong to the switch alone.
#[test]
fn neither_the_alias_nor_a_weight_is_declared() {
    let template = yaml("infra/template.yaml");
    for (id, resource) in template["Resources"].as_mapping().unwrap() {
        let kind = text(&resource["Type"]);
        assert_ne!(kind, "AWS::Lambda::Alias", "{id:?}");
        let written = serde_yaml_ng::to_string(resource).unwrap();
        for name in ["RoutingConfig", "AdditionalVersionWeights", "CanarySetting"] {
            assert!(!written.contains(name), "{id:?} declares {name}");
        }
    }
}

/// Everything can be deleted: nothing is retained.
#[test]
fn nothing_is_retained() {
    let template = yaml("infra/template.yaml");
    for (id, resource) in template["Resources"].as_mapping().unwrap() {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            let policy = resource.get(policy).map_or("Delete", text);
            assert_eq!(policy, "Delete", "{id:?}");
        }
    }
}
