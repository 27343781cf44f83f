//! The verdict: for programs as JSON, for CloudFormation in few bytes.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::check::{Check, Finding, Status, worst};
use super::properties::Mode;
use super::text::{shortened, within_bytes};

/// Bytes that a Reason may have: an answer takes 4096, and its ids may need 1.7 kB.
const REASON_BYTES_MAX: usize = 2200;
/// Bytes that the attribute Message may have.
const MESSAGE_BYTES_MAX: usize = 900;
/// Bytes that the attribute ReportUri may have.
const URI_BYTES_MAX: usize = 600;
/// Characters shown of a finding, longest first: the first that fits is taken, so that every failing check is named.
const SHOWN_CHARS: [usize; 6] = [400, 200, 100, 60, 30, 0];

/// What a validation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The whole.
    pub status: Status,
    /// What follows from it.
    #[serde(serialize_with = "mode_name")]
    pub mode: Mode,
    /// Every check, in order.
    pub checks: Vec<Finding>,
    /// When the last check ended, RFC 3339 in UTC.
    pub validated_at: String,
    /// Where this report lies, if it could be written.
    pub report_uri: Option<String>,
}

fn mode_name<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.as_str())
}

impl Report {
    /// The report of these findings.
    #[must_use]
    pub fn new(mode: Mode, mut checks: Vec<Finding>, validated_at: String) -> Self {
        checks.sort_by_key(|finding| finding.name);
        Self {
            status: worst(checks.iter().map(|finding| finding.status)),
            mode,
            checks,
            validated_at,
            report_uri: None,
        }
    }

    /// How many checks ended so.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.checks
            .iter()
            .filter(|finding| finding.status == status)
            .count()
    }

    /// Whether a stack operation may go on.
    #[must_use]
    pub fn lets_on(&self) -> bool {
        self.mode == Mode::Report || self.status == Status::Pass
    }

    /// In one sentence.
    #[must_use]
    pub fn message(&self) -> String {
        let bad = self.bad();
        let sum = format!(
            "{}: {} passed, {} failed, {} unknown, {} skipped",
            self.status,
            self.count(Status::Pass),
            self.count(Status::Fail),
            self.count(Status::Unknown),
            self.count(Status::Skipped),
        );
        let names: Vec<&str> = bad.iter().map(|finding| finding.name.name()).collect();
        if names.is_empty() {
            sum
        } else {
            within_bytes(&format!("{sum} ({})", names.join(", ")), MESSAGE_BYTES_MAX)
        }
    }

    /// Why a stack operation can't go on: every check that failed or could not look, each as long as there is room.
    #[must_use]
    pub fn reason(&self) -> String {
        let bad = self.bad();
        let uri = self.report_uri.as_deref().unwrap_or_default();
        let tail = if uri.is_empty() {
            String::new()
        } else {
            format!(" Full report: {}", within_bytes(uri, URI_BYTES_MAX))
        };
        let room = REASON_BYTES_MAX.saturating_sub(tail.len());
        let whole = SHOWN_CHARS
            .iter()
            .map(|chars| self.told(&bad, *chars))
            .find(|text| text.len() <= room);
        let text = whole.unwrap_or_else(|| within_bytes(&self.told(&bad, 0), room));
        format!("{text}{tail}")
    }

    fn told(&self, bad: &[&Finding], chars: usize) -> String {
        let told: Vec<String> = bad
            .iter()
            .map(|finding| {
                let head = format!("{} {}", finding.name, finding.status);
                if chars == 0 {
                    return head;
                }
                let seen = shortened(&finding.observed, chars);
                let advice = shortened(&finding.advice, chars);
                if advice.is_empty() {
                    format!("{head}: {seen}")
                } else {
                    format!("{head}: {seen} -> {advice}")
                }
            })
            .collect();
        format!(
            "{} of {} checks did not pass. {}.",
            bad.len(),
            self.checks
                .len()
                .saturating_sub(self.count(Status::Skipped)),
            told.join("; ")
        )
    }

    /// The attributes for `Fn::GetAtt`: each a text, all of them together within an answer.
    #[must_use]
    pub fn attributes(&self) -> Map<String, Value> {
        let uri = self.report_uri.as_deref().unwrap_or_default();
        attributes(
            self.status.as_str(),
            &self.message(),
            [Status::Pass, Status::Fail, Status::Unknown].map(|status| self.count(status)),
            within_bytes(uri, URI_BYTES_MAX).as_str(),
            &self.validated_at,
        )
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // A struct of text and numbers always serializes.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn bad(&self) -> Vec<&Finding> {
        // Failures before blind spots: the first are what has to be mended.
        let mut bad: Vec<&Finding> = self
            .checks
            .iter()
            .filter(|finding| matches!(finding.status, Status::Fail | Status::Unknown))
            .collect();
        bad.sort_by_key(|finding| finding.status == Status::Unknown);
        bad
    }
}

/// The attributes of an Update that takes a failed one back: nothing was looked at.
#[must_use]
pub fn rollback_attributes(validated_at: &str) -> Map<String, Value> {
    attributes(
        Status::Skipped.as_str(),
        "not validated: this update takes back the one that failed last",
        [0, 0, 0],
        "",
        validated_at,
    )
}

fn attributes(
    status: &str,
    message: &str,
    [passed, failed, unknown]: [usize; 3],
    report_uri: &str,
    validated_at: &str,
) -> Map<String, Value> {
    Map::from_iter([
        ("Status".to_owned(), json!(status)),
        ("Message".to_owned(), json!(message)),
        ("ChecksPassed".to_owned(), json!(passed.to_string())),
        ("ChecksFailed".to_owned(), json!(failed.to_string())),
        ("ChecksUnknown".to_owned(), json!(unknown.to_string())),
        ("ReportUri".to_owned(), json!(report_uri)),
        ("ValidatedAt".to_owned(), json!(validated_at)),
    ])
}

/// Where a report lies: by day, so that a listing is in order; the same for a repeated delivery of the same request at the
/// same time only. `id` tells one validation from another.
#[must_use]
pub fn key(prefix: &str, environment: &str, validated_at: &str, id: &str) -> String {
    let day = validated_at
        .get(..10)
        .unwrap_or("undated")
        .replace('-', "/");
    let time: String = validated_at
        .get(11..19)
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    format!("{prefix}{environment}/{day}/{time}-{id}")
}

/// The names of the checks that a report has, for a log line.
#[must_use]
pub fn names(findings: &[Finding], status: Status) -> Vec<Check> {
    findings
        .iter()
        .filter(|finding| finding.status == status)
        .map(|finding| finding.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Judgement;
    use proptest::prelude::*;

    const AT: &str = "2026-11-20T14:05:06.007Z";

    fn report(statuses: &[Status], text: &str) -> Report {
        let findings = Check::ALL
            .into_iter()
            .zip(statuses)
            .map(|(check, status)| Finding {
                status: *status,
                ..Judgement::fail(text, text, text).of(check, 5)
            });
        Report::new(Mode::Enforce, findings.collect(), AT.to_owned())
    }

    #[test]
    fn the_json_has_the_shape_of_the_contract() {
        let json = report(&[Status::Pass, Status::Skipped], "x").to_json();
        assert_eq!(
            json,
            json!({
                "status": "pass", "mode": "enforce", "validatedAt": AT, "reportUri": null,
                "checks": [
                    {"name": "blue-cluster", "status": "pass", "observed": "x", "expected": "x", "advice": "x", "ms": 5},
                    {"name": "green-cluster", "status": "skipped", "observed": "x", "expected": "x", "advice": "x", "ms": 5},
                ],
            })
        );
    }

    #[test]
    fn unknown_lets_on_only_where_nothing_is_enforced() {
        for (statuses, whole) in [
            (vec![Status::Pass, Status::Unknown], Status::Unknown),
            (vec![Status::Unknown, Status::Fail], Status::Fail),
            (vec![Status::Skipped], Status::Unknown),
            (vec![], Status::Unknown),
        ] {
            let mut report = report(&statuses, "x");
            assert_eq!(report.status, whole);
            assert!(!report.lets_on(), "{statuses:?}");
            report.mode = Mode::Report;
            assert!(report.lets_on());
        }
        assert!(report(&[Status::Pass, Status::Skipped], "x").lets_on());
    }

    #[test]
    fn a_reason_names_every_bad_check_however_long_each_is() {
        let mut report = report(&[Status::Fail; 18], &"\u{1f980}".repeat(5_000));
        report.report_uri = Some(format!("s3://bucket/{}", "k".repeat(2_000)));
        let reason = report.reason();
        assert!(reason.len() <= REASON_BYTES_MAX, "{}", reason.len());
        for check in Check::ALL {
            assert!(
                reason.contains(&format!("{check} fail")),
                "{check} in {reason}"
            );
        }
        assert!(reason.contains("s3://bucket/"));
        let attributes = Value::Object(report.attributes()).to_string();
        assert!(attributes.len() < 2_000, "{}", attributes.len());
    }

    #[test]
    fn a_reason_of_few_checks_tells_them_whole() {
        let reason = report(
            &[Status::Pass, Status::Unknown, Status::Fail],
            "what \"was\" seen",
        )
        .reason();
        assert_eq!(
            reason,
            "2 of 3 checks did not pass. cluster-compatibility fail: what 'was' seen -> what 'was' seen; \
             green-cluster unknown: what 'was' seen -> what 'was' seen."
        );
    }

    #[test]
    fn a_report_lies_under_its_day() {
        assert_eq!(
            key("validation/", "dev-payment-ab12cd34", AT, "7f"),
            "validation/dev-payment-ab12cd34/2026/11/20/140506-7f"
        );
    }

    proptest! {
        #[test]
        fn a_reason_fits_whatever_was_seen(text in ".{0,3000}", bad in 0_usize..18) {
            let mut statuses = vec![Status::Pass; 18];
            statuses[..bad].fill(Status::Unknown);
            let reason = report(&statuses, &text).reason();
            prop_assert!(reason.len() <= REASON_BYTES_MAX);
            prop_assert_eq!(serde_json::to_string(&reason).unwrap().len(), reason.len() + 2);
        }
    }
}
