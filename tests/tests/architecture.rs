//! The dependency rule, and what must be absent. A pull request that breaks one of them fails here, with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may depend on, of the workspace's own crates.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("cutover-domain", &[]),
    ("cutover-ports", &["cutover-domain"]),
    ("cutover-aws", &["cutover-domain", "cutover-ports"]),
    ("cutover-ledger", &["cutover-domain", "cutover-ports"]),
    ("cutover-lambda", &["cutover-domain", "cutover-ports"]),
    (
        "cutover-custom-resource",
        &["cutover-domain", "cutover-ports", "cutover-lambda"],
    ),
    ("cutover-testkit", &[]),
    ("cutover-bench", &["cutover-testkit"]),
    (
        "payment-validation",
        &[
            "cutover-domain",
            "cutover-ports",
            "cutover-aws",
            "cutover-ledger",
            "cutover-lambda",
            "cutover-testkit",
        ],
    ),
    (
        "environment-switcher",
        &[
            "cutover-domain",
            "cutover-ports",
            "cutover-aws",
            "cutover-lambda",
            "cutover-custom-resource",
        ],
    ),
    (
        "pre-migration-validator",
        &[
            "cutover-domain",
            "cutover-ports",
            "cutover-aws",
            "cutover-ledger",
            "cutover-lambda",
            "cutover-custom-resource",
        ],
    ),
    (
        "secret-rotation",
        &[
            "cutover-domain",
            "cutover-ports",
            "cutover-aws",
            "cutover-ledger",
            "cutover-lambda",
        ],
    ),
    (
        "cutover",
        &[
            "cutover-domain",
            "cutover-ports",
            "cutover-aws",
            "cutover-testkit",
        ],
    ),
];

/// Crates that only one of ours may name, with the reason.
const OWNED: [(&str, &[&str], &str); 3] = [
    ("aws-sdk-", &["cutover-aws"], "AWS is behind ports"),
    (
        "mysql_async",
        &["cutover-ledger", "cutover", "cutover-testkit"],
        "drivers are behind the ledger's port; the lab and the test kit set servers up",
    ),
    (
        "tokio-postgres",
        &["cutover-ledger", "cutover-testkit"],
        "as above",
    ),
];

fn metadata(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(args)
        .current_dir(cutover_tests::project())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Direct dependencies of each crate of the workspace; development ones apart.
fn dependencies(kind: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let names = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"] == *kind)
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn crates_depend_only_downwards() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let all = dependencies(&Value::Null);
    for (package, names) in all
        .iter()
        .filter(|(package, _)| *package != "cutover-tests")
    {
        let allowed = allowed.get(package.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("{package} is not in the dependency rule"));
        for name in names.iter().filter(|name| all.contains_key(*name)) {
            assert!(
                allowed.contains(&name.as_str()),
                "{package} must not depend on {name}; it may on {allowed:?}"
            );
        }
    }
}

#[test]
fn aws_and_the_databases_are_named_in_one_crate_each() {
    for (package, names) in dependencies(&Value::Null) {
        for (owned, owners, why) in OWNED {
            let named = names.iter().find(|name| name.starts_with(owned));
            assert!(
                named.is_none() || owners.contains(&package.as_str()),
                "{package} names {named:?}: {why}"
            );
        }
    }
}

#[test]
fn the_domain_has_no_runtime_and_no_wire() {
    let names = &dependencies(&Value::Null)["cutover-domain"];
    for banned in [
        "tokio",
        "async-trait",
        "reqwest",
        "hyper",
        "rand",
        "fastrand",
        "uuid",
        "chrono",
    ] {
        assert!(
            !names.contains(banned),
            "the domain must not depend on {banned}"
        );
    }
}

/// One TLS stack, one HTTP stack, no compiler's half-hour: what comes back by one careless feature.
#[test]
fn what_must_not_be_in_the_tree_is_not() {
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]);
    for package in metadata["packages"].as_array().unwrap() {
        let (name, version) = (
            package["name"].as_str().unwrap(),
            package["version"].as_str().unwrap(),
        );
        let old = match name {
            "rustls" => version.starts_with("0.21"),
            "hyper" => version.starts_with("0."),
            "aws-lc-sys" | "aws-lc-rs" | "openssl-sys" | "aws-sdk-ec2" | "ring-compat" => true,
            _ => false,
        };
        let resolved = metadata["resolve"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|node| node["id"] == package["id"]);
        assert!(
            !(old && resolved),
            "{name} {version} is in the dependency tree"
        );
    }
}

/// The services that each function speaks to, and so the SDK crates that it links; all have `sts`, for credentials.
const SERVICES: [(&str, &[&str]); 4] = [
    ("payment-validation", &["dynamodb", "s3", "secretsmanager"]),
    (
        "environment-switcher",
        &[
            "apigateway",
            "cloudwatch",
            "databasemigration",
            "dynamodb",
            "elasticloadbalancingv2",
            "lambda",
            "route53",
            "sns",
            "ssm",
        ],
    ),
    (
        "pre-migration-validator",
        &[
            "backup",
            "cloudwatch",
            "databasemigration",
            "dynamodb",
            "elasticloadbalancingv2",
            "kms",
            "lambda",
            "rds",
            "s3",
            "secretsmanager",
        ],
    ),
    ("secret-rotation", &["secretsmanager"]),
];

/// What no function has: the command line's and the lab's, a second TLS or HTTP stack, another allocator.
const IN_NO_FUNCTION: [&str; 17] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "clap",
    "divan",
    "jitterentropy-sys",
    "mimalloc",
    "native-tls",
    "openssl",
    "openssl-sys",
    "plotters",
    "proptest",
    "ratatui",
    "reqwest",
    "s2n-tls",
    "stateright",
    "tikv-jemallocator",
    "zip",
];

/// Name and version of every crate that a function links, as it is built when it is built alone: that is what ships.
fn linked(function: &str) -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--package", function])
        .current_dir(cutover_tests::project())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let crates = text.lines().filter_map(|line| line.split_once(" v"));
    let crates = crates.map(|(name, version)| {
        let version = version.split(' ').next().unwrap_or_default();
        (name.to_owned(), version.to_owned())
    });
    crates.collect()
}

#[test]
fn a_function_links_what_it_speaks_to_and_no_more() {
    for (function, services) in SERVICES {
        let linked = linked(function);
        let sdks: BTreeSet<&str> = linked
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("aws-sdk-"))
            .collect();
        let expected: BTreeSet<&str> = services.iter().copied().chain(["sts"]).collect();
        assert_eq!(sdks, expected, "{function}");
        for (name, version) in &linked {
            assert!(
                !IN_NO_FUNCTION.contains(&name.as_str()),
                "{function} links {name}"
            );
            let old = match name.as_str() {
                "rustls" => !version.starts_with("0.23."),
                "hyper" => !version.starts_with("1."),
                "hyper-rustls" => !version.starts_with("0.27."),
                "h2" => version.starts_with("0.3."),
                _ => false,
            };
            assert!(!old, "{function} links {name} {version}");
        }
    }
}

#[test]
fn only_who_reaches_a_ledger_links_a_driver() {
    for (function, _) in SERVICES {
        let linked = linked(function);
        let has_driver = linked.iter().any(|(name, _)| name == "mysql_async");
        assert_eq!(has_driver, function != "environment-switcher", "{function}");
    }
}
