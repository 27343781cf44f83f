//! DynamoDB: single writes and transactions with conditions, and reads.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::expression::{self, Bound, Item, NotUnderstood};
use super::{Answer, operation};
use crate::http::Request;

/// The tables' keys: of sessions, and of the switch's state and journal.
const KEYS: [&str; 3] = ["sessionId", "pk", "sk"];

/// The items of all tables.
#[derive(Debug, Default)]
pub struct Sessions(RefCell<HashMap<String, Item>>);

/// What a write that is applied would leave, or the item that refused it.
enum Outcome {
    Would { key: String, item: Item },
    Refused(Option<Item>),
}

impl Sessions {
    /// How many items have that status.
    #[must_use]
    pub fn count(&self, status: &str) -> usize {
        let items = self.0.borrow();
        let counted = |item: &&Item| {
            let found = item.get("status").and_then(|value| value["S"].as_str());
            found == Some(status)
        };
        items.values().filter(counted).count()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let answered = match operation(request) {
            "UpdateItem" | "PutItem" => self.write(&body),
            "TransactWriteItems" => self.transact(&body),
            "GetItem" => Ok(self.get(&body)),
            other => Err(NotUnderstood(other.to_owned())),
        };
        answered.unwrap_or_else(|NotUnderstood(what)| {
            let message = format!("not understood: {what}");
            Answer::error("ValidationException", &message)
        })
    }

    fn get(&self, body: &Value) -> Answer {
        let key = key_of(&body["Key"]).unwrap_or_default();
        match self.0.borrow().get(&key) {
            Some(item) => Answer::json(200, &json!({"Item": item})),
            None => Answer::json(200, &json!({})),
        }
    }

    fn write(&self, body: &Value) -> Result<Answer, NotUnderstood> {
        match self.outcome(body)? {
            Outcome::Would { key, item } => {
                self.0.borrow_mut().insert(key, item);
                Ok(Answer::json(200, &json!({})))
            }
            Outcome::Refused(standing) => {
                let mut error = json!({
                    "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                    "message": "The conditional request failed",
                });
                if let (Some(item), true) = (standing, wants_standing(body)) {
                    error["Item"] = Value::Object(item);
                }
                Ok(Answer::json(400, &error))
            }
        }
    }

    fn transact(&self, body: &Value) -> Result<Answer, NotUnderstood> {
        let writes = body["TransactItems"].as_array();
        let mut would = Vec::new();
        let mut reasons = Vec::new();
        for write in writes.into_iter().flatten() {
            let write = write.get("Update").or_else(|| write.get("Put"));
            let write = write.ok_or_else(|| NotUnderstood("transaction item".to_owned()))?;
            match self.outcome(write)? {
                Outcome::Would { key, item } => {
                    would.push((key, item));
                    reasons.push(json!({"Code": "None"}));
                }
                Outcome::Refused(standing) => {
                    let mut reason = json!({
                        "Code": "ConditionalCheckFailed",
                        "Message": "The conditional request failed",
                    });
                    if let (Some(item), true) = (standing, wants_standing(write)) {
                        reason["Item"] = Value::Object(item);
                    }
                    reasons.push(reason);
                }
            }
        }
        if would.len() == reasons.len() {
            self.0.borrow_mut().extend(would);
            return Ok(Answer::json(200, &json!({})));
        }
        Ok(Answer::json(
            400,
            &json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "message": "Transaction cancelled, please refer cancellation reasons",
                "CancellationReasons": reasons,
            }),
        ))
    }

    /// What an `Update` or a `Put` comes to.
    fn outcome(&self, write: &Value) -> Result<Outcome, NotUnderstood> {
        let key = key_of(&write["Key"]).or_else(|| key_of(&write["Item"]));
        let key = key.ok_or_else(|| NotUnderstood("key".to_owned()))?;
        let bound = Bound {
            names: &write["ExpressionAttributeNames"],
            values: &write["ExpressionAttributeValues"],
        };
        let items = self.0.borrow();
        let standing = items.get(&key);
        if let Some(condition) = write["ConditionExpression"].as_str()
            && !expression::holds(condition, bound, standing)?
        {
            return Ok(Outcome::Refused(standing.cloned()));
        }
        let item = match (&write["Item"], write["UpdateExpression"].as_str()) {
            (Value::Object(item), _) => item.clone(),
            (_, Some(update)) => {
                let mut item = standing.cloned().unwrap_or_default();
                for (name, value) in write["Key"].as_object().into_iter().flatten() {
                    item.insert(name.clone(), value.clone());
                }
                expression::update(update, bound, &mut item)?;
                item
            }
            _ => return Err(NotUnderstood("neither item nor update".to_owned())),
        };
        Ok(Outcome::Would { key, item })
    }
}

/// The values of the keys that an item has, as one text.
fn key_of(item: &Value) -> Option<String> {
    let values = KEYS.iter().filter_map(|name| item[name]["S"].as_str());
    let values: Vec<&str> = values.collect();
    (!values.is_empty()).then(|| values.join("|"))
}

fn wants_standing(write: &Value) -> bool {
    write["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(owner: &str) -> Value {
        json!({
            "Key": {"sessionId": {"S": "s"}},
            "UpdateExpression": "SET #status = :status, #owner = :owner",
            "ConditionExpression": "attribute_not_exists(#status)",
            "ExpressionAttributeNames": {"#status": "status", "#owner": "owner"},
            "ExpressionAttributeValues": {":status": {"S": "processing"}, ":owner": {"S": owner}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    }

    fn body(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn the_second_claim_is_refused_and_told_of_the_first() {
        let sessions = Sessions::default();
        assert_eq!(sessions.write(&claim("a")).unwrap().status, 200);
        let refused = sessions.write(&claim("b")).unwrap();
        assert_eq!(refused.status, 400);
        assert_eq!(body(&refused)["Item"]["owner"]["S"], "a");
        assert_eq!(sessions.count("processing"), 1);
    }

    #[test]
    fn a_transaction_is_applied_whole_or_not_at_all() {
        let sessions = Sessions::default();
        let mut guard = claim("a");
        guard["Key"]["sessionId"]["S"] = json!("guard");
        let both = json!({"TransactItems": [{"Update": claim("a")}, {"Update": guard}]});
        assert_eq!(sessions.transact(&both).unwrap().status, 200);
        let mut other = claim("b");
        other["Key"]["sessionId"]["S"] = json!("other");
        let both = json!({"TransactItems": [{"Update": other}, {"Update": guard}]});
        let cancelled = sessions.transact(&both).unwrap();
        let reasons = &body(&cancelled)["CancellationReasons"];
        assert_eq!(reasons[0]["Code"], "None");
        assert_eq!(reasons[1]["Item"]["owner"]["S"], "a");
        assert_eq!(sessions.count("processing"), 2);
    }
}
