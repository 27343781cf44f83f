//! The lab's plots, as one SVG picture.

use std::time::Duration;

use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Color;
use super::telemetry::{Mark, Second};

const BLUE: RGBColor = RGBColor(31, 91, 196);
const GREEN: RGBColor = RGBColor(34, 139, 84);
const RED: RGBColor = RGBColor(200, 40, 40);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// Size of the plot, in pixels.
const PLOT_SIZE: (u32, u32) = (1_000, 760);

type PlotError = Box<dyn std::error::Error>;

/// Three plots above one another, on one time axis: share of traffic, answers, latency.
pub fn plot(seconds: &[Second], marks: &[Mark]) -> Result<String, PlotError> {
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

/// A count as a coordinate.
pub fn as_f64(number: usize) -> f64 {
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
pub fn percentile(latencies: &[Duration], share: f64) -> Option<f64> {
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
}
