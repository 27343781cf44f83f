//! The canary of a REST API's stage.

use super::RouterConfig;
use crate::fields::{Fields, is_word};

pub(super) fn router(fields: &mut Fields) -> Option<RouterConfig> {
    let api = fields.text("restApiId", "the id of a REST API", |text| {
        is_word(text, 64, "")
    });
    let stage = fields.text("stageName", "1 to 128 of A-Z a-z 0-9 _ -", |text| {
        is_word(text, 128, "-_")
    });
    Some(RouterConfig::ApiGatewayCanary {
        api: api?,
        stage: stage?,
    })
}
