//! What the function takes: the event of a rotation step, from the wire to the domain.

use cutover_domain::rotation::Step;
use cutover_domain::rotation::admission::STEPS;
use cutover_lambda::run::InvocationError;
use cutover_ports::payment::SecretText;
use serde::Deserialize;

/// Longest ARN or name of a secret, and longest token that Secrets Manager makes.
const SECRET_ID_MAX: usize = 2048;
const TOKEN_MIN: usize = 1;
const TOKEN_MAX: usize = 256;

/// A step that is asked for.
#[derive(Clone)]
pub struct Request {
    /// Which.
    pub step: Step,
    /// ARN or name of the secret.
    pub secret_id: String,
    /// The id of the version that the rotation makes.
    pub token: String,
    /// Passed on to PutSecretValue: it says that the caller is the rotation that Secrets Manager started.
    pub rotation_token: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    step: String,
    secret_id: String,
    client_request_token: String,
    rotation_token: Option<String>,
}

impl Request {
    /// Reads an event. Fields that Secrets Manager may add one day are no mistake.
    ///
    /// # Errors
    /// It is no such event; the message names the shape and all steps, and nothing of the event.
    pub fn read(event: &str) -> Result<Self, InvocationError> {
        let wire: Wire =
            serde_json::from_str(event).map_err(|_| unknown("it has another shape"))?;
        let step = Step::named(&wire.step).ok_or_else(|| unknown("it has an unknown Step"))?;
        if wire.secret_id.is_empty() || wire.secret_id.len() > SECRET_ID_MAX {
            return Err(unknown("its SecretId is empty or too long"));
        }
        if !(TOKEN_MIN..=TOKEN_MAX).contains(&wire.client_request_token.len()) {
            return Err(unknown("its ClientRequestToken is empty or too long"));
        }
        Ok(Self {
            step,
            secret_id: wire.secret_id,
            token: wire.client_request_token,
            rotation_token: wire
                .rotation_token
                .filter(|token| !token.is_empty())
                .map(SecretText::new),
        })
    }
}

fn unknown(what: &str) -> InvocationError {
    InvocationError {
        kind: "UnknownEvent",
        message: format!(
            "the event is not taken: {what}. It takes {{\"Step\",\"SecretId\",\"ClientRequestToken\",\"RotationToken\"?}} \
             with the Step {STEPS}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn events() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/secret-rotation");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut events: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        events.sort();
        events
    }

    #[test]
    fn every_sample_event_is_what_its_name_says() {
        let events = events();
        assert!(events.len() >= 12, "{}", events.len());
        for (name, event) in events {
            let read = Request::read(&event);
            assert_eq!(read.is_err(), name.starts_with("bad-"), "{name}");
            if let Err(error) = read {
                for step in Step::ALL {
                    assert!(error.message.contains(step.as_str()), "{name}: {error}");
                }
                assert!(!error.message.contains("hunter2"), "{name}: {error}");
            }
        }
    }

    #[test]
    fn an_event_is_read_whole() {
        let event = r#"{"Step":"set_secret","SecretId":"s","ClientRequestToken":"t","RotationToken":"r","New":1}"#;
        let request = Request::read(event).unwrap();
        assert_eq!(request.step, Step::Set);
        assert_eq!(
            (request.secret_id.as_str(), request.token.as_str()),
            ("s", "t")
        );
        assert_eq!(request.rotation_token.unwrap().expose(), "r");
    }
}
