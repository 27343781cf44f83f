//! Target groups behind an Application Load Balancer.

use cutover_aws::alb::{AlbEntry, OwnRule};
use serde_json::Value;

use super::RouterConfig;
use crate::fields::{Fields, is_arn, is_word};

/// Patterns that a rule has at most, of paths and hosts together.
const PATTERNS_MAX: usize = 5;

/// Bytes of a pattern.
const PATTERN_MAX: usize = 128;

/// Priorities that rules have.
const PRIORITIES: std::ops::RangeInclusive<u16> = 1..=50_000;

const GROUP: &str = "the ARN of a target group";

pub(super) fn router(fields: &mut Fields) -> Option<RouterConfig> {
    const ELB: &str = "elasticloadbalancing";
    let rule = fields.optional("ruleArn", "the ARN of a listener rule of an ALB", |text| {
        is_arn(text, ELB, "listener-rule/app/")
    });
    let listener = fields.optional("listenerArn", "the ARN of a listener of an ALB", |text| {
        is_arn(text, ELB, "listener/app/")
    });
    let group = |text: &str| is_arn(text, ELB, "targetgroup/");
    let blue = fields.text("blueTargetGroupArn", GROUP, group);
    let green = fields.text("greenTargetGroupArn", GROUP, group);
    if blue.is_some() && blue == green {
        fields.mistake("blueTargetGroupArn and greenTargetGroupArn are the same");
    }
    let own = fields.any("rule");
    let entry = match (rule, listener, own) {
        (Some(rule), None, None) => AlbEntry::Rule(rule),
        (None, Some(listener), None) => AlbEntry::Listener(listener),
        (None, Some(listener), Some(own)) => {
            let place = format!("{}: rule", fields.place());
            AlbEntry::Own(fields.absorb(own_rule(&place, own, listener))?)
        }
        (Some(_), None, Some(_)) => {
            fields.mistake("rule goes with listenerArn: it is made on that listener");
            return None;
        }
        _ => {
            fields.mistake("it takes one of ruleArn and listenerArn");
            return None;
        }
    };
    Some(RouterConfig::Alb {
        entry,
        blue: blue?,
        green: green?,
    })
}

/// The rule that the switch is to make: `{"priority","pathPatterns"?,"hostHeaders"?}`.
fn own_rule(place: &str, value: Value, listener: String) -> Result<OwnRule, String> {
    let mut fields = Fields::of(place, value)?;
    let priority = fields.required("priority").and_then(|value| {
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| PRIORITIES.contains(number));
        if number.is_none() {
            let (from, to) = (PRIORITIES.start(), PRIORITIES.end());
            fields.mistake(&format!(
                "priority takes a whole number from {from} to {to}"
            ));
        }
        number
    });
    let path_patterns = patterns(&mut fields, "pathPatterns", |text| {
        text.starts_with(['/', '*']) && is_word(text, PATTERN_MAX, "_-.$/~\"'@:+&*?")
    });
    let host_headers = patterns(&mut fields, "hostHeaders", |text| {
        is_word(text, PATTERN_MAX, "-.*?")
    });
    if !(1..=PATTERNS_MAX).contains(&(path_patterns.len() + host_headers.len())) {
        fields.mistake("it takes 1 to 5 patterns in pathPatterns and hostHeaders together");
    }
    let rule = priority.map(|priority| OwnRule {
        listener,
        priority,
        path_patterns,
        host_headers,
    });
    fields.finish(rule)
}

fn patterns(fields: &mut Fields, name: &'static str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let Some(value) = fields.any(name) else {
        return Vec::new();
    };
    let values: Vec<String> = serde_json::from_value(value).unwrap_or_default();
    if values.is_empty() || !values.iter().all(|value| fits(value)) {
        fields.mistake(&format!(
            "{name} takes a list of patterns of up to 128 characters, with the wildcards * and ?"
        ));
    }
    values
}
