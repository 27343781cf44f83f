//! Requests and failures of both environments since the candidate's present share was verified, for the verdict by counts.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use cutover_domain::switch::{CountsReading, Environment, Tally};
use cutover_ports::switch::CountReader;

pub use crate::metric_data::MetricSource;
use crate::metric_data::{Series, Span, series, whole};

/// Periods of one metric in one answer. A longer time is summed in longer periods.
const PERIODS_MAX: i64 = 1440;

/// Periods that CloudWatch keeps: one minute for 15 days, five minutes for 63, an hour for longer.
const PERIODS_SECONDS: [i32; 3] = [60, 300, 3600];

/// What counts an environment's requests and its failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallySource {
    /// All requests.
    pub requests: MetricSource,
    /// Those that failed.
    pub failures: MetricSource,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountSources {
    /// Of blue.
    pub blue: TallySource,
    /// Of green.
    pub green: TallySource,
    /// Duplicate payments, ledger mismatches: each is 0 as long as no money is at risk.
    pub money: Vec<MetricSource>,
}

impl CountSources {
    fn of(&self, environment: Environment) -> &TallySource {
        match environment {
            Environment::Blue => &self.blue,
            Environment::Green => &self.green,
        }
    }
}

/// Counts from CloudWatch's metrics.
#[derive(Debug, Clone)]
pub struct CloudWatchCounts {
    client: Client,
    sources: CountSources,
}

impl CloudWatchCounts {
    /// A reader of `sources`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, sources: CountSources) -> Self {
        Self {
            client: Client::new(sdk),
            sources,
        }
    }
}

#[async_trait]
impl CountReader for CloudWatchCounts {
    async fn read(
        &self,
        baseline: Environment,
        candidate: Environment,
        since_ms: u64,
        until_ms: u64,
    ) -> CountsReading {
        let span = match span(since_ms, until_ms) {
            Ok(Some(span)) => span,
            // Not one minute is complete: nothing was counted, and a verdict waits for more.
            Ok(None) => {
                return CountsReading::Counts {
                    baseline: Tally::default(),
                    candidate: Tally::default(),
                    money: (!self.sources.money.is_empty()).then_some(0),
                    window_seconds: 0,
                };
            }
            Err(why) => return CountsReading::Missing(why),
        };
        let tallies = [self.sources.of(baseline), self.sources.of(candidate)];
        let metrics: Vec<&MetricSource> = tallies
            .iter()
            .flat_map(|tally| [&tally.requests, &tally.failures])
            .chain(&self.sources.money)
            .collect();
        let counted = match series(&self.client, &metrics, span).await {
            Ok(read) => counted(&metrics, &read, span),
            Err(why) => Err(why),
        };
        counted.unwrap_or_else(CountsReading::Missing)
    }
}

/// The complete periods within a time: none if there is none.
fn span(since_ms: u64, until_ms: u64) -> Result<Option<Span>, String> {
    let seconds = |ms: u64| i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let (since, until) = (seconds(since_ms.saturating_add(999)), seconds(until_ms));
    for period in PERIODS_SECONDS {
        let length = i64::from(period);
        let from = since.saturating_add(length - 1) / length * length;
        let until = until / length * length;
        if until <= from {
            return Ok(None);
        }
        if (until - from) / length <= PERIODS_MAX {
            return Ok(Some(Span {
                from,
                until,
                period,
            }));
        }
    }
    Err("the time is too long to be summed".to_owned())
}

fn counted(
    metrics: &[&MetricSource],
    read: &[Series],
    span: Span,
) -> Result<CountsReading, String> {
    let mut pairs = metrics.iter().zip(read);
    let mut tally = || match (pairs.next(), pairs.next()) {
        (Some((_, requests)), Some((failures, failed))) => sums(requests, failures, failed),
        _ => Err("the answer is too short".to_owned()),
    };
    let (baseline, candidate) = (tally()?, tally()?);
    let mut money = None;
    for (metric, seen) in pairs {
        if seen.is_empty() {
            return Err(format!("{} has no data", metric.name));
        }
        money = Some(total(seen)?.saturating_add(money.unwrap_or_default()));
    }
    Ok(CountsReading::Counts {
        baseline,
        candidate,
        money,
        window_seconds: u64::try_from(span.until - span.from).unwrap_or_default(),
    })
}

/// A period that has requests and no word of failures is not one without failures, unless the service is known to say
/// nothing when there is nothing.
fn sums(requests: &Series, source: &MetricSource, failures: &Series) -> Result<Tally, String> {
    let silent = requests
        .iter()
        .find(|(time, count)| **count > 0.0 && !failures.contains_key(time));
    if silent.is_some() && !is_sparse(source) {
        return Err(format!("{} has gaps where there are requests", source.name));
    }
    let tally = Tally {
        requests: total(requests)?,
        failures: total(failures)?,
    };
    if tally.failures > tally.requests {
        let Tally { requests, failures } = tally;
        return Err(format!("{failures} failures of {requests} requests"));
    }
    Ok(tally)
}

/// The load balancer's counters are "reported only when there is a nonzero value" (CloudWatch metrics of ELB).
fn is_sparse(source: &MetricSource) -> bool {
    source.namespace == "AWS/ApplicationELB"
}

fn total(series: &Series) -> Result<u64, String> {
    let sum: f64 = series.values().sum();
    whole(sum).ok_or_else(|| format!("the sum {sum} is out of range"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::replay::{Answer, Replay};

    const MINUTE_MS: u64 = 60_000;

    fn metric(namespace: &str, name: &str, color: &str) -> MetricSource {
        MetricSource {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: [("Color".to_owned(), color.to_owned())].into(),
            stat: "Sum".to_owned(),
        }
    }

    fn sources(namespace: &str) -> CountSources {
        let tally = |color| TallySource {
            requests: metric(namespace, "Requests", color),
            failures: metric(namespace, "Failures", color),
        };
        CountSources {
            blue: tally("blue"),
            green: tally("green"),
            money: vec![metric("Cutover", "LedgerMismatches", "green")],
        }
    }

    /// A result of the metric with that index: its values in the minutes 1, 2, ...
    fn result(index: usize, status: &str, values: &[f64]) -> Value {
        let times = (1..=values.len()).map(|minute| json!({"$time": minute * 60}));
        json!({"Id": format!("m{index}"), "StatusCode": status, "Timestamps": times.collect::<Vec<_>>(), "Values": values})
    }

    fn page(results: &[Value], token: Option<&str>) -> Answer {
        let mut page = json!({"MetricDataResults": results});
        if let Some(token) = token {
            page["NextToken"] = json!(token);
        }
        Answer::cbor(200, &page)
    }

    fn complete(values: [&[f64]; 5]) -> Answer {
        let results: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(index, values)| result(index, "Complete", values))
            .collect();
        page(&results, None)
    }

    async fn read(namespace: &str, answers: Vec<Answer>) -> (CountsReading, Replay) {
        let replay = Replay::new(answers);
        let counts = CloudWatchCounts::new(&replay.config().await, sources(namespace));
        let since = 30_000;
        let reading = counts
            .read(
                Environment::Blue,
                Environment::Green,
                since,
                3 * MINUTE_MS + 1,
            )
            .await;
        (reading, replay)
    }

    fn missing(reading: CountsReading) -> String {
        match reading {
            CountsReading::Missing(why) => why,
            counts @ CountsReading::Counts { .. } => panic!("{counts:?}"),
        }
    }

    #[tokio::test]
    async fn complete_minutes_are_summed_over_all_pages() {
        let first = page(
            &[
                result(0, "PartialData", &[90.0]),
                result(1, "Complete", &[1.0, 0.0]),
            ],
            Some("more"),
        );
        let second = page(
            &[
                result(0, "Complete", &[90.0, 95.0]),
                result(1, "Complete", &[]),
                result(2, "Complete", &[10.0, 11.0]),
                result(3, "Complete", &[2.0, 3.0]),
                result(4, "Complete", &[0.0, 0.0]),
            ],
            None,
        );
        let (reading, replay) = read("Cutover", vec![first, second]).await;
        let expected = CountsReading::Counts {
            baseline: Tally {
                requests: 185,
                failures: 1,
            },
            candidate: Tally {
                requests: 21,
                failures: 5,
            },
            money: Some(0),
            window_seconds: 120,
        };
        assert_eq!(reading, expected);
        assert_eq!(replay.sent().len(), 2);
    }

    #[tokio::test]
    async fn what_is_missing_is_never_zero() {
        let none: &[f64] = &[];
        for (answer, told) in [
            (
                page(&[result(0, "PartialData", &[1.0])], None),
                "PartialData",
            ),
            (page(&[result(0, "Forbidden", none)], None), "Forbidden"),
            (
                page(&[result(0, "InternalError", none)], None),
                "InternalError",
            ),
            (page(&[], None), "does not have it"),
            (
                complete([&[5.0], &[0.0], &[5.0], none, &[0.0]]),
                "Failures has gaps",
            ),
            (
                complete([&[5.0, 5.0], &[0.0], &[5.0], &[0.0], &[0.0]]),
                "Failures has gaps",
            ),
            (
                complete([&[5.0], &[0.0], &[5.0], &[0.0], none]),
                "LedgerMismatches has no data",
            ),
            (
                complete([&[5.0], &[6.0], &[5.0], &[0.0], &[0.0]]),
                "6 failures of 5",
            ),
            (
                complete([&[-5.0], &[0.0], &[5.0], &[0.0], &[0.0]]),
                "counts nothing",
            ),
        ] {
            let (reading, _) = read("Cutover", vec![answer]).await;
            let why = missing(reading);
            assert!(why.contains(told), "{why}");
        }
        let denied = Answer::cbor(
            403,
            &json!({"__type": "com.amazonaws.cloudwatch#AccessDenied", "message": "no"}),
        );
        let why = missing(read("Cutover", vec![denied]).await.0);
        assert!(why.contains("role"), "{why}");
        let lost = vec![Answer::Lost, Answer::Lost, Answer::Lost];
        let why = missing(read("Cutover", lost).await.0);
        assert!(why.contains("no connection"), "{why}");
    }

    #[tokio::test]
    async fn a_load_balancer_says_nothing_where_there_are_no_failures() {
        let none: &[f64] = &[];
        let answer = complete([&[5.0], none, &[5.0], none, &[1.0]]);
        let (reading, _) = read("AWS/ApplicationELB", vec![answer]).await;
        let CountsReading::Counts {
            candidate, money, ..
        } = reading
        else {
            panic!("{reading:?}");
        };
        assert_eq!((candidate.requests, candidate.failures), (5, 0));
        assert_eq!(money, Some(1));
    }

    #[test]
    fn only_complete_periods_are_asked_for() {
        let minutes = |since, until| {
            span(since, until)
                .unwrap()
                .map(|s| (s.from, s.until, s.period))
        };
        assert_eq!(minutes(60_001, 179_999), None);
        assert_eq!(minutes(60_000, 120_000), Some((60, 120, 60)));
        assert_eq!(minutes(60_001, 240_000), Some((120, 240, 60)));
        let day = 24 * 60 * MINUTE_MS;
        assert_eq!(minutes(0, 2 * day), Some((0, 172_800, 300)));
        assert_eq!(minutes(0, 30 * day), Some((0, 2_592_000, 3600)));
        assert!(span(0, 365 * day).is_err());
        assert_eq!(minutes(u64::MAX, 0), None);
    }
}
