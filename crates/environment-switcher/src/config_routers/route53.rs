//! Weighted records, and what they are made from.

use cutover_aws::route53::{RecordTarget, Route53Entry};
use serde_json::Value;

use super::RouterConfig;
use crate::fields::{Fields, is_word};

/// Values of one record.
const VALUES_MAX: usize = 100;

const IDENTIFIER: &str = "1 to 128 printable ASCII characters without spaces";

pub(super) fn router(fields: &mut Fields) -> Option<RouterConfig> {
    let zone = fields.text("hostedZoneId", "the id of a hosted zone", |text| {
        is_word(bare_zone(text), 32, "")
    });
    let name = fields.text("recordName", "a DNS name", is_dns_name);
    let kind = fields.text("recordType", "A, AAAA or CNAME", |text| {
        matches!(text, "A" | "AAAA" | "CNAME")
    });
    let identifier =
        |text: &str| (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    let blue = fields.text("blueSetIdentifier", IDENTIFIER, identifier);
    let green = fields.text("greenSetIdentifier", IDENTIFIER, identifier);
    if blue.is_some() && blue == green {
        fields.mistake("blueSetIdentifier and greenSetIdentifier are the same");
    }
    let mut target = |field| {
        let value = fields.any(field)?;
        let place = format!("{}: {field}", fields.place());
        fields.absorb(target(&place, value))
    };
    let (blue_target, green_target) = (target("blueTarget"), target("greenTarget"));
    Some(RouterConfig::Route53(Box::new(Route53Entry {
        hosted_zone_id: bare_zone(&zone?).to_owned(),
        record_name: name?,
        record_type: kind?,
        blue_set_identifier: blue?,
        green_set_identifier: green?,
        blue_target,
        green_target,
    })))
}

/// Route 53 itself answers ids with a prefix, and takes both.
fn bare_zone(id: &str) -> &str {
    id.trim_start_matches("/hostedzone/")
}

/// What a record is made from: `{"dnsName","hostedZoneId","evaluateTargetHealth"?}` or `{"values":[...],"ttlSeconds"?}`.
fn target(place: &str, value: Value) -> Result<RecordTarget, String> {
    let mut fields = Fields::of(place, value)?;
    let values = match fields.any("values") {
        None => Vec::new(),
        Some(value) => {
            let values: Vec<String> = serde_json::from_value(value).unwrap_or_default();
            let fits =
                |text: &String| (1..=253).contains(&text.len()) && is_word(text, 253, ".-_:");
            if !(1..=VALUES_MAX).contains(&values.len()) || !values.iter().all(fits) {
                fields.mistake("values takes a list of 1 to 100 addresses or names");
            }
            values
        }
    };
    let ttl = fields.number("ttlSeconds", 1..=300);
    if !values.is_empty() {
        let ttl_seconds = ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(60);
        return fields.finish(Some(RecordTarget::Values {
            values,
            ttl_seconds,
        }));
    }
    let dns_name = fields.text("dnsName", "a DNS name", is_dns_name);
    let zone = fields.text(
        "hostedZoneId",
        "the id of the target's hosted zone",
        |text| is_word(text, 32, ""),
    );
    let evaluate = match fields.any("evaluateTargetHealth") {
        None => true,
        Some(Value::Bool(evaluate)) => evaluate,
        Some(_) => {
            fields.mistake("evaluateTargetHealth takes true or false");
            true
        }
    };
    if ttl.is_some() {
        fields.mistake("ttlSeconds goes with values: an alias has its target's");
    }
    let alias = dns_name
        .zip(zone)
        .map(|(dns_name, hosted_zone_id)| RecordTarget::Alias {
            dns_name,
            hosted_zone_id,
            evaluate_target_health: evaluate,
        });
    fields.finish(alias)
}

/// Labels of 1 to 63 characters, 255 in all; a wildcard and underscores are allowed where Route 53 allows them.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253
        && name
            .split('.')
            .enumerate()
            .all(|(index, label)| (index == 0 && label == "*") || is_word(label, 63, "-_"))
}
