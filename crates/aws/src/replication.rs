//! Replication between the ledgers, as AWS DMS copies it: whether each task runs, and how far it is behind.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_databasemigration::types::{Filter, ReplicationTask, ReplicationTaskStats};
use cutover_domain::switch::{Direction, Lag, LagReading};
use cutover_ports::switch::ReplicationReader;

use crate::failure::failure;
use crate::metric_data::{MetricSource, Series, Span, series, whole};

/// Pages of one answer.
const PAGES_MAX: usize = 10;

/// Seconds over which a task's newest word on its lag counts. DMS says it once a minute, and CloudWatch has it a minute or
/// two later: what is older says nothing about now.
const WINDOW_SECONDS: i64 = 300;

/// A task to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationSource {
    /// The task's ARN.
    pub arn: String,
    /// What it copies.
    pub direction: Direction,
}

/// Tasks of AWS DMS.
#[derive(Debug, Clone)]
pub struct DmsReplication {
    tasks: aws_sdk_databasemigration::Client,
    metrics: aws_sdk_cloudwatch::Client,
    sources: Vec<ReplicationSource>,
}

/// One task's state: the dimensions of its metrics if it runs.
type State = Result<BTreeMap<String, String>, Lag>;

impl DmsReplication {
    /// A reader of `sources`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, sources: Vec<ReplicationSource>) -> Self {
        Self {
            tasks: aws_sdk_databasemigration::Client::new(sdk),
            metrics: aws_sdk_cloudwatch::Client::new(sdk),
            sources,
        }
    }

    /// Every task that is there, by ARN.
    async fn describe(&self) -> Result<BTreeMap<String, ReplicationTask>, String> {
        let arns = self.sources.iter().map(|source| source.arn.clone());
        let filter = Filter::builder()
            .name("replication-task-arn")
            .set_values(Some(arns.collect()))
            .build()
            .map_err(|e| e.to_string())?;
        let mut tasks = BTreeMap::new();
        let mut marker = None;
        for _page in 0..PAGES_MAX {
            let page = self
                .tasks
                .describe_replication_tasks()
                .filters(filter.clone())
                // The settings are large, and not asked about.
                .without_settings(true)
                .set_marker(marker)
                .send()
                .await
                .map_err(|error| format!("DescribeReplicationTasks: {}", failure(error)))?;
            for task in page.replication_tasks.unwrap_or_default() {
                if let Some(arn) = task.replication_task_arn() {
                    tasks.insert(arn.to_owned(), task);
                }
            }
            marker = page.marker;
            if marker.is_none() {
                return Ok(tasks);
            }
        }
        Err(format!("more than {PAGES_MAX} pages of tasks"))
    }

    /// The names of the instances by ARN: the metrics bear the one, the tasks the other.
    async fn instances(&self, arns: Vec<String>) -> Result<BTreeMap<String, String>, String> {
        let filter = Filter::builder()
            .name("replication-instance-arn")
            .set_values(Some(arns))
            .build()
            .map_err(|e| e.to_string())?;
        let answer = self
            .tasks
            .describe_replication_instances()
            .filters(filter)
            .send()
            .await
            .map_err(|error| format!("DescribeReplicationInstances: {}", failure(error)))?;
        let instances = answer.replication_instances.unwrap_or_default();
        Ok(instances
            .into_iter()
            .filter_map(|i| {
                Some((
                    i.replication_instance_arn?,
                    i.replication_instance_identifier?,
                ))
            })
            .collect())
    }

    /// What can be said of each source without its metrics.
    async fn states(&self) -> Result<Vec<State>, String> {
        let tasks = self.describe().await?;
        let mut arns: Vec<String> = tasks
            .values()
            .filter_map(|task| task.replication_instance_arn().map(ToOwned::to_owned))
            .collect();
        arns.sort();
        arns.dedup();
        let instances = if arns.is_empty() {
            BTreeMap::new()
        } else {
            self.instances(arns).await?
        };
        let state = |source: &ReplicationSource| match tasks.get(&source.arn) {
            Some(task) => state(task, &instances),
            None => Err(Lag::Stopped("there is no such task".to_owned())),
        };
        Ok(self.sources.iter().map(state).collect())
    }

    async fn lags(&self) -> Result<Vec<Lag>, String> {
        let states = self.states().await?;
        let running: Vec<MetricSource> = states
            .iter()
            .flatten()
            .flat_map(|dimensions| {
                // Source: until DMS has read a change; target: until it is written, too.
                ["CDCLatencySource", "CDCLatencyTarget"].map(|name| MetricSource {
                    namespace: "AWS/DMS".to_owned(),
                    name: name.to_owned(),
                    dimensions: dimensions.clone(),
                    stat: "Maximum".to_owned(),
                })
            })
            .collect();
        let read = if running.is_empty() {
            Ok(Vec::new())
        } else {
            let sources: Vec<&MetricSource> = running.iter().collect();
            series(&self.metrics, &sources, window()).await
        };
        let (series, unread) = match read {
            Ok(series) => (series, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let mut series = series.chunks(2);
        let mut lag = |state: State| match (state, &unread) {
            (Err(stopped), _) => stopped,
            (Ok(_), Some(why)) => Lag::Unknown(why.clone()),
            (Ok(_), None) => lag(series.next().unwrap_or_default()),
        };
        Ok(states.into_iter().map(&mut lag).collect())
    }
}

#[async_trait]
impl ReplicationReader for DmsReplication {
    async fn read(&self) -> Vec<LagReading> {
        let lags = self.lags().await;
        let mut lags = match lags {
            Ok(lags) => lags,
            Err(why) => vec![Lag::Unknown(why); self.sources.len()],
        }
        .into_iter();
        self.sources
            .iter()
            .map(|source| LagReading {
                task: resource(&source.arn).to_owned(),
                direction: source.direction,
                lag: lags
                    .next()
                    .unwrap_or_else(|| Lag::Unknown("it was not read".to_owned())),
            })
            .collect()
    }
}

/// The last part of an ARN: what the metrics know a task by.
fn resource(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

fn state(task: &ReplicationTask, instances: &BTreeMap<String, String>) -> State {
    let status = task.status().unwrap_or("unknown");
    if status != "running" {
        let why = task.stop_reason().or(task.last_failure_message());
        return Err(Lag::Stopped(match why {
            Some(why) => format!("the task is {status}: {why:.200}"),
            None => format!("the task is {status}"),
        }));
    }
    let errored = task
        .replication_task_stats()
        .map_or(0, ReplicationTaskStats::tables_errored);
    if errored > 0 {
        return Err(Lag::Stopped(format!("tables in error: {errored}")));
    }
    let arn = task.replication_instance_arn().unwrap_or_default();
    let Some(instance) = instances.get(arn) else {
        let why = "the task's replication instance is not known";
        return Err(Lag::Unknown(why.to_owned()));
    };
    let task = resource(task.replication_task_arn().unwrap_or_default());
    Ok(BTreeMap::from([
        ("ReplicationInstanceIdentifier".to_owned(), instance.clone()),
        ("ReplicationTaskIdentifier".to_owned(), task.to_owned()),
    ]))
}

/// The newest word of each of both metrics, the worse of them. Both must be there: either alone may be the smaller one.
fn lag(series: &[Series]) -> Lag {
    let newest: Vec<f64> = series
        .iter()
        .filter_map(|series| series.values().next_back().copied())
        .collect();
    let worst = newest.iter().copied().fold(0.0, f64::max);
    match (newest.len(), whole(worst.ceil())) {
        (2, Some(seconds)) => Lag::Seconds(seconds),
        _ => Lag::Unknown(format!(
            "no CDCLatencySource and CDCLatencyTarget in the last {WINDOW_SECONDS} seconds"
        )),
    }
}

/// The last complete minutes.
fn window() -> Span {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    let until = now / 60 * 60;
    Span {
        from: until - WINDOW_SECONDS,
        until,
        period: 60,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::replay::{Answer, Replay};

    const INSTANCE: &str = "arn:aws:dms:eu-central-1:123456789012:rep:INSTANCE1";

    fn arn(name: &str) -> String {
        format!("arn:aws:dms:eu-central-1:123456789012:task:{name}")
    }

    fn task(name: &str, status: &str) -> Value {
        json!({
            "ReplicationTaskArn": arn(name), "Status": status, "ReplicationInstanceArn": INSTANCE,
            "ReplicationTaskStats": {"TablesErrored": 0},
        })
    }

    fn tasks(tasks: &[Value], marker: Option<&str>) -> Answer {
        let mut answer = json!({"ReplicationTasks": tasks});
        if let Some(marker) = marker {
            answer["Marker"] = json!(marker);
        }
        Answer::json(200, &answer)
    }

    fn instances() -> Answer {
        let instance =
            json!({"ReplicationInstanceArn": INSTANCE, "ReplicationInstanceIdentifier": "copier"});
        Answer::json(200, &json!({"ReplicationInstances": [instance]}))
    }

    /// Each metric's values, the newest first, as CloudWatch has them.
    fn metrics(values: &[&[f64]]) -> Answer {
        let result = |(index, values): (usize, &&[f64])| {
            let times = (0..values.len()).map(|age| json!({"$time": 6000 - 60 * age}));
            let times: Vec<Value> = times.collect();
            json!({"Id": format!("m{index}"), "StatusCode": "Complete", "Timestamps": times, "Values": values})
        };
        let results: Vec<Value> = values.iter().enumerate().map(result).collect();
        Answer::cbor(200, &json!({"MetricDataResults": results}))
    }

    async fn read(answers: Vec<Answer>) -> (Vec<LagReading>, Replay) {
        let replay = Replay::new(answers);
        let source = |name, direction| ReplicationSource {
            arn: arn(name),
            direction,
        };
        let sources = vec![
            source("THERE", Direction::BlueToGreen),
            source("BACK", Direction::GreenToBlue),
        ];
        let reader = DmsReplication::new(&replay.config().await, sources);
        (reader.read().await, replay)
    }

    #[tokio::test]
    async fn the_lag_is_the_worse_of_the_newest_words() {
        let answers = vec![
            tasks(&[task("BACK", "running")], Some("more")),
            tasks(&[task("THERE", "running")], None),
            instances(),
            metrics(&[&[1.0, 900.0], &[2.4, 0.0], &[7.0], &[3.0]]),
        ];
        let (readings, replay) = read(answers).await;
        let expected = |task: &str, direction, seconds| LagReading {
            task: task.to_owned(),
            direction,
            lag: Lag::Seconds(seconds),
        };
        assert_eq!(
            readings,
            [
                expected("THERE", Direction::BlueToGreen, 3),
                expected("BACK", Direction::GreenToBlue, 7),
            ]
        );
        let sent = replay.sent();
        let filter =
            json!([{"Name": "replication-task-arn", "Values": [arn("THERE"), arn("BACK")]}]);
        assert_eq!(sent[0].json()["Filters"], filter);
        let asked = sent[3].text();
        for part in [
            "CDCLatencySource",
            "CDCLatencyTarget",
            "copier",
            "THERE",
            "BACK",
        ] {
            assert!(asked.contains(part), "{part}");
        }
    }

    #[tokio::test]
    async fn a_task_that_does_not_run_copies_nothing() {
        let mut failed = task("THERE", "failed");
        failed["LastFailureMessage"] = json!("Last Error: no binlog");
        let mut errored = task("BACK", "running");
        errored["ReplicationTaskStats"] = json!({"TablesErrored": 2});
        let (readings, _) = read(vec![tasks(&[failed, errored], None), instances()]).await;
        let stopped = |why: &str| Lag::Stopped(why.to_owned());
        assert_eq!(
            readings[0].lag,
            stopped("the task is failed: Last Error: no binlog")
        );
        assert_eq!(readings[1].lag, stopped("tables in error: 2"));
        let (readings, _) = read(vec![tasks(&[], None)]).await;
        assert_eq!(readings[0].lag, stopped("there is no such task"));
        let gone = json!({"__type": "ResourceNotFoundFault", "message": "none"});
        let (readings, _) = read(vec![Answer::json(400, &gone)]).await;
        assert!(matches!(&readings[0].lag, Lag::Unknown(why) if why.contains("does not exist")));
    }

    #[tokio::test]
    async fn a_lag_that_is_not_said_is_unknown_and_not_zero() {
        let running = || tasks(&[task("THERE", "running"), task("BACK", "running")], None);
        let none: &[f64] = &[];
        let silent = vec![
            running(),
            instances(),
            metrics(&[none, &[1.0], &[0.0], &[0.0]]),
        ];
        let (readings, _) = read(silent).await;
        assert!(matches!(readings[0].lag, Lag::Unknown(_)), "{readings:?}");
        assert_eq!(readings[1].lag, Lag::Seconds(0));
        let forbidden =
            json!({"Id": "m0", "StatusCode": "Forbidden", "Timestamps": [], "Values": []});
        let forbidden = Answer::cbor(200, &json!({"MetricDataResults": [forbidden]}));
        let no_instance = Answer::json(200, &json!({"ReplicationInstances": []}));
        let denied = || json!({"__type": "AccessDeniedFault", "message": "no"});
        for answers in [
            vec![running(), instances(), forbidden],
            vec![
                running(),
                instances(),
                Answer::Lost,
                Answer::Lost,
                Answer::Lost,
            ],
            vec![running(), no_instance],
            vec![running(), Answer::json(400, &denied())],
            vec![Answer::json(400, &denied())],
            vec![Answer::Lost, Answer::Lost, Answer::Lost],
        ] {
            let (readings, _) = read(answers).await;
            assert_eq!(readings.len(), 2);
            for reading in readings {
                assert!(matches!(reading.lag, Lag::Unknown(_)), "{reading:?}");
            }
        }
    }
}
