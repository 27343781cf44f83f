//! Secrets Manager: secrets with versions and labels, as far as reading and rotating them goes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Answer, operation};
use crate::http::Request;

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";
const PASSWORD_CHARACTERS: &[u8] =
    b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!#$%&()*+,-.:;<=>?[]^_{|}~";

/// A version: what it holds, if it holds anything yet, and its labels.
#[derive(Debug, Default)]
struct Version {
    value: Option<String>,
    labels: BTreeSet<String>,
}

type Versions = BTreeMap<String, Version>;

/// The secrets, by name.
#[derive(Debug, Default)]
pub struct Secrets(RefCell<HashMap<String, Versions>>);

impl Secrets {
    /// Makes a secret, or makes it anew, with one version.
    pub fn set(&self, id: &str, value: &str) {
        let mut versions = Versions::new();
        let first = versions.entry("00000000-0000-4000-8000-000000000000".to_owned());
        let first = first.or_default();
        first.value = Some(value.to_owned());
        first.labels.insert(CURRENT.to_owned());
        self.0.borrow_mut().insert(id.to_owned(), versions);
    }

    /// Begins a rotation, as RotateSecret does: a version without a value.
    pub fn begin_rotation(&self, id: &str, token: &str) {
        if let Some(versions) = self.0.borrow_mut().get_mut(id) {
            label(versions, PENDING, token);
        }
    }

    /// What a secret holds now.
    #[must_use]
    pub fn current(&self, id: &str) -> Option<String> {
        let secrets = self.0.borrow();
        let versions = secrets.get(id)?.values();
        let mut labelled = versions.filter(|version| version.labels.contains(CURRENT));
        labelled.next()?.value.clone()
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if operation(request) == "GetRandomPassword" {
            return Answer::json(200, &json!({"RandomPassword": random_password(&body)}));
        }
        let id = body["SecretId"].as_str().unwrap_or_default();
        let mut secrets = self.0.borrow_mut();
        let Some(versions) = secrets.get_mut(id) else {
            return Answer::error("ResourceNotFoundException", "there is no such secret");
        };
        let arn = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{id}-AbCdEf");
        let mut answer = match operation(request) {
            "GetSecretValue" => match value(versions, &body) {
                Some(answer) => answer,
                None => return Answer::error("ResourceNotFoundException", "no such version"),
            },
            "DescribeSecret" => {
                let labels = |version: &Version| json!(version.labels);
                let all = versions
                    .iter()
                    .map(|(id, version)| (id.clone(), labels(version)));
                json!({"RotationEnabled": true, "VersionIdsToStages": all.collect::<serde_json::Map<_, _>>()})
            }
            "ListSecretVersionIds" => json!({"Versions": []}),
            "PutSecretValue" => put(versions, &body),
            "UpdateSecretVersionStage" => {
                let to = body["MoveToVersionId"].as_str().unwrap_or_default();
                label(
                    versions,
                    body["VersionStage"].as_str().unwrap_or_default(),
                    to,
                );
                json!({})
            }
            _ => return Answer::error("InvalidRequestException", "that is not answered"),
        };
        answer["ARN"] = json!(arn);
        answer["Name"] = json!(id);
        Answer::json(200, &answer)
    }
}

/// The version that is asked for by id, by label, or by neither.
fn value(versions: &Versions, body: &Value) -> Option<Value> {
    let label = body["VersionStage"].as_str();
    let (id, version) = match (body["VersionId"].as_str(), label) {
        (Some(id), _) => versions.get_key_value(id)?,
        (None, label) => {
            let label = label.unwrap_or(CURRENT);
            versions
                .iter()
                .find(|(_, version)| version.labels.contains(label))?
        }
    };
    if label.is_some_and(|label| !version.labels.contains(label)) {
        return None;
    }
    Some(json!({
        "VersionId": id,
        "SecretString": version.value.as_ref()?,
        "VersionStages": version.labels,
        "CreatedDate": 1_795_173_563.0,
    }))
}

fn put(versions: &mut Versions, body: &Value) -> Value {
    let token = body["ClientRequestToken"].as_str().unwrap_or_default();
    versions.entry(token.to_owned()).or_default().value =
        body["SecretString"].as_str().map(str::to_owned);
    let labels = body["VersionStages"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for name in labels.iter().filter_map(Value::as_str) {
        label(versions, name, token);
    }
    json!({"VersionId": token, "VersionStages": labels})
}

/// Moves a label to a version; the one that was current becomes the previous one.
fn label(versions: &mut Versions, name: &str, to: &str) {
    for version in versions.values_mut() {
        if name == CURRENT {
            version.labels.remove(PREVIOUS);
        }
        if version.labels.remove(name) && name == CURRENT {
            version.labels.insert(PREVIOUS.to_owned());
        }
    }
    versions
        .entry(to.to_owned())
        .or_default()
        .labels
        .insert(name.to_owned());
}

fn random_password(body: &Value) -> String {
    let length = body["PasswordLength"].as_u64().unwrap_or(32);
    let excluded = body["ExcludeCharacters"].as_str().unwrap_or_default();
    let allowed: Vec<char> = PASSWORD_CHARACTERS
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| !excluded.contains(*c))
        .collect();
    (0..length)
        .filter_map(|_| fastrand::choice(&allowed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_as_a_rotation_goes_on() {
        let secrets = Secrets::default();
        secrets.set("s", "old");
        secrets.begin_rotation("s", "new");
        let mut all = secrets.0.borrow_mut();
        let versions = all.get_mut("s").unwrap();
        let pending = json!({"VersionId": "new", "VersionStage": PENDING});
        assert_eq!(value(versions, &pending), None, "it holds nothing yet");
        put(
            versions,
            &json!({"ClientRequestToken": "new", "SecretString": "v", "VersionStages": [PENDING]}),
        );
        assert_eq!(value(versions, &pending).unwrap()["SecretString"], "v");
        assert_eq!(value(versions, &json!({})).unwrap()["SecretString"], "old");
        label(versions, CURRENT, "new");
        assert_eq!(value(versions, &json!({})).unwrap()["SecretString"], "v");
        let previous = value(versions, &json!({"VersionStage": PREVIOUS})).unwrap();
        assert_eq!(previous["SecretString"], "old");
    }

    #[test]
    fn passwords_are_as_long_as_asked_for_and_without_what_is_excluded() {
        let password =
            random_password(&json!({"PasswordLength": 200, "ExcludeCharacters": "ABC!"}));
        assert_eq!(password.len(), 200);
        assert!(!password.contains(['A', 'B', 'C', '!']));
    }
}
