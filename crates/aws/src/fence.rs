//! The ledgers' fence, set by the function inside the VPC that can reach them.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use cutover_domain::switch::{FenceSeen, MayWrite};
use cutover_ports::switch::Fence;
use serde_json::{Value, json};

use crate::failure::failure;

/// Longest part of an answer that is shown.
const SHOWN_MAX: usize = 200;

/// The function that sets the fence: `{"action":"fence"}`.
#[derive(Debug, Clone)]
pub struct FenceFunction {
    client: Client,
    function: String,
    properties: Value,
}

impl FenceFunction {
    /// The function `function` (a name or an ARN), asked with the ledgers' secrets, by ARN.
    #[must_use]
    pub fn new(
        sdk: &SdkConfig,
        function: String,
        blue_secret_arn: &str,
        green_secret_arn: &str,
    ) -> Self {
        Self {
            client: Client::new(sdk),
            function,
            properties: json!({
                "BlueSecretArn": blue_secret_arn,
                "GreenSecretArn": green_secret_arn,
            }),
        }
    }
}

#[async_trait]
impl Fence for FenceFunction {
    async fn set(&self, epoch: u64, may_write: MayWrite) -> FenceSeen {
        let event = json!({
            "action": "fence",
            "properties": self.properties,
            "epoch": epoch,
            "mayWrite": {"blue": may_write.blue, "green": may_write.green},
        });
        let answer = self
            .client
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return FenceSeen::Failed(format!("Invoke: {}", failure(error))),
        };
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if answer.function_error().is_some() {
            return FenceSeen::Failed(format!("function error: {}", shown(payload)));
        }
        match stands(payload, epoch, may_write) {
            Ok(()) => FenceSeen::Stands {
                epoch,
                blue: may_write.blue,
                green: may_write.green,
            },
            Err(why) => FenceSeen::Failed(why),
        }
    }
}

/// Whether the answer says of both ledgers that exactly what was asked for stands in them. Anything less is no fence.
fn stands(payload: &[u8], epoch: u64, may_write: MayWrite) -> Result<(), String> {
    let answer: Value =
        serde_json::from_slice(payload).map_err(|_| "the answer is no JSON".to_owned())?;
    for ledger in ["blue", "green"] {
        let said = answer
            .get("ledgers")
            .and_then(|ledgers| ledgers.get(ledger));
        let Some(said) = said else {
            let answer = shown(payload);
            return Err(format!(
                "the answer does not tell of the {ledger} ledger: {answer}"
            ));
        };
        let may = |color: &str| {
            let said = said.get("mayWrite").and_then(|may| may.get(color));
            said.and_then(Value::as_bool)
        };
        let stored = said.get("epoch").and_then(Value::as_u64);
        let is_asked = stored == Some(epoch)
            && may("blue") == Some(may_write.blue)
            && may("green") == Some(may_write.green);
        if !is_asked {
            let said = shown(said.to_string().as_bytes());
            return Err(format!(
                "the {ledger} ledger is not at epoch {epoch} with {may_write}: {said}"
            ));
        }
    }
    match answer.get("status").and_then(Value::as_str) {
        Some("pass") => Ok(()),
        other => Err(format!("status {:.40}", other.unwrap_or("none"))),
    }
}

fn shown(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    text.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Answer, Replay};

    const GREEN_ONLY: MayWrite = MayWrite {
        blue: false,
        green: true,
    };

    fn ledger(epoch: u64, blue: bool, green: bool) -> Value {
        json!({"epoch": epoch, "mayWrite": {"blue": blue, "green": green}})
    }

    async fn set(answers: Vec<Answer>) -> (FenceSeen, Replay) {
        let replay = Replay::new(answers);
        let sdk = replay.config().await;
        let fence = FenceFunction::new(&sdk, "validator".to_owned(), "arn:blue", "arn:green");
        (fence.set(7, GREEN_ONLY).await, replay)
    }

    #[tokio::test]
    async fn it_stands_only_where_both_ledgers_say_so() {
        let good = ledger(7, false, true);
        let answer = json!({"status": "pass", "ledgers": {"blue": good, "green": good}});
        let (seen, replay) = set(vec![Answer::json(200, &answer)]).await;
        let stands = FenceSeen::Stands {
            epoch: 7,
            blue: false,
            green: true,
        };
        assert_eq!(seen, stands);
        let asked = json!({
            "action": "fence",
            "properties": {"BlueSecretArn": "arn:blue", "GreenSecretArn": "arn:green"},
            "epoch": 7,
            "mayWrite": {"blue": false, "green": true},
        });
        assert_eq!(replay.sent()[0].json(), asked);

        for (status, blue, told) in [
            (
                "pass",
                ledger(8, false, true),
                "blue ledger is not at epoch 7",
            ),
            (
                "pass",
                ledger(6, false, true),
                "blue ledger is not at epoch 7",
            ),
            (
                "pass",
                ledger(7, true, true),
                "blue ledger is not at epoch 7",
            ),
            ("pass", json!({"epoch": 7}), "blue ledger is not at epoch 7"),
            ("pass", Value::Null, "blue ledger is not at epoch 7"),
            ("fail", good.clone(), "status fail"),
        ] {
            let answer = json!({"status": status, "ledgers": {"blue": blue, "green": good}});
            failed(&set(vec![Answer::json(200, &answer)]).await.0, told);
        }
        let one = json!({"status": "pass", "ledgers": {"green": good}});
        failed(
            &set(vec![Answer::json(200, &one)]).await.0,
            "does not tell of the blue ledger",
        );
        failed(
            &set(vec![Answer::json(200, &json!("done"))]).await.0,
            "does not tell",
        );
    }

    fn failed(seen: &FenceSeen, told: &str) {
        match seen {
            FenceSeen::Failed(why) => assert!(why.contains(told), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_call_that_failed_is_no_fence() {
        let denied = json!({"message": "not authorized"});
        let denied = Answer::json(403, &denied).with("x-amzn-errortype", "AccessDeniedException");
        failed(&set(vec![denied]).await.0, "role");
        let error = json!({"errorType": "UnknownEvent", "errorMessage": "it takes validate"});
        let error = Answer::json(200, &error).with("x-amz-function-error", "Unhandled");
        failed(&set(vec![error]).await.0, "it takes validate");
        let lost = || Answer::Lost;
        failed(&set(vec![lost(), lost(), lost()]).await.0, "no connection");
    }
}
