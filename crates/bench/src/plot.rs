//! A run as a picture: bars, a panel for each of what users ask first.

use std::fmt::Write as _;

use crate::report::{Report, Row, name};

const WIDTH: f64 = 960.0;
const PANEL_WIDTH: f64 = 450.0;
const MARGIN: f64 = 20.0;
const TITLE: f64 = 40.0;
const BAR: f64 = 22.0;
const GAP: f64 = 8.0;
/// Room for the subjects' names, and for the values behind the bars.
const NAMES: f64 = 150.0;
const VALUES: f64 = 70.0;

const OURS: &str = "#1b7f5c";
const FLOOR: &str = "#9aa5b1";
const PEER: &str = "#c9743a";
const INK: &str = "#1f2933";

type Bar = (String, f64, &'static str);

/// An SVG of the rows at a delay of `delay_ms`.
#[must_use]
pub fn svg(report: &Report, delay_ms: f64) -> String {
    let rows: Vec<&Row> = report
        .at(delay_ms)
        .filter(|row| row.subject != name::EMPTY)
        .collect();
    let bars = |value: fn(&Row) -> f64| -> Vec<Bar> {
        rows.iter()
            .map(|row| (row.subject.clone(), value(row), color(&row.subject)))
            .collect()
    };
    let limit = report
        .limits
        .iter()
        .find(|limit| limit.delay_ms.total_cmp(&delay_ms).is_eq());
    let panels = [
        (
            format!("A payment, warm, {delay_ms} ms a call (ms, median)"),
            bars(|row| row.warm_p50_ms),
        ),
        (
            "Init and first payment (ms, median)".to_owned(),
            bars(|row| row.cold_ms),
        ),
        (
            "CPU of a payment, warm (ms)".to_owned(),
            bars(|row| row.warm_cpu_ms),
        ),
        (
            "Peak resident memory (MB)".to_owned(),
            bars(|row| row.peak_rss_mb),
        ),
    ];
    let count = f64::from(u32::try_from(rows.len()).unwrap_or_default());
    let panel_height = TITLE + count * (BAR + GAP) + MARGIN;
    let height = MARGIN + 2.0 * panel_height + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"{INK}\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (number, (title, bars)) in panels.iter().enumerate() {
        let x = MARGIN
            + if number % 2 == 0 {
                0.0
            } else {
                PANEL_WIDTH + MARGIN
            };
        let y = MARGIN + if number < 2 { 0.0 } else { panel_height };
        panel(&mut svg, (x, y), title, bars);
    }
    if let Some(limit) = limit {
        let _written = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"11\" fill=\"#52606d\">The calls alone, on bare connections: \
             {:.2} ms warm, {:.1} ms with the first payment. {} processes each, on {} cores that subjects and services \
             share.</text>",
            height - 10.0,
            limit.warm_ms,
            limit.first_ms,
            report.processes,
            report.machine.cores,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn color(subject: &str) -> &'static str {
    match subject {
        name::CUTOVER => OURS,
        name::FLOOR => FLOOR,
        _ => PEER,
    }
}

fn panel(svg: &mut String, (x, y): (f64, f64), title: &str, bars: &[Bar]) {
    let most = bars
        .iter()
        .map(|(_, value, _)| *value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (PANEL_WIDTH - NAMES - VALUES) / most;
    let _written = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" font-size=\"15\" font-weight=\"bold\">{title}</text>",
        y + 18.0
    );
    let mut top = y + TITLE;
    for (subject, value, color) in bars {
        let middle = top + BAR / 2.0 + 4.5;
        let (start, width) = (x + NAMES, (value * scale).max(1.0));
        let decimals = if *value < 10.0 { 2 } else { 1 };
        let _written = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{subject}</text>\
             <rect x=\"{start:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{middle:.1}\">{value:.decimals$}</text>",
            start - 8.0,
            start + width + 6.0,
        );
        top += BAR + GAP;
    }
}
