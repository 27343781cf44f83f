//! The templates against what they must agree with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_yaml_ng::Value;

/// What CloudFormation takes from a bucket, and what it takes inline: the root has to be uploaded, the others need not be.
const ROOT_BYTES_MAX: u64 = 1_000_000;
const STACK_BYTES_MAX: u64 = 51_200;
/// The root, below `infra`.
const ROOT: &str = "template.yaml";

fn infra() -> PathBuf {
    cutover_tests::project().join("infra")
}

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(infra().join(path)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

/// Every template, by its path below `infra`: the root, the stacks that it instantiates, and what is deployed beside it.
fn templates() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::from([(ROOT.to_owned(), yaml(ROOT))]);
    for folder in ["stacks", "iam"] {
        for entry in std::fs::read_dir(infra().join(folder)).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_some_and(|kind| kind == "yaml") {
                let name = file.file_name().unwrap().to_str().unwrap();
                let path = format!("{folder}/{name}");
                let template = yaml(&path);
                found.insert(path, template);
            }
        }
    }
    assert!(found.len() > 12, "{:?}", found.keys());
    found
}

/// Every resource of every template: the template, its logical id, and what is declared.
fn resources() -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, template) in templates() {
        for (id, resource) in template["Resources"].as_mapping().unwrap() {
            found.push((path.clone(), text(id).to_owned(), resource.clone()));
        }
    }
    found
}

/// The nested stacks of a template: logical id, the template's path below `infra`, and the parameters that are given.
fn nested(template: &Value) -> Vec<(String, String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for (id, resource) in template["Resources"].as_mapping().unwrap() {
        if resource["Type"] == "AWS::CloudFormation::Stack" {
            let properties = &resource["Properties"];
            let url = text(&properties["TemplateURL"]);
            let (_, path) = url.split_once("${TemplatePrefix}/").unwrap();
            let given = keys(&properties["Parameters"]);
            found.push((text(id).to_owned(), path.to_owned(), given));
        }
    }
    found
}

fn keys(mapping: &Value) -> BTreeSet<String> {
    mapping
        .as_mapping()
        .map(|entries| entries.keys().map(|key| text(key).to_owned()).collect())
        .unwrap_or_default()
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
    let template = yaml("stacks/api.yaml");
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
    for (path, methods) in yaml("openapi/payment.yaml")["paths"].as_mapping().unwrap() {
        for method in methods.as_mapping().unwrap().keys() {
            documented.insert(format!("{} {}", text(method).to_uppercase(), text(path)));
        }
    }
    assert_eq!(declared, documented);
    assert!(declared.len() >= 5, "{declared:?}");
}

/// Every key in a value, however deep.
fn deep_keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                found.insert(text(key).to_owned());
                deep_keys(value, found);
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| deep_keys(value, found)),
        Value::Tagged(tagged) => deep_keys(&tagged.value, found),
        _ => {}
    }
}

/// CloudFormation would reset what it declares: aliases, weights and weighted records belong to the switch alone.
#[test]
fn neither_the_alias_nor_a_weight_is_declared() {
    for (path, id, resource) in resources() {
        assert_ne!(text(&resource["Type"]), "AWS::Lambda::Alias", "{path} {id}");
        let mut declared = BTreeSet::new();
        deep_keys(&resource["Properties"], &mut declared);
        for owned in [
            "AdditionalVersionWeights",
            "CanarySetting",
            "ForwardConfig",
            "RoutingConfig",
            "SetIdentifier",
            "Weight",
        ] {
            assert!(!declared.contains(owned), "{path} {id} declares {owned}");
        }
    }
}

/// Everything can be deleted: nothing is retained, and no snapshot is left behind.
#[test]
fn nothing_is_retained() {
    for (path, id, resource) in resources() {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            let policy = resource.get(policy).map_or("Delete", text);
            assert_eq!(policy, "Delete", "{path} {id}");
        }
        // CloudFormation's own default for it is a snapshot.
        if resource["Type"] == "AWS::RDS::DBCluster" {
            assert!(resource.get("DeletionPolicy").is_some(), "{path} {id}");
        }
    }
}

/// A stack that is instantiated is there, and gets exactly what it asks for.
#[test]
fn stacks_get_the_parameters_that_they_take() {
    let all = templates();
    let mut instantiated = BTreeSet::new();
    for (of, template) in &all {
        for (id, path, given) in nested(template) {
            let stack = all
                .get(&path)
                .unwrap_or_else(|| panic!("{of} {id}: {path} is missing"));
            let taken = keys(&stack["Parameters"]);
            let unknown: Vec<_> = given.difference(&taken).collect();
            assert!(unknown.is_empty(), "{of} {id}: {path} takes no {unknown:?}");
            for parameter in taken.difference(&given) {
                assert!(
                    stack["Parameters"][parameter.as_str()]
                        .get("Default")
                        .is_some(),
                    "{of} {id}: {path} needs {parameter}"
                );
            }
            instantiated.insert(path);
        }
    }
    let beside: Vec<_> = all
        .keys()
        .filter(|path| *path != ROOT && !instantiated.contains(*path))
        .collect();
    assert_eq!(
        beside,
        ["iam/deploy-role.yaml"],
        "templates that nothing instantiates"
    );
}

/// What one stack asks of another, the other puts out.
#[test]
fn stacks_put_out_what_is_asked_of_them() {
    let all = templates();
    let mut asked = 0;
    for (of, template) in &all {
        let written = std::fs::read_to_string(infra().join(of)).unwrap();
        for (id, path, _) in nested(template) {
            let outputs = keys(&all[&path]["Outputs"]);
            for rest in written.split(&format!("{id}.Outputs.")).skip(1) {
                let name: String = rest
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                assert!(
                    outputs.contains(&name),
                    "{of} asks {id} for {name}: {outputs:?}"
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
}

/// What an operator sets has a place, a meaning and bounds, and only the root exports.
#[test]
fn parameters_are_explained_and_grouped() {
    let root = yaml(ROOT);
    let interface = &root["Metadata"]["AWS::CloudFormation::Interface"];
    let grouped: Vec<String> = interface["ParameterGroups"]
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|group| group["Parameters"].as_sequence().unwrap())
        .map(|name| text(name).to_owned())
        .collect();
    let once: BTreeSet<String> = grouped.iter().cloned().collect();
    assert_eq!(once.len(), grouped.len(), "no parameter is in two groups");
    assert_eq!(once, keys(&root["Parameters"]), "each is in one");
    for (path, template) in templates() {
        let Some(parameters) = template["Parameters"].as_mapping() else {
            continue;
        };
        for (name, parameter) in parameters {
            let name = text(name);
            if path == ROOT {
                assert!(parameter.get("Description").is_some(), "{path} {name}");
            }
            if parameter.get("AllowedPattern").is_some() && path == ROOT {
                let told = parameter.get("ConstraintDescription").is_some();
                assert!(told, "{path} {name}: a pattern is no explanation");
            }
        }
        if path != ROOT {
            for (name, output) in template["Outputs"].as_mapping().into_iter().flatten() {
                assert!(output.get("Export").is_none(), "{path} exports {name:?}");
            }
        }
    }
}

/// Each contradiction is refused by a rule that says what to do, and no rule is without words.
#[test]
fn every_rule_says_what_to_do() {
    let root = yaml(ROOT);
    let rules = root["Rules"].as_mapping().unwrap();
    assert!(rules.len() > 10, "{}", rules.len());
    for (name, rule) in rules {
        for assertion in rule["Assertions"].as_sequence().unwrap() {
            let words = assertion["AssertDescription"].as_str().unwrap();
            assert!(
                words.ends_with('.') && words.len() > 40,
                "{name:?}: {words}"
            );
        }
    }
}

/// CloudFormation takes no larger ones.
#[test]
fn templates_are_small_enough() {
    for path in templates().keys() {
        let bytes = std::fs::metadata(infra().join(path)).unwrap().len();
        let most = if path == ROOT {
            ROOT_BYTES_MAX
        } else {
            STACK_BYTES_MAX
        };
        assert!(bytes <= most, "{path} has {bytes} bytes");
    }
}
