//! Sums and maxima of CloudWatch metrics over a stretch of time, by GetMetricData.
//!
//! An answer counts only if CloudWatch says that it is complete: data that are missing must never look like zero failures.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, StatusCode,
};

use crate::failure::failure;

/// Queries that one call takes.
const QUERIES_MAX: usize = 500;

/// Pages of one answer: 100,800 values each.
const PAGES_MAX: usize = 10;

/// A metric and its statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSource {
    /// Its namespace, for example `Cutover`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its dimensions, every one of them.
    pub dimensions: BTreeMap<String, String>,
    /// The statistic, for example `Sum`.
    pub stat: String,
}

/// A stretch of time, in seconds since the epoch, both on multiples of the period: from, until (excluded), period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) period: i32,
}

/// The values of one metric, by the beginning of their period in seconds since the epoch.
pub(crate) type Series = BTreeMap<i64, f64>;

/// The series of each metric, in the order of the metrics.
///
/// # Errors
/// In words, if anything is missing but the values themselves: a period without a value is left out.
pub(crate) async fn series(
    client: &Client,
    metrics: &[&MetricSource],
    span: Span,
) -> Result<Vec<Series>, String> {
    if metrics.len() > QUERIES_MAX {
        return Err(format!("more than {QUERIES_MAX} metrics"));
    }
    let queries: Vec<MetricDataQuery> = metrics
        .iter()
        .enumerate()
        .map(|(index, metric)| query(index, metric, span.period))
        .collect();
    let mut all = vec![Series::new(); metrics.len()];
    let mut token = None;
    for _page in 0..PAGES_MAX {
        let page = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(span.from))
            .end_time(DateTime::from_secs(span.until))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| format!("GetMetricData: {}", failure(error)))?;
        token = page.next_token().map(ToOwned::to_owned);
        for (index, (series, metric)) in all.iter_mut().zip(metrics).enumerate() {
            let result = page
                .metric_data_results()
                .iter()
                .find(|result| result.id() == Some(&id(index)));
            take(result, series, token.is_some())
                .map_err(|why| format!("{}: {why}", metric.name))?;
        }
        if token.is_none() {
            return Ok(all);
        }
    }
    Err(format!("more than {PAGES_MAX} pages of values"))
}

/// Ids must begin with a lower-case letter.
fn id(index: usize) -> String {
    format!("m{index}")
}

fn query(index: usize, source: &MetricSource, period: i32) -> MetricDataQuery {
    let dimensions = source
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(name).value(value).build())
        .collect();
    let metric = Metric::builder()
        .namespace(&source.namespace)
        .metric_name(&source.name)
        .set_dimensions(Some(dimensions))
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(period)
        .stat(&source.stat)
        .build();
    MetricDataQuery::builder()
        .id(id(index))
        .metric_stat(stat)
        .return_data(true)
        .build()
}

/// On a page that is followed by another, `PartialData` only says so.
fn take(
    result: Option<&MetricDataResult>,
    series: &mut Series,
    goes_on: bool,
) -> Result<(), String> {
    let Some(result) = result else {
        return if goes_on {
            Ok(())
        } else {
            Err("the answer does not have it".to_owned())
        };
    };
    match result.status_code() {
        Some(StatusCode::Complete) => {}
        Some(StatusCode::PartialData) if goes_on => {}
        Some(status) => return Err(format!("the data are {}", status.as_str())),
        None => return Err("the answer has no status".to_owned()),
    }
    if result.timestamps().len() != result.values().len() {
        return Err("the answer has values without a time".to_owned());
    }
    for (time, value) in result.timestamps().iter().zip(result.values()) {
        if !value.is_finite() || *value < 0.0 {
            return Err(format!("the value {value} counts nothing"));
        }
        series.insert(time.secs(), *value);
    }
    Ok(())
}

/// A count from the decimal that CloudWatch has it as: rounded.
pub(crate) fn whole(value: f64) -> Option<u64> {
    // There is no checked conversion; its text has no exponent, and no sign: the sum of nothing is -0.0.
    format!("{:.0}", value + 0.0).parse().ok()
}
