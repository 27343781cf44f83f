//! A run as text: Markdown tables, which read as well in a terminal.

use std::fmt::Write as _;

use crate::functions::FunctionRow;
use crate::report::{Report, Row, name};
use crate::targets::Target;

const COLUMNS: [&str; 15] = [
    "subject",
    "init",
    "first",
    "init+first",
    "warm p50",
    "warm p99",
    "CPU",
    "CPU cold",
    "RSS peak",
    "files",
    "zip",
    "conns cold",
    "conns warm",
    "calls (hops)",
    "of limit",
];

const FUNCTION_COLUMNS: [&str; 11] = [
    "",
    "ms a call",
    "init",
    "first",
    "then",
    "CPU",
    "RSS peak",
    "AWS calls",
    "database trips",
    "chain",
    "conns AWS, database",
];

/// The whole run.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = machine(report);
    for delay in report.delays() {
        let limit = report
            .limits
            .iter()
            .find(|l| l.delay_ms.total_cmp(&delay).is_eq());
        let _written = write!(text, "{delay} ms a call");
        if let Some(limit) = limit {
            let floor = report.at(delay).find(|row| row.subject == name::FLOOR);
            let services = floor.map_or(0.0, |row| row.services_cpu_ms);
            let _written = write!(
                text,
                "; the calls alone take {:.2} ms warm, {:.1} ms with the first payment, and {services:.2} ms of the \
                 services' CPU time",
                limit.warm_ms, limit.first_ms
            );
        }
        text.push_str("\n\n");
        let rows = report.at(delay).map(cells);
        text.push_str(&table(&with_header(COLUMNS, rows)));
        text.push('\n');
    }
    if !report.functions.is_empty() {
        text.push_str("The other functions\n\n");
        let rows = report.functions.iter().map(function);
        text.push_str(&table(&with_header(FUNCTION_COLUMNS, rows)));
        text.push('\n');
    }
    text.push_str("What it is to show\n\n");
    let header = ["", "measured", "target", "met"];
    let rows = report.targets.iter().map(target);
    text.push_str(&table(&with_header(header, rows)));
    text
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let versions = machine.versions.iter();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let load = machine.load_before.unwrap_or_default();
    format!(
        "{} processes of each subject; {} cores ({}), load before the run {load}, kernel {}, {}; commit {}. Times in \
         ms, sizes in MB.\n\n",
        report.processes,
        machine.cores,
        machine.processor,
        machine.kernel,
        versions.join(", "),
        machine.commit,
    )
}

fn cells(row: &Row) -> Vec<String> {
    let size = |mb: Option<f64>| mb.map_or("-".to_owned(), |mb| format!("{mb:.1}"));
    vec![
        row.subject.clone(),
        format!("{:.1}", row.init_ms),
        format!("{:.1}", row.first_ms),
        format!("{:.1}", row.cold_ms),
        format!("{:.2}", row.warm_p50_ms),
        format!("{:.2}", row.warm_p99_ms),
        format!("{:.2}", row.warm_cpu_ms),
        format!("{:.1}", row.cold_cpu_ms),
        format!("{:.1}", row.peak_rss_mb),
        size(row.files_mb),
        size(row.zip_mb),
        row.cold_connections.to_string(),
        format!("{}", row.warm_connections),
        format!("{} ({})", row.warm_calls, row.warm_hops),
        row.of_limit
            .map_or("-".to_owned(), |times| format!("{times:.2}")),
    ]
}

fn function(row: &FunctionRow) -> Vec<String> {
    let [aws, database] = row.connections;
    vec![
        row.what.to_owned(),
        row.delay_ms.to_string(),
        format!("{:.1}", row.init_ms),
        format!("{:.1}", row.first_ms),
        row.warm_ms.map_or("-".to_owned(), |ms| format!("{ms:.1}")),
        format!("{:.2}", row.cpu_ms),
        format!("{:.1}", row.peak_rss_mb),
        row.calls.to_string(),
        row.database_trips.to_string(),
        row.hops.to_string(),
        format!("{aws}, {database}"),
    ]
}

fn target(target: &Target) -> Vec<String> {
    let measured = target.measured.map_or("-".to_owned(), |value| {
        format!("{value:.2} {}", target.unit)
    });
    let sign = if target.at_most { "<=" } else { ">=" };
    let met = match target.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "not measured",
    };
    vec![
        target.what.clone(),
        measured,
        format!("{sign} {:.2} {}", target.bound, target.unit),
        met.to_owned(),
    ]
}

fn with_header<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
) -> Vec<Vec<String>> {
    let header = header.map(str::to_owned).to_vec();
    std::iter::once(header).chain(rows).collect()
}

/// The first row is the header; the first column is text, the others are numbers.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _written = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(*width);
                let _written = if column == 0 {
                    write!(text, "| {line} ")
                } else {
                    write!(text, "| {line}:")
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = table(&[row(["", "ms"]), row(["a", "1.5"]), row(["bcd", "10.25"])]);
        assert_eq!(
            text,
            "|     |    ms |\n| --- | -----:|\n| a   |   1.5 |\n| bcd | 10.25 |\n"
        );
    }
}
