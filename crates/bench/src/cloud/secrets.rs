//! Secrets Manager: the current value of a secret.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Answer, operation};
use crate::http::Request;

#[derive(Default)]
pub(super) struct Secrets(RefCell<HashMap<String, String>>);

impl Secrets {
    pub(super) fn set(&self, id: &str, value: &str) {
        self.0.borrow_mut().insert(id.to_owned(), value.to_owned());
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        if operation(request) != "GetSecretValue" {
            return Answer::error("InvalidRequestException", "only GetSecretValue is answered");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let id = body["SecretId"].as_str().unwrap_or_default();
        match self.0.borrow().get(id) {
            Some(value) => Answer::json(
                200,
                &json!({
                    "ARN": format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{id}-AbCdEf"),
                    "Name": id,
                    "VersionId": "00000000-0000-4000-8000-000000000000",
                    "SecretString": value,
                    "VersionStages": ["AWSCURRENT"],
                    "CreatedDate": 1_795_173_563.0,
                }),
            ),
            None => Answer::error("ResourceNotFoundException", "there is no such secret"),
        }
    }
}
