//! What came of it: a table for the terminal, and a page with plots for the file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::LabError;
use super::journey::Timings;
use super::plot::{as_f64, percentile, plot};
use super::reconcile::Reconciliation;
use super::stack::ENVIRONMENT;
use super::telemetry::{Mark, Telemetry};

/// Everything that the lab found out.
#[derive(Debug)]
pub struct Report {
    /// Clients against stores.
    pub reconciliation: Reconciliation,
    /// What the cutovers took.
    pub timings: Timings,
    /// The whole lab, set-up included.
    pub took: Duration,
    /// Payments a second that were asked for.
    pub rate: u32,
    /// How the traffic went.
    pub traffic: Traffic,
}

/// How the traffic went, from its clients' view.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Answers a second, over the whole of it.
    pub per_second: f64,
    /// Half of the answers took no longer, in milliseconds.
    pub median_ms: f64,
    /// 99 of 100 answers took no longer, in milliseconds.
    pub slow_ms: f64,
    /// What the function added to its three remote hops, in half of the payments no more, in milliseconds.
    pub own_ms: Option<f64>,
}

impl Traffic {
    /// Sums up what was seen, and what the functions wrote into `logs`.
    pub fn of(telemetry: &Telemetry, logs: &Path) -> Self {
        let (seconds, _marks) = telemetry.history();
        let latencies: Vec<Duration> = seconds
            .iter()
            .flat_map(|second| second.latencies.iter().copied())
            .collect();
        Self {
            per_second: as_f64(latencies.len()) / as_f64(seconds.len().max(1)),
            median_ms: percentile(&latencies, 0.50).unwrap_or_default(),
            slow_ms: percentile(&latencies, 0.99).unwrap_or_default(),
            own_ms: own_time(logs),
        }
    }
}

/// The median of what is left of a payment's time once its hops are taken off: claim, then the slower of ledger and log,
/// then completion. From the lines that payment-validation logged.
fn own_time(logs: &Path) -> Option<f64> {
    let log = logs.join(format!("payment-validation-{ENVIRONMENT}.log"));
    let mut own: Vec<f64> = std::fs::read_to_string(log)
        .ok()?
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let ms = |name: &str| line[name].as_f64();
            let hops = ms("ClaimMs")? + ms("LedgerMs")?.max(ms("LogMs")?) + ms("CompleteMs")?;
            (line["outcome"] == "paid").then_some(ms("DurationMs")? - hops)
        })
        .collect();
    own.sort_by(f64::total_cmp);
    own.get(own.len() / 2).copied()
}

/// A row of the table: a label, a figure, and what to think of it.
type TableRow = (&'static str, String, &'static str);

fn rows(report: &Report) -> Vec<TableRow> {
    let mut rows = counts(&report.reconciliation);
    rows.extend(times(report));
    rows
}

fn counts(found: &Reconciliation) -> Vec<TableRow> {
    [
        (
            "requests sent",
            found.requests,
            "repeated attempts included",
        ),
        ("payments meant", as_u64(found.payments), ""),
        ("accepted", as_u64(found.accepted), "answered 201"),
        ("refused", as_u64(found.refused), "bodies that break a rule"),
        ("replayed", found.replayed, "recorded answers given again"),
        ("sessions completed", as_u64(found.sessions_completed), ""),
        (
            "rows in blue's ledger",
            as_u64(found.rows_blue),
            "replication included",
        ),
        (
            "rows in green's ledger",
            as_u64(found.rows_green),
            "replication included",
        ),
        ("log objects", as_u64(found.log_objects), ""),
        ("without an answer", as_u64(found.open), "must be 0"),
        ("unexpected answers", found.unexpected, "must be 0"),
        ("lost", as_u64(found.lost), "must be 0"),
        ("doubled", as_u64(found.doubled), "must be 0"),
    ]
    .map(|(label, count, remark)| (label, count.to_string(), remark))
    .into()
}

fn times(report: &Report) -> Vec<TableRow> {
    let seconds = |took: Duration| format!("{:.1} s", took.as_secs_f64());
    let traffic = &report.traffic;
    let mut rows = vec![
        (
            "answers a second",
            format!("{:.1}", traffic.per_second),
            "over the whole traffic",
        ),
        (
            "latency, median",
            format!("{:.1} ms", traffic.median_ms),
            "at the client",
        ),
        (
            "latency, 99 of 100",
            format!("{:.1} ms", traffic.slow_ms),
            "at the client",
        ),
    ];
    if let Some(own_ms) = traffic.own_ms {
        let own_ms = format!("{own_ms:.2} ms");
        rows.push((
            "function's own time",
            own_ms,
            "median, its remote hops taken off",
        ));
    }
    if report.timings.promotion > Duration::ZERO {
        rows.extend([
            (
                "drill",
                format!("{} ms", report.timings.drill.as_millis()),
                "a guard's alarm tripped to its event at the switch",
            ),
            (
                "rollback",
                seconds(report.timings.rollback),
                "first failed payment to 100 % blue at the alias",
            ),
            (
                "  detection",
                seconds(report.timings.detection),
                "of it: to the order (metric, alarm, event)",
            ),
            (
                "  execution",
                seconds(report.timings.execution),
                "of it: from the order to its read-back",
            ),
            (
                "promotion",
                seconds(report.timings.promotion),
                "start to completed, bake included",
            ),
        ]);
    }
    rows.push(("the whole lab", seconds(report.took), "set-up included"));
    rows
}

/// Prints the table and, if there are any, the differences.
pub fn print(report: &Report) {
    println!("Reconciliation of every payment sent\n");
    for (label, figure, remark) in rows(report) {
        println!("  {label:<24} {figure:>10}   {remark}");
    }
    for difference in &report.reconciliation.differences {
        println!("  ! {difference}");
    }
}

/// Writes `report.json`, `report.svg` and `report.html` into `folder`, and answers the page's path.
pub fn write(report: &Report, telemetry: &Telemetry, folder: &Path) -> Result<PathBuf, LabError> {
    let (seconds, marks) = telemetry.history();
    let plot = plot(&seconds, &marks)
        .map_err(|error| LabError::Unexpected(format!("no plot: {error}")))?;
    let page = folder.join("report.html");
    for (path, text) in [
        (folder.join("report.json"), json_text(report)),
        (folder.join("report.svg"), plot.clone()),
        (page.clone(), html(report, &plot, &marks)),
    ] {
        std::fs::write(path, text).map_err(LabError::process("lab", "write its report"))?;
    }
    Ok(page)
}

fn json_text(report: &Report) -> String {
    let value = json!({
        "reconciliation": report.reconciliation,
        "drillSeconds": report.timings.drill.as_secs_f64(),
        "rollbackSeconds": report.timings.rollback.as_secs_f64(),
        "detectionSeconds": report.timings.detection.as_secs_f64(),
        "executionSeconds": report.timings.execution.as_secs_f64(),
        "promotionSeconds": report.timings.promotion.as_secs_f64(),
        "labSeconds": report.took.as_secs_f64(),
        "rate": report.rate,
        "answersPerSecond": report.traffic.per_second,
        "latencyMedianMs": report.traffic.median_ms,
        "latency99Ms": report.traffic.slow_ms,
        "ownMs": report.traffic.own_ms,
    });
    format!("{value:#}\n")
}

fn html(report: &Report, plot: &str, marks: &[Mark]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Cutover lab</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;color:#222}\
         table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left}\
         td.n{text-align:right;font-variant-numeric:tabular-nums}small{color:#666}</style><h1>Cutover lab</h1>",
    );
    let clean = report.reconciliation.is_clean();
    let verdict = if clean {
        "No payment was lost or doubled."
    } else {
        "There are differences: see below."
    };
    let _infallible = write!(
        page,
        "<p><strong>{verdict}</strong></p>{plot}<h2>Reconciliation</h2><table>"
    );
    for (label, figure, remark) in rows(report) {
        let _infallible = write!(
            page,
            "<tr><td>{label}<td class=n>{figure}<td><small>{remark}</small>"
        );
    }
    page.push_str("</table><h2>What happened</h2><table>");
    for mark in marks {
        let _infallible = write!(
            page,
            "<tr><td class=n>{:.1} s<td>{}",
            mark.at.as_secs_f64(),
            escape(&mark.what)
        );
    }
    page.push_str("</table>");
    if !report.reconciliation.differences.is_empty() {
        page.push_str("<h2>Differences</h2><ul>");
        for difference in &report.reconciliation.differences {
            let _infallible = write!(page, "<li>{}", escape(difference));
        }
        page.push_str("</ul>");
    }
    page.push_str("</html>\n");
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_escaped() {
        let mut reconciliation = Reconciliation::default();
        reconciliation.lost = 1;
        reconciliation.differences = vec!["<tx>".to_owned()];
        let report = Report {
            reconciliation,
            timings: Timings::default(),
            took: Duration::ZERO,
            rate: 60,
            traffic: Traffic::default(),
        };
        let page = html(&report, "", &[]);
        assert!(page.contains("<li>&lt;tx&gt;") && page.contains("There are differences"));
    }
}
