//! What came of it: a table for the terminal, and a page with plots for the file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::json;

use super::journey::Timings;
use super::reconcile::Reconciliation;
use super::telemetry::{Mark, Second, Telemetry};
use super::{Color, LabError};

const BLUE: RGBColor = RGBColor(31, 91, 196);
const GREEN: RGBColor = RGBColor(34, 139, 84);
const RED: RGBColor = RGBColor(200, 40, 40);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// Size of the plot, in pixels.
const PLOT_SIZE: (u32, u32) = (1_000, 760);

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
}

impl Traffic {
    /// Sums up what was seen.
    pub fn of(telemetry: &Telemetry) -> Self {
        let (seconds, _marks) = telemetry.history();
        let latencies: Vec<Duration> = seconds
            .iter()
            .flat_map(|second| second.latencies.iter().copied())
            .collect();
        Self {
            per_second: as_f64(latencies.len()) / as_f64(seconds.len().max(1)),
            median_ms: percentile(&latencies, 0.50).unwrap_or_default(),
            slow_ms: percentile(&latencies, 0.99).unwrap_or_default(),
        }
    }
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
    if report.timings.promotion > Duration::ZERO {
        rows.extend([
            (
                "rollback",
                seconds(report.timings.rollback),
                "first failed payment to 100 % blue at the alias",
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
        "rollbackSeconds": report.timings.rollback.as_secs_f64(),
        "promotionSeconds": report.timings.promotion.as_secs_f64(),
        "labSeconds": report.took.as_secs_f64(),
        "rate": report.rate,
        "answersPerSecond": report.traffic.per_second,
        "latencyMedianMs": report.traffic.median_ms,
        "latency99Ms": report.traffic.slow_ms,
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

type PlotError = Box<dyn std::error::Error>;

/// Three plots above one another, on one time axis: share of traffic, answers, latency.
fn plot(seconds: &[Second], marks: &[Mark]) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, PLOT_SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((3, 1));
        let [weights, answers, latency] = panels.as_slice() else {
            return Err("three panels expected".into());
        };
        plot_weights(weights, seconds, marks)?;
        plot_answers(answers, seconds)?;
        plot_latency(latency, seconds)?;
        root.present()?;
    }
    Ok(svg)
}

type Panel<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn span(seconds: &[Second]) -> std::ops::Range<f64> {
    0.0..as_f64(seconds.len().max(1))
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn plot_weights(panel: &Panel<'_>, seconds: &[Second], marks: &[Mark]) -> Result<(), PlotError> {
    let mut chart = ChartBuilder::on(panel)
        .caption(
            "Traffic on green by the alias's weights (%), over seconds",
            ("sans-serif", 15),
        )
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(span(seconds), 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .draw()?;
    let green = seconds
        .iter()
        .enumerate()
        .map(|(at, second)| (as_f64(at), second.green_percent.unwrap_or_default()));
    chart.draw_series(
        AreaSeries::new(green, 0.0, GREEN.mix(0.35)).border_style(GREEN.stroke_width(2)),
    )?;
    for (index, mark) in marks.iter().enumerate() {
        let at = mark.at.as_secs_f64();
        chart.draw_series(std::iter::once(PathElement::new(
            [(at, 0.0), (at, 100.0)],
            GREY.mix(0.5),
        )))?;
        // Labels in turn at four heights, and to the left of a mark near the right edge: none hides another.
        let height = 96.0 - 15.0 * as_f64(index % 4);
        let side = if at > span(seconds).end * 0.75 {
            HPos::Right
        } else {
            HPos::Left
        };
        let style = ("sans-serif", 11)
            .into_font()
            .color(&GREY)
            .pos(Pos::new(side, VPos::Center));
        chart.draw_series(std::iter::once(Text::new(
            format!(" {} ", mark.what),
            (at, height),
            style,
        )))?;
    }
    Ok(())
}

fn plot_answers(panel: &Panel<'_>, seconds: &[Second]) -> Result<(), PlotError> {
    let count = |n: Option<&u64>| n.map_or(0.0, |n| u32::try_from(*n).map_or(f64::MAX, f64::from));
    let failed = |second: &Second| second.failed.values().map(|n| count(Some(n))).sum::<f64>();
    let highest = seconds
        .iter()
        .map(|s| as_f64(s.latencies.len()))
        .fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption("Answers a second", ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(span(seconds), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .draw()?;
    let series: [(&str, RGBColor, Vec<f64>); 3] = [
        (
            "by blue",
            BLUE,
            seconds
                .iter()
                .map(|s| count(s.good.get(&Color::Blue)))
                .collect(),
        ),
        (
            "by green",
            GREEN,
            seconds
                .iter()
                .map(|s| count(s.good.get(&Color::Green)))
                .collect(),
        ),
        ("failed", RED, seconds.iter().map(failed).collect()),
    ];
    for (label, color, values) in series {
        let points = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| (as_f64(at), value));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    legend(&mut chart)
}

fn plot_latency(panel: &Panel<'_>, seconds: &[Second]) -> Result<(), PlotError> {
    let points = |share: f64| -> Vec<(f64, f64)> {
        let at_share = |(at, second): (usize, &Second)| {
            Some((as_f64(at), percentile(&second.latencies, share)?))
        };
        seconds.iter().enumerate().filter_map(at_share).collect()
    };
    let (median, slow) = (points(0.50), points(0.99));
    let highest = slow.iter().map(|(_, ms)| *ms).fold(10.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(
            "Latency at the client (ms, logarithmic)",
            ("sans-serif", 15),
        )
        .margin(8)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(span(seconds), (1.0..highest * 1.3).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (label, color, points) in [("median", BLUE, median), ("99th percentile", GREY, slow)] {
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    legend(&mut chart)
}

fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
) -> Result<(), PlotError> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12))
        .draw()?;
    Ok(())
}

/// The latency that `share` of the attempts stay under, in milliseconds.
fn percentile(latencies: &[Duration], share: f64) -> Option<f64> {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let wanted = as_f64(sorted.len()) * share;
    let latency = sorted
        .iter()
        .enumerate()
        .find(|(rank, _)| as_f64(rank + 1) >= wanted)?
        .1;
    Some((latency.as_secs_f64() * 1_000.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred() {
        let latencies: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&latencies, 0.50), Some(50.0));
        assert_eq!(percentile(&latencies, 0.99), Some(99.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

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
