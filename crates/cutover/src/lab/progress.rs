//! What the lab shows while it runs: a live panel in a terminal, plain lines elsewhere.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Stdout, stdout};
use std::sync::Arc;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color as Paint, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Gauge, Paragraph, Sparkline, Widget as _};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::Color;
use super::telemetry::{Snapshot, Telemetry};

/// Lines of the panel.
const PANEL_LINES: u16 = 6;
/// Between two paints of the panel.
const PAINT_EVERY: Duration = Duration::from_millis(250);
/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Values that the sparkline keeps.
const SPARK_MAX: usize = 240;

/// Shows progress until it is finished.
#[derive(Debug)]
pub struct Progress {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Progress {
    /// A panel if the output is a terminal, lines if it is not.
    pub fn start(telemetry: Arc<Telemetry>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = if stdout().is_terminal() {
            tokio::spawn(panel(telemetry, stopped))
        } else {
            tokio::spawn(lines(telemetry, stopped))
        };
        Self { stop, task }
    }

    /// Ends the show: what happened stays on the screen, the panel goes.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            eprintln!("progress: {error}");
        }
    }
}

async fn lines(telemetry: Arc<Telemetry>, mut stopped: watch::Receiver<bool>) {
    let mut tick = interval(LINE_EVERY);
    let mut marks_shown = 0;
    loop {
        let last = tokio::select! {
            _ = tick.tick() => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        let (_, marks) = telemetry.history();
        for mark in marks.iter().skip(marks_shown) {
            println!("{}  * {}", clock(mark.at), mark.what);
        }
        marks_shown = marks.len();
        println!("{}", plain(&telemetry.snapshot()));
        if last {
            println!();
            return;
        }
    }
}

/// One line of progress, for logs and pipes.
fn plain(snapshot: &Snapshot) -> String {
    format!(
        "{}  {:<12} green {:>3.0} %  {:>5.1}/s  failing {:>4.1}/s  blue {}  green {}  failed {}",
        clock(snapshot.at),
        snapshot.phase,
        snapshot.green_percent.unwrap_or_default(),
        snapshot.rate,
        snapshot.failure_rate,
        good(snapshot, Color::Blue),
        good(snapshot, Color::Green),
        snapshot.failed,
    )
}

fn good(snapshot: &Snapshot, color: Color) -> u64 {
    snapshot.good.get(&color).copied().unwrap_or_default()
}

fn clock(at: Duration) -> String {
    format!("{:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

async fn panel(telemetry: Arc<Telemetry>, mut stopped: watch::Receiver<bool>) {
    let options = TerminalOptions {
        viewport: Viewport::Inline(PANEL_LINES),
    };
    let Ok(mut terminal) = Terminal::with_options(CrosstermBackend::new(stdout()), options) else {
        return lines(telemetry, stopped).await;
    };
    let mut tick = interval(PAINT_EVERY);
    let mut spark = VecDeque::new();
    let mut marks_shown = 0;
    loop {
        let last = tokio::select! {
            _ = tick.tick() => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        let (seconds, marks) = telemetry.history();
        for mark in marks.iter().skip(marks_shown) {
            let line = Line::from(vec![
                clock(mark.at).dim(),
                "  ".into(),
                mark.what.clone().bold(),
            ]);
            if insert(&mut terminal, line).is_err() {
                return;
            }
        }
        marks_shown = marks.len();
        if last {
            // A terminal that is gone can't be tidied up.
            let _gone = terminal.clear().and_then(|()| terminal.show_cursor());
            println!();
            return;
        }
        spark.clear();
        spark.extend(
            seconds
                .iter()
                .rev()
                .skip(1)
                .take(SPARK_MAX)
                .rev()
                .map(|second| u64::try_from(second.latencies.len()).unwrap_or(u64::MAX)),
        );
        let snapshot = telemetry.snapshot();
        if terminal
            .draw(|frame| draw(frame, &snapshot, spark.make_contiguous()))
            .is_err()
        {
            return;
        }
    }
}

fn insert(
    terminal: &mut Terminal<CrosstermBackend<Stdout>>,
    line: Line<'_>,
) -> std::io::Result<()> {
    terminal.insert_before(1, |buffer| Paragraph::new(line).render(buffer.area, buffer))
}

fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, spark: &[u64]) {
    let [title, gauge, rates, chart] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
    ])
    .areas(frame.area());
    let green = snapshot.green_percent.unwrap_or_default().clamp(0.0, 100.0);
    frame.render_widget(
        Line::from(vec![
            Span::styled("cutover lab ", Style::new().bold()),
            clock(snapshot.at).into(),
            "   switch: ".dim(),
            snapshot.phase.clone().yellow(),
        ]),
        title,
    );
    frame.render_widget(
        Gauge::default()
            .ratio(green / 100.0)
            .label(format!("blue {:.0} %   green {green:.0} %", 100.0 - green))
            .gauge_style(Style::new().fg(Paint::Green).bg(Paint::Blue)),
        gauge,
    );
    let failing = format!("{:.1}/s failing", snapshot.failure_rate);
    frame.render_widget(
        Line::from(vec![
            format!("{:.1}/s answered   ", snapshot.rate).into(),
            if snapshot.failure_rate > 0.0 {
                failing.red()
            } else {
                failing.dim()
            },
            format!("   blue {}", good(snapshot, Color::Blue)).blue(),
            format!("   green {}", good(snapshot, Color::Green)).green(),
            format!("   failed attempts {}", snapshot.failed).into(),
        ]),
        rates,
    );
    let width = usize::from(chart.width);
    let recent = spark
        .get(spark.len().saturating_sub(width)..)
        .unwrap_or(spark);
    frame.render_widget(
        Sparkline::default()
            .data(recent.iter().copied())
            .style(Style::new().dim()),
        chart,
    );
}
