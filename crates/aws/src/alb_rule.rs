//! The rule that the switch makes on a listener of the stack's: what it is made of, and what tells it from anyone else's.
//!
//! `CreateRule` takes no token, so a rule is known again by its priority, which is unique on its listener, together with its
//! conditions and target groups, which are the configuration's. One that was changed meanwhile is known by its tags.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, HostHeaderConditionConfig,
    PathPatternConditionConfig, Rule, RuleCondition, Tag, TargetGroupStickinessConfig,
};

const PATH: &str = "path-pattern";
const HOST: &str = "host-header";

/// Whose a rule is: `Environment` is the switch's environment.
const MANAGED_BY: (&str, &str) = ("ManagedBy", "environment-switcher");
const ENVIRONMENT: &str = "Environment";

/// Which rule of which listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRule {
    /// The listener, by ARN.
    pub listener: String,
    /// 1 to 50,000, the first to match wins.
    pub priority: u16,
    /// Patterns of which a request's path must have one. Empty for every path.
    pub path_patterns: Vec<String>,
    /// Patterns of which a request's host must have one. Empty for every host.
    pub host_headers: Vec<String>,
}

/// Patterns by field: their order says nothing.
type Patterns<'a> = BTreeMap<&'a str, BTreeSet<String>>;

impl OwnRule {
    /// What a request must have.
    pub(crate) fn conditions(&self) -> Vec<RuleCondition> {
        let mut conditions = Vec::new();
        if !self.path_patterns.is_empty() {
            let values = Some(self.path_patterns.clone());
            let config = PathPatternConditionConfig::builder().set_values(values);
            let condition = RuleCondition::builder().field(PATH);
            conditions.push(condition.path_pattern_config(config.build()).build());
        }
        if !self.host_headers.is_empty() {
            let values = Some(self.host_headers.clone());
            let config = HostHeaderConditionConfig::builder().set_values(values);
            let condition = RuleCondition::builder().field(HOST);
            conditions.push(condition.host_header_config(config.build()).build());
        }
        conditions
    }

    /// Whether a rule has this one's priority.
    pub(crate) fn is_at(&self, rule: &Rule) -> bool {
        rule.priority() == Some(self.priority.to_string().as_str())
    }

    /// What a rule asks of a request, if it is something else than this one.
    pub(crate) fn other_conditions(&self, rule: &Rule) -> Option<String> {
        let own = self.conditions();
        let (own, other) = (patterns(&own), patterns(rule.conditions()));
        (own != other).then(|| in_words(&other))
    }
}

fn patterns(conditions: &[RuleCondition]) -> Patterns<'_> {
    let mut patterns = Patterns::new();
    for condition in conditions {
        let field = condition.field().unwrap_or_default();
        let paths = condition
            .path_pattern_config()
            .map(PathPatternConditionConfig::values);
        let hosts = condition
            .host_header_config()
            .map(HostHeaderConditionConfig::values);
        // The same values are told in both forms.
        let values = [paths, hosts]
            .into_iter()
            .flatten()
            .find(|values| !values.is_empty())
            .unwrap_or_else(|| condition.values());
        let told = values.iter().map(|value| match field {
            HOST => value.to_ascii_lowercase(),
            _ => value.clone(),
        });
        let regular = condition.regex_values().iter();
        let all = told.chain(regular.map(|value| format!("regular expression {value}")));
        patterns.entry(field).or_default().extend(all);
    }
    patterns
}

fn in_words(patterns: &Patterns<'_>) -> String {
    let fields = patterns.iter().map(|(field, values)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        format!("{field} {}", values.join(" or "))
    });
    fields.collect::<Vec<_>>().join(" and ")
}

/// Tags of a rule of the switch of `environment`.
pub(crate) fn tags(environment: &str) -> Vec<Tag> {
    [MANAGED_BY, (ENVIRONMENT, environment)]
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// Whether tags say that a rule is the one of the switch of `environment`.
pub(crate) fn is_tagged(found: &[Tag], environment: &str) -> bool {
    tags(environment).iter().all(|tag| found.contains(tag))
}

/// A forward to nowhere yet, whose clients are held nowhere.
pub(crate) fn blank() -> Action {
    let stickiness = TargetGroupStickinessConfig::builder().enabled(false);
    let config = ForwardActionConfig::builder();
    Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .forward_config(
            config
                .target_group_stickiness_config(stickiness.build())
                .build(),
        )
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(conditions: Vec<RuleCondition>) -> Rule {
        let rule = Rule::builder().priority("100");
        rule.set_conditions(Some(conditions)).build()
    }

    fn own() -> OwnRule {
        OwnRule {
            listener: "listener".to_owned(),
            priority: 100,
            path_patterns: vec!["/payment".to_owned(), "/payment/*".to_owned()],
            host_headers: vec!["Pay.example.com".to_owned()],
        }
    }

    fn plain(field: &str, values: &[&str]) -> RuleCondition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let condition = RuleCondition::builder().field(field);
        condition.set_values(Some(values)).build()
    }

    #[test]
    fn a_rule_is_known_by_its_conditions_in_either_form_and_any_order() {
        let own = own();
        assert!(own.is_at(&rule(Vec::new())));
        assert_eq!(own.other_conditions(&rule(own.conditions())), None);
        let hosts = plain("host-header", &["pay.EXAMPLE.com"]);
        let paths = plain("path-pattern", &["/payment/*", "/payment"]);
        let same = rule(vec![hosts.clone(), paths.clone()]);
        assert_eq!(own.other_conditions(&same), None);
        let regular = RuleCondition::builder().field("path-pattern");
        for (other, told) in [
            (vec![paths.clone()], "path-pattern /payment or /payment/*"),
            (
                vec![hosts.clone(), plain("path-pattern", &["/Payment"])],
                "path-pattern /Payment",
            ),
            (
                vec![
                    hosts.clone(),
                    paths.clone(),
                    plain("source-ip", &["192.0.2.0/24"]),
                ],
                "source-ip 192.0.2.0/24",
            ),
            (
                vec![hosts, paths, regular.regex_values("^/p").build()],
                "regular expression ^/p",
            ),
            (Vec::new(), ""),
        ] {
            let other = own.other_conditions(&rule(other)).unwrap();
            assert!(other.contains(told), "{other}");
        }
    }

    #[test]
    fn only_all_of_the_tags_say_whose_a_rule_is() {
        let mut found = tags("prod");
        found.insert(0, Tag::builder().key("Team").value("payments").build());
        assert!(is_tagged(&found, "prod"));
        assert!(!is_tagged(&found, "dev"), "another switch's");
        assert!(!is_tagged(&tags("prod")[1..], "prod"), "the stack's");
        assert!(!is_tagged(&[], "prod"));
    }
}
