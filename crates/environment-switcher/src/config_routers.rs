//! `ROUTERS`: 1 to 4 routers, of one type or several.

use std::collections::BTreeSet;

use cutover_aws::alb::AlbEntry;
use cutover_aws::route53::{RecordTarget, Route53Entry};
use cutover_domain::switch::{Environment, Versions};
use serde_json::Value;

use crate::fields::{Fields, is_arn, is_word, shown};

/// Routers that one switch has at most.
const ROUTERS_MAX: usize = 4;

/// Values of one record.
const VALUES_MAX: usize = 100;

/// What `ROUTERS` takes.
pub const TAKES: &str = "a JSON list of 1 to 4 routers: \
     {\"type\":\"alb\",\"ruleArn\"|\"listenerArn\",\"blueTargetGroupArn\",\"greenTargetGroupArn\"}, \
     {\"type\":\"lambda-alias\",\"functionName\",\"alias\",\"blueVersion\"?,\"greenVersion\"?}, \
     {\"type\":\"route53\",\"hostedZoneId\",\"recordName\",\"recordType\",\"blueSetIdentifier\",\
     \"greenSetIdentifier\",\"blueTarget\"?,\"greenTarget\"?}, \
     {\"type\":\"api-gateway-canary\",\"restApiId\",\"stageName\"}";

const GROUP: &str = "the ARN of a target group";
const VERSION: &str = "the number of a published version, or its ARN";
const IDENTIFIER: &str = "1 to 128 printable ASCII characters without spaces";

/// One router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterConfig {
    /// Target groups behind an Application Load Balancer.
    Alb {
        /// The rule or the listener.
        entry: AlbEntry,
        /// Blue's target group, by ARN.
        blue: String,
        /// Green's target group, by ARN.
        green: String,
    },
    /// An alias of a function.
    LambdaAlias {
        /// Name or ARN of the function.
        function: String,
        /// Name of the alias.
        alias: String,
        /// The versions that the configuration fixes.
        versions: Versions,
    },
    /// Weighted records.
    Route53(Box<Route53Entry>),
    /// The canary of a REST API's stage.
    ApiGatewayCanary {
        /// The API's id.
        api: String,
        /// The stage's name.
        stage: String,
    },
}

impl RouterConfig {
    /// What names the router among those of the stack, as properties of `Custom::EnvironmentSwitch`.
    #[must_use]
    pub fn identifiers(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Alb { entry, blue, green } => {
                let entry = match entry {
                    AlbEntry::Rule(arn) => ("RuleArn", arn.as_str()),
                    AlbEntry::Listener(arn) => ("ListenerArn", arn.as_str()),
                };
                vec![
                    entry,
                    ("BlueTargetGroupArn", blue),
                    ("GreenTargetGroupArn", green),
                ]
            }
            Self::LambdaAlias {
                function, alias, ..
            } => vec![("FunctionName", function), ("Alias", alias)],
            Self::Route53(entry) => vec![
                ("HostedZoneId", entry.hosted_zone_id.as_str()),
                ("RecordName", entry.record_name.as_str()),
                ("RecordType", entry.record_type.as_str()),
                ("BlueSetIdentifier", entry.blue_set_identifier.as_str()),
                ("GreenSetIdentifier", entry.green_set_identifier.as_str()),
            ],
            Self::ApiGatewayCanary { api, stage } => {
                vec![("RestApiId", api), ("StageName", stage)]
            }
        }
    }

    /// What two routers must not share: each would undo what the other does.
    fn key(&self) -> String {
        match self {
            Self::Alb { entry, .. } => match entry {
                AlbEntry::Rule(arn) | AlbEntry::Listener(arn) => arn.clone(),
            },
            Self::LambdaAlias {
                function, alias, ..
            } => format!("{function}:{alias}"),
            Self::Route53(entry) => {
                let name = entry.record_name.trim_end_matches('.').to_ascii_lowercase();
                format!("{}/{name}/{}", entry.hosted_zone_id, entry.record_type)
            }
            Self::ApiGatewayCanary { api, stage } => format!("{api}/{stage}"),
        }
    }

    fn versions(&self) -> Option<&Versions> {
        match self {
            Self::LambdaAlias { versions, .. } => Some(versions),
            _ => None,
        }
    }
}

/// Reads the list.
///
/// # Errors
/// Every mistake, with the number of its entry (the first is 1) and its field.
pub fn routers(value: &str) -> Result<Vec<RouterConfig>, String> {
    let list: Vec<Value> =
        serde_json::from_str(value).map_err(|e| format!("is no JSON list: {e}"))?;
    if !(1..=ROUTERS_MAX).contains(&list.len()) {
        return Err(format!("has {} routers", list.len()));
    }
    let mut routers = Vec::with_capacity(list.len());
    let mut mistakes = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        match router(index + 1, value) {
            Ok(router) => routers.push(router),
            Err(why) => mistakes.push(why),
        }
    }
    if mistakes.is_empty() {
        mistakes.extend(conflicts(&routers));
    }
    if mistakes.is_empty() {
        Ok(routers)
    } else {
        Err(format!("is refused: {}", mistakes.join("; ")))
    }
}

/// The versions that `ROUTERS` fixes.
#[must_use]
pub fn versions(routers: &[RouterConfig]) -> Versions {
    let all = routers.iter().filter_map(RouterConfig::versions);
    all.fold(Versions::default(), |known, more| known.or(more))
}

/// What is wrong with entries that are right one by one.
fn conflicts(routers: &[RouterConfig]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, router) in routers.iter().enumerate() {
        if !seen.insert(router.key()) {
            mistakes.push(format!("entry {} names what another one names", index + 1));
        }
    }
    // A version is of the environment, not of the router.
    let known = versions(routers);
    for (index, versions) in routers.iter().map(RouterConfig::versions).enumerate() {
        let differs = |environment: Environment| {
            let own = versions.and_then(|versions| versions.of(environment));
            own.is_some() && own != known.of(environment)
        };
        if differs(Environment::Blue) || differs(Environment::Green) {
            mistakes.push(format!(
                "entry {} has other versions than one before",
                index + 1
            ));
        }
    }
    if known.blue.is_some() && known.blue == known.green {
        mistakes.push("blueVersion and greenVersion are the same version".to_owned());
    }
    mistakes
}

fn router(number: usize, value: Value) -> Result<RouterConfig, String> {
    let mut fields = Fields::of(format!("entry {number}"), value)?;
    let kind = match fields.any("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => String::new(),
        None => return Err(format!("entry {number}: type is missing")),
    };
    fields.rename(format!("entry {number} ({})", shown(&kind)));
    let router = match kind.as_str() {
        "alb" => alb(&mut fields),
        "lambda-alias" => lambda_alias(&mut fields),
        "route53" => route53(&mut fields),
        "api-gateway-canary" => api_gateway_canary(&mut fields),
        _ => {
            return Err(format!(
                "entry {number}: unknown type {}; it takes alb, lambda-alias, route53 or api-gateway-canary",
                shown(&kind)
            ));
        }
    };
    fields.finish(router)
}

fn alb(fields: &mut Fields) -> Option<RouterConfig> {
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
    let entry = match (rule, listener) {
        (Some(rule), None) => AlbEntry::Rule(rule),
        (None, Some(listener)) => AlbEntry::Listener(listener),
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

fn lambda_alias(fields: &mut Fields) -> Option<RouterConfig> {
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

fn route53(fields: &mut Fields) -> Option<RouterConfig> {
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

fn api_gateway_canary(fields: &mut Fields) -> Option<RouterConfig> {
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

/// Labels of 1 to 63 characters, 255 in all; a wildcard and underscores are allowed where Route 53 allows them.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253
        && name
            .split('.')
            .enumerate()
            .all(|(index, label)| (index == 0 && label == "*") || is_word(label, 63, "-_"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ELB: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012";

    fn alb() -> Value {
        json!({
            "type": "alb", "ruleArn": format!("{ELB}:listener-rule/app/pay/50dc/f2f7/9683"),
            "blueTargetGroupArn": format!("{ELB}:targetgroup/blue/73e2"),
            "greenTargetGroupArn": format!("{ELB}:targetgroup/green/09d3"),
        })
    }

    fn alias() -> Value {
        json!({"type": "lambda-alias", "functionName": "pay", "alias": "live", "blueVersion": "1", "greenVersion": "2"})
    }

    fn records() -> Value {
        json!({
            "type": "route53", "hostedZoneId": "Z1", "recordName": "pay.example.com", "recordType": "A",
            "blueSetIdentifier": "blue", "greenSetIdentifier": "green",
            "blueTarget": {"dnsName": "blue.elb.amazonaws.com", "hostedZoneId": "Z2"},
            "greenTarget": {"values": ["192.0.2.1"], "ttlSeconds": 30},
        })
    }

    fn canary() -> Value {
        json!({"type": "api-gateway-canary", "restApiId": "a1b2c3", "stageName": "prod"})
    }

    fn read(list: &[Value]) -> Result<Vec<RouterConfig>, String> {
        routers(&json!(list).to_string())
    }

    #[test]
    fn all_types_are_read_together() {
        let routers = read(&[alb(), alias(), records(), canary()]).unwrap();
        assert_eq!(routers.len(), ROUTERS_MAX);
        assert_eq!(
            versions(&routers),
            Versions {
                blue: Some("1".to_owned()),
                green: Some("2".to_owned()),
            }
        );
        let identifiers: Vec<&str> = routers
            .iter()
            .flat_map(RouterConfig::identifiers)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(identifiers.len(), 3 + 2 + 5 + 2);
        let RouterConfig::Route53(entry) = &routers[2] else {
            panic!("{:?}", routers[2]);
        };
        let alias = RecordTarget::Alias {
            dns_name: "blue.elb.amazonaws.com".to_owned(),
            hosted_zone_id: "Z2".to_owned(),
            evaluate_target_health: true,
        };
        assert_eq!(entry.blue_target, Some(alias));
        let mut listener = alb();
        listener["ruleArn"] = Value::Null;
        listener["listenerArn"] = json!(format!("{ELB}:listener/app/pay/50dc/f2f7"));
        assert!(matches!(
            &read(&[listener]).unwrap()[0],
            RouterConfig::Alb {
                entry: AlbEntry::Listener(_),
                ..
            }
        ));
        let mut arn = super::tests::alias();
        arn["greenVersion"] = json!("arn:aws:lambda:eu-central-1:123456789012:function:pay:7");
        assert_eq!(versions(&read(&[arn]).unwrap()).green.as_deref(), Some("7"));
    }

    /// A field, a value for it, and what is told of that.
    type Wrong = (&'static str, Value, &'static str);

    fn refused_each(right: fn() -> Value, wrongs: &[Wrong]) {
        assert!(read(&[right()]).is_ok());
        for (field, value, told) in wrongs {
            let mut wrong = right();
            wrong[*field] = value.clone();
            let why = read(&[canary(), wrong]).unwrap_err();
            assert!(
                why.contains("entry 2") && why.contains(told),
                "{field}={value}: {why}"
            );
            assert!(!why.contains("hunter2"), "a value is shown: {why}");
        }
    }

    #[test]
    fn a_malformed_load_balancer_is_named_field_by_field() {
        refused_each(
            alb,
            &[
                (
                    "ruleArn",
                    Value::Null,
                    "(alb): it takes one of ruleArn and listenerArn",
                ),
                (
                    "ruleArn",
                    json!("hunter2"),
                    "ruleArn takes the ARN of a listener rule",
                ),
                (
                    "ruleArn",
                    json!(format!("{ELB}:listener-rule/net/pay/1/2/3")),
                    "ruleArn takes",
                ),
                (
                    "listenerArn",
                    json!(format!("{ELB}:listener/app/pay/50dc/f2f7")),
                    "it takes one of ruleArn and listenerArn",
                ),
                (
                    "blueTargetGroupArn",
                    Value::Null,
                    "blueTargetGroupArn is missing",
                ),
                (
                    "blueTargetGroupArn",
                    json!("hunter2"),
                    "blueTargetGroupArn takes",
                ),
                (
                    "greenTargetGroupArn",
                    json!(format!("{ELB}:targetgroup/blue/73e2")),
                    "are the same",
                ),
                ("weight", json!(1), "unknown field weight"),
            ],
        );
    }

    #[test]
    fn a_malformed_alias_is_named_field_by_field() {
        refused_each(
            alias,
            &[
                (
                    "functionName",
                    Value::Null,
                    "(lambda-alias): functionName is missing",
                ),
                ("functionName", json!("pay now"), "functionName takes"),
                ("alias", json!("7"), "alias takes"),
                ("alias", json!(["live"]), "alias takes"),
                ("blueVersion", json!("$LATEST"), "blueVersion takes"),
                ("blueVersion", json!("hunter2"), "blueVersion takes"),
                ("blueVersion", json!(1), "blueVersion takes"),
                ("Alias", json!("live"), "unknown field Alias"),
            ],
        );
    }

    #[test]
    fn malformed_records_are_named_field_by_field() {
        refused_each(
            records,
            &[
                (
                    "hostedZoneId",
                    json!("/zone/Z1"),
                    "(route53): hostedZoneId takes",
                ),
                ("recordName", json!("pay..com"), "recordName takes"),
                ("recordName", json!("pay.*.com"), "recordName takes"),
                ("recordType", json!("MX"), "recordType takes"),
                ("blueSetIdentifier", json!(""), "blueSetIdentifier takes"),
                ("greenSetIdentifier", json!("blue"), "are the same"),
                ("blueTarget", json!("lb"), "blueTarget is no JSON object"),
                (
                    "blueTarget",
                    json!({"values": []}),
                    "blueTarget: values takes",
                ),
                (
                    "blueTarget",
                    json!({"dnsName": "lb"}),
                    "blueTarget: hostedZoneId is missing",
                ),
                (
                    "blueTarget",
                    json!({"dnsName": "lb", "hostedZoneId": "Z2", "ttlSeconds": 5}),
                    "ttlSeconds goes with values",
                ),
                (
                    "greenTarget",
                    json!({"values": ["192.0.2.1"], "ttlSeconds": 86400}),
                    "greenTarget: ttlSeconds takes a whole number from 1 to 300",
                ),
            ],
        );
    }

    #[test]
    fn a_malformed_canary_is_named_field_by_field() {
        refused_each(
            canary,
            &[
                (
                    "restApiId",
                    Value::Null,
                    "(api-gateway-canary): restApiId is missing",
                ),
                ("restApiId", json!("a/b"), "restApiId takes"),
                ("stageName", json!("$default"), "stageName takes"),
                (
                    "type",
                    json!("carrier-pigeon"),
                    "unknown type carrier-pigeon",
                ),
                ("type", Value::Null, "type is missing"),
            ],
        );
    }

    /// `docs/routers.md` names every type and field that is taken.
    #[test]
    fn every_field_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routers.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let quoted = TAKES.split('"').skip(1).step_by(2);
        let names: Vec<&str> = quoted.filter(|name| *name != "type").collect();
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            assert!(docs.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_list_as_a_whole_is_checked_and_all_mistakes_are_told() {
        let mut other_versions = alias();
        other_versions["alias"] = json!("other");
        other_versions["blueVersion"] = json!("9");
        let mut same_version = alias();
        same_version["greenVersion"] = json!("1");
        let mut same_name = records();
        same_name["recordName"] = json!("PAY.example.com.");
        for (list, told) in [
            (vec![], "0 routers"),
            (vec![canary(); 5], "5 routers"),
            (vec![alb(), alb()], "entry 2 names what another one names"),
            (vec![alias(), alias()], "entry 2 names"),
            (vec![records(), same_name], "entry 2 names"),
            (vec![alias(), other_versions], "entry 2 has other versions"),
            (vec![same_version], "the same version"),
            (vec![json!(7)], "entry 1 is no JSON object"),
        ] {
            let why = read(&list).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
        let two = read(&[json!({"type": "alb"}), json!({"type": "route53"})]).unwrap_err();
        assert!(two.contains("entry 1 (alb): blueTargetGroupArn"), "{two}");
        assert!(two.contains("entry 2 (route53): recordType"), "{two}");
        for text in ["", "{}", "[", "7"] {
            assert!(
                routers(text).unwrap_err().contains("no JSON list"),
                "{text}"
            );
        }
    }
}
