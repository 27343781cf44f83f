//! Replication by a DMS task, or by the databases themselves.

use super::check::Judgement;
use super::facts::ReplicationTask;
use super::text::listed;

/// Tables in error that are shown.
const SHOWN_MAX: usize = 5;

/// What a replication must be, with the limit of its lag in seconds.
#[must_use]
pub fn expected(lag_seconds_max: u32) -> String {
    format!("running, no table in error, lag at most {lag_seconds_max} s")
}

/// A replication task.
#[must_use]
pub fn task(task: &ReplicationTask, lag_seconds_max: u32) -> Judgement {
    let expected = expected(lag_seconds_max);
    let status = task.status.as_deref().unwrap_or("in no state");
    let mut observed = format!("the task is {status}");
    if let Some(failure) = &task.last_failure
        && status != "running"
    {
        observed = format!("{observed} ({failure})");
    }
    let running = if status == "running" {
        Judgement::pass(observed, expected.clone())
    } else {
        Judgement::fail(
            observed,
            expected.clone(),
            "start or resume the replication task",
        )
    };
    let tables = if !task.tables_in_error.is_empty() {
        Judgement::fail(
            format!(
                "{} of {} tables in error: {}",
                task.tables_in_error.len(),
                task.tables,
                listed(&task.tables_in_error, SHOWN_MAX)
            ),
            expected.clone(),
            "look at the task's log, then reload these tables",
        )
    } else if task.tables == 0 {
        Judgement::unknown(
            "the task tells of no table",
            expected.clone(),
            "look at the task's table mappings, and wait until it has begun",
        )
    } else {
        Judgement::pass(
            format!("{} tables, none in error", task.tables),
            expected.clone(),
        )
    };
    Judgement::all(&[
        running,
        tables,
        lag(task.lag_seconds, "the task's metrics", lag_seconds_max),
    ])
}

/// A lag in seconds, as `source` tells it; `None` if it does not.
#[must_use]
pub fn lag(seconds: Option<f64>, source: &str, lag_seconds_max: u32) -> Judgement {
    let expected = format!("lag at most {lag_seconds_max} s");
    match seconds {
        Some(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            let observed = format!("lag {seconds:.1} s by {source}");
            if seconds <= f64::from(lag_seconds_max) {
                Judgement::pass(observed, expected)
            } else {
                Judgement::fail(
                    observed,
                    expected,
                    "wait until replication has caught up, or find what slows it down",
                )
            }
        }
        _ => Judgement::unknown(
            format!("the lag is not told by {source}"),
            expected,
            "look whether replication runs: nothing can be said without its lag",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;

    fn good() -> ReplicationTask {
        ReplicationTask {
            arn: "arn:task".to_owned(),
            status: Some("running".to_owned()),
            last_failure: None,
            tables: 2,
            tables_in_error: Vec::new(),
            lag_seconds: Some(3.0),
        }
    }

    /// What makes good evidence worse.
    type Change = fn(&mut ReplicationTask);

    #[test]
    fn a_task_must_run_without_errors_and_lag() {
        let changes: [(Change, Status); 9] = [
            (|_| (), Status::Pass),
            (|t| t.lag_seconds = Some(30.0), Status::Pass),
            (|t| t.lag_seconds = Some(30.1), Status::Fail),
            (|t| t.lag_seconds = None, Status::Unknown),
            (|t| t.lag_seconds = Some(f64::NAN), Status::Unknown),
            (|t| t.status = Some("stopped".to_owned()), Status::Fail),
            (|t| t.status = None, Status::Fail),
            (|t| t.tables = 0, Status::Unknown),
            (
                |t| t.tables_in_error = vec!["payments: Table error".to_owned()],
                Status::Fail,
            ),
        ];
        for (change, status) in changes {
            let mut task_seen = good();
            change(&mut task_seen);
            assert_eq!(task(&task_seen, 30).status, status, "{task_seen:?}");
        }
    }

    #[test]
    fn why_a_task_stopped_is_told() {
        let mut stopped = good();
        stopped.status = Some("failed".to_owned());
        stopped.last_failure = Some("no space left".to_owned());
        assert!(task(&stopped, 30).observed.contains("no space left"));
    }
}
