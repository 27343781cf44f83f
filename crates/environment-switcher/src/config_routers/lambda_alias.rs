//! An alias of a function.

use cutover_domain::switch::Versions;

use super::RouterConfig;
use crate::fields::{Fields, is_word};

const VERSION: &str = "the number of a published version, or its ARN";

pub(super) fn router(fields: &mut Fields) -> Option<RouterConfig> {
    let function = fields.text("functionName", "the name or ARN of a function", |text| {
        is_word(text, 170, "-_:")
    });
    let alias = fields.text(
        "alias",
        "1 to 128 of A-Z a-z 0-9 _ -, not a number",
        |text| is_word(text, 128, "-_") && !text.chars().all(|c| c.is_ascii_digit()),
    );
    let mut version = |name| {
        let text = fields.optional(name, VERSION, |text| crate::event::version(text).is_ok());
        text.and_then(|text| crate::event::version(&text).ok())
    };
    let versions = Versions {
        blue: version("blueVersion"),
        green: version("greenVersion"),
    };
    Some(RouterConfig::LambdaAlias {
        function: function?,
        alias: alias?,
        versions,
    })
}
