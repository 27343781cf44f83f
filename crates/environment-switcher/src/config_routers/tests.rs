//! What `ROUTERS` takes, and what it says of what it does not take.

use cutover_aws::route53::RecordTarget;
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

fn own_rule() -> Value {
    let mut entry = alb();
    entry["ruleArn"] = Value::Null;
    entry["listenerArn"] = json!(format!("{ELB}:listener/app/pay/50dc/f2f7"));
    entry["rule"] =
        json!({"priority": 100, "pathPatterns": ["/*"], "hostHeaders": ["pay.example.com"]});
    entry
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
    let target = RecordTarget::Alias {
        dns_name: "blue.elb.amazonaws.com".to_owned(),
        hosted_zone_id: "Z2".to_owned(),
        evaluate_target_health: true,
    };
    assert_eq!(entry.blue_target, Some(target));
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
    let mut arn = alias();
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
fn a_rule_that_the_switch_makes_is_read() {
    let mut webhooks = own_rule();
    webhooks["rule"] = json!({"priority": 10, "pathPatterns": ["/webhooks/*"]});
    let routers = read(&[own_rule(), webhooks]).unwrap();
    let RouterConfig::Alb {
        entry: AlbEntry::Own(rule),
        ..
    } = &routers[0]
    else {
        panic!("{:?}", routers[0]);
    };
    assert_eq!(rule.priority, 100);
    assert_eq!(rule.path_patterns, ["/*"]);
    assert_eq!(rule.host_headers, ["pay.example.com"]);
    let listener = format!("{ELB}:listener/app/pay/50dc/f2f7");
    assert_eq!(
        routers[1].identifiers()[0],
        ("ListenerArn", listener.as_str())
    );
}

#[test]
fn a_malformed_rule_is_named_field_by_field() {
    let takes = "rule: it takes 1 to 5 patterns in pathPatterns and hostHeaders together";
    let paths = "rule: pathPatterns takes a list of patterns";
    let with = |paths: Value| json!({"priority": 1, "pathPatterns": paths});
    let hosts = json!({"priority": 1, "hostHeaders": ["pay/example"]});
    refused_each(
        own_rule,
        &[
            ("rule", json!("hunter2"), "(alb): rule is no JSON object"),
            (
                "rule",
                json!({"pathPatterns": ["/*"]}),
                "rule: priority is missing",
            ),
            (
                "rule",
                json!({"priority": 0, "pathPatterns": ["/*"]}),
                "from 1 to 50000",
            ),
            (
                "rule",
                json!({"priority": 65_537, "pathPatterns": ["/*"]}),
                "from 1 to 50000",
            ),
            ("rule", json!({"priority": 1}), takes),
            (
                "rule",
                with(json!(["/1", "/2", "/3", "/4", "/5", "/6"])),
                takes,
            ),
            ("rule", with(json!([])), paths),
            ("rule", with(json!("/*")), paths),
            ("rule", with(json!(["hunter2"])), paths),
            ("rule", with(json!(["/a b"])), paths),
            (
                "rule",
                with(json!([format!("/{}", "a".repeat(128))])),
                paths,
            ),
            ("rule", hosts, "rule: hostHeaders takes a list of patterns"),
            (
                "rule",
                json!({"priority": 1, "paths": ["/*"]}),
                "rule: unknown field paths",
            ),
        ],
    );
    let mut entry = alb();
    entry["rule"] = own_rule()["rule"].clone();
    let why = read(&[entry]).unwrap_err();
    assert!(why.contains("rule goes with listenerArn"), "{why}");
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
        (vec![own_rule(), own_rule()], "entry 2 names"),
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
