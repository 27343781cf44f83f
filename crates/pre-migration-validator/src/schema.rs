//! `Custom::DatabaseSchema`: the ledger's schema in each database, at one version.

use std::time::Duration;

use cutover_custom_resource::{Progress, Request, Verdict};
use cutover_lambda::Deadline;
use cutover_ports::parity::{Site, UpgradeError, Upgraded};
use serde_json::{Map, Value, json};

use crate::checks::in_words;
use crate::estate::Estate;

/// Properties that the resource takes; the last two are CloudFormation's own.
const TAKEN: [&str; 4] = ["SecretArns", "Version", "ServiceToken", "ServiceTimeout"];

/// Databases of one resource.
const DATABASES_MAX: usize = 10;

/// One database: a schema is small, and a lock is waited for only so long.
const DATABASE_TIME: Duration = Duration::from_secs(120);

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    secrets: Vec<String>,
    version: Option<u32>,
}

/// Creates or upgrades the schema in each database, one after the other: the first that fails ends it, and the next
/// attempt goes on there.
pub async fn handle(
    estate: &Estate,
    request: &Request,
    until: Deadline,
    progress: &Progress,
) -> Verdict {
    let wanted = match request
        .properties()
        .map_err(|e| in_words(&e))
        .and_then(|p| wanted(&p))
    {
        Ok(wanted) => wanted,
        Err(why) => return Verdict::Failed(why),
    };
    let mut done: Vec<Upgraded> = Vec::new();
    for id in &wanted.secrets {
        let _running = progress.begin(format!("schema of {id}"));
        match one(estate, id, wanted.version, until).await {
            Ok(upgraded) => done.push(upgraded),
            Err(why) => {
                let before = done.len();
                return Verdict::Failed(format!(
                    "the schema of {id} was not brought to its version: {why} ({before} of {} databases are)",
                    wanted.secrets.len()
                ));
            }
        }
    }
    let version = done
        .iter()
        .map(|upgraded| upgraded.to)
        .min()
        .unwrap_or_default();
    let applied: Vec<String> = done
        .into_iter()
        .flat_map(|upgraded| upgraded.applied)
        .collect();
    Verdict::Success(attributes(&version.to_string(), &applied.join(",")))
}

/// The attributes for `Fn::GetAtt`: `Version`, `Applied` (names of files, with commas between them).
#[must_use]
pub fn attributes(version: &str, applied: &str) -> Map<String, Value> {
    let applied = cutover_domain::validation::text::within_bytes(applied, 1000);
    Map::from_iter([
        ("Version".to_owned(), json!(version)),
        ("Applied".to_owned(), json!(applied)),
    ])
}

async fn one(
    estate: &Estate,
    id: &str,
    version: Option<u32>,
    until: Deadline,
) -> Result<Upgraded, String> {
    let secret = estate
        .secrets
        .read(id)
        .await
        .map_err(|error| in_words(&error))?;
    let site = Site {
        name: id.to_owned(),
        secret,
    };
    let budget = DATABASE_TIME.min(until.remaining());
    let upgraded = estate.databases.upgrade(&site, version, budget).await;
    upgraded.map_err(|error| match &error {
        UpgradeError::Database(database) => {
            format!("{}; {}", in_words(&error), database.trouble.advice())
        }
        UpgradeError::Refused(_) | UpgradeError::Busy { .. } => in_words(&error),
    })
}

fn wanted(properties: &Map<String, Value>) -> Result<Wanted, String> {
    if let Some(unknown) = properties.keys().find(|key| !TAKEN.contains(&key.as_str())) {
        return Err(format!(
            "unknown property {unknown:.64}: it takes {}",
            TAKEN.join(", ")
        ));
    }
    let takes = format!("SecretArns takes a list of 1 to {DATABASES_MAX} secrets");
    let secrets: Vec<String> = match properties.get("SecretArns") {
        Some(Value::Array(list)) => list
            .iter()
            .map(|entry| entry.as_str().map(|text| text.trim().to_owned()))
            .collect::<Option<_>>()
            .ok_or_else(|| takes.clone())?,
        Some(Value::String(text)) => text.split(',').map(|id| id.trim().to_owned()).collect(),
        _ => return Err(takes),
    };
    let mut distinct: Vec<String> = Vec::new();
    for id in secrets.into_iter().filter(|id| !id.is_empty()) {
        if !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    if !(1..=DATABASES_MAX).contains(&distinct.len()) {
        return Err(takes);
    }
    let version = match properties.get("Version") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.parse().ok()),
        Some(Value::Number(number)) => Some(number.as_u64().and_then(|n| u32::try_from(n).ok())),
        Some(_) => Some(None),
    };
    match version {
        Some(None) => Err("Version takes a whole number, or nothing for the newest".to_owned()),
        version => Ok(Wanted {
            secrets: distinct,
            version: version.flatten(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &Value) -> Result<Wanted, String> {
        wanted(given.as_object().unwrap())
    }

    #[test]
    fn secrets_come_as_list_and_as_text() {
        for given in [json!(["a", "b", "a"]), json!("a, b")] {
            let wanted = read(&json!({"SecretArns": given, "Version": "2"})).unwrap();
            assert_eq!(wanted.secrets, ["a", "b"]);
            assert_eq!(wanted.version, Some(2));
        }
        assert_eq!(
            read(&json!({"SecretArns": "a", "Version": ""}))
                .unwrap()
                .version,
            None
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_taken() {
        for (given, told) in [
            (json!({}), "SecretArns"),
            (json!({"SecretArns": []}), "SecretArns"),
            (json!({"SecretArns": [7]}), "SecretArns"),
            (
                json!({"SecretArns": "a", "Version": "newest"}),
                "Version takes",
            ),
            (json!({"SecretArns": "a", "Version": -1}), "Version takes"),
            (
                json!({"SecretArns": "a", "Versoin": "1"}),
                "unknown property Versoin",
            ),
        ] {
            let error = read(&given).unwrap_err();
            assert!(error.contains(told), "{given}: {error}");
        }
    }
}
