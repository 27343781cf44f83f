//! Replication tasks by DMS; their lag by CloudWatch.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_databasemigration::Client;
use aws_sdk_databasemigration::types::{Filter, ReplicationTask as Task};
use cutover_domain::validation::facts::ReplicationTask;
use cutover_ports::validation::{LookError, ReplicationTasks};

use super::look::{look, missing, odd};

const TASKS: &str = "dms:DescribeReplicationTasks";
const TABLES: &str = "dms:DescribeTableStatistics";
const INSTANCES: &str = "dms:DescribeReplicationInstances";
const METRICS: &str = "cloudwatch:GetMetricStatistics";

/// Pages of tables that are read.
const PAGES_MAX: usize = 50;

/// How far back a lag is looked for: DMS tells it once a minute, and late.
const LAG_AGE_MAX: Duration = Duration::from_mins(10);

/// Seconds of one datapoint.
const PERIOD_SECONDS: i32 = 60;

/// The latencies of a task: of reading the source, and of applying at the target (AWS DMS user guide, "Monitoring").
const LATENCIES: [&str; 2] = ["CDCLatencySource", "CDCLatencyTarget"];

/// The tasks of the account and region.
#[derive(Debug, Clone)]
pub struct DmsTasks {
    client: Client,
    metrics: aws_sdk_cloudwatch::Client,
}

impl DmsTasks {
    /// A look on new clients.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
            metrics: aws_sdk_cloudwatch::Client::new(sdk),
        }
    }

    async fn describe(&self, arn: &str) -> Result<Task, LookError> {
        let filter = Filter::builder()
            .name("replication-task-arn")
            .values(arn)
            .build()
            .map_err(|error| odd(TASKS, error.to_string()))?;
        let answer = self
            .client
            .describe_replication_tasks()
            .filters(filter)
            .without_settings(true)
            .send()
            .await
            .map_err(look(TASKS))?;
        let tasks = answer.replication_tasks.unwrap_or_default();
        tasks
            .into_iter()
            .find(|task| task.replication_task_arn() == Some(arn))
            .ok_or_else(|| missing(TASKS))
    }

    /// How many tables there are, and those in error with their state.
    async fn tables(&self, arn: &str) -> Result<(usize, Vec<String>), LookError> {
        let (mut count, mut bad) = (0, Vec::new());
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .describe_table_statistics()
                .replication_task_arn(arn)
                .set_marker(marker)
                .send()
                .await
                .map_err(look(TABLES))?;
            for table in page.table_statistics() {
                count += 1;
                let state = table.table_state().unwrap_or("in no state");
                if is_error(state) {
                    let name = table.table_name().unwrap_or("without a name");
                    bad.push(format!("{name} ({state})"));
                }
            }
            marker = page.marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok((count, bad));
            }
        }
        Err(odd(
            TABLES,
            format!("more than {PAGES_MAX} pages of tables"),
        ))
    }

    async fn instance(&self, arn: &str) -> Result<String, LookError> {
        let filter = Filter::builder()
            .name("replication-instance-arn")
            .values(arn)
            .build()
            .map_err(|error| odd(INSTANCES, error.to_string()))?;
        let answer = self
            .client
            .describe_replication_instances()
            .filters(filter)
            .send()
            .await
            .map_err(look(INSTANCES))?;
        let mut instances = answer.replication_instances.unwrap_or_default().into_iter();
        instances
            .find_map(|instance| instance.replication_instance_identifier)
            .ok_or_else(|| missing(INSTANCES))
    }

    /// The newest of a latency, in seconds; none if there is no datapoint.
    async fn latency(
        &self,
        name: &str,
        instance: &str,
        task: &str,
    ) -> Result<Option<f64>, LookError> {
        let dimension =
            |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let now = SystemTime::now();
        let answer = self
            .metrics
            .get_metric_statistics()
            .namespace("AWS/DMS")
            .metric_name(name)
            .dimensions(dimension("ReplicationInstanceIdentifier", instance))
            .dimensions(dimension("ReplicationTaskIdentifier", task))
            .start_time((now - LAG_AGE_MAX).into())
            .end_time(now.into())
            .period(PERIOD_SECONDS)
            .statistics(Statistic::Maximum)
            .send()
            .await
            .map_err(look(METRICS))?;
        let mut points = answer.datapoints.unwrap_or_default();
        points.sort_by_key(|point| point.timestamp().map(aws_smithy_types::DateTime::secs));
        Ok(points.last().and_then(|point| point.maximum()))
    }

    /// The greater of both latencies; none unless both are told.
    async fn lag(&self, task: &Task) -> Result<Option<f64>, LookError> {
        let (Some(instance), Some(arn)) =
            (task.replication_instance_arn(), task.replication_task_arn())
        else {
            return Ok(None);
        };
        let instance = self.instance(instance).await?;
        // The metrics name a task by the last part of its ARN.
        let id = arn.rsplit(':').next().unwrap_or(arn);
        let mut most = Some(0.0_f64);
        for name in LATENCIES {
            let latency = self.latency(name, &instance, id).await?;
            most = most.zip(latency).map(|(most, latency)| most.max(latency));
        }
        Ok(most)
    }
}

/// Table states of DMS that say that a table is no longer replicated.
fn is_error(state: &str) -> bool {
    let state = state.to_ascii_lowercase();
    [
        "error",
        "cancel",
        "suspend",
        "does not exist",
        "in no state",
    ]
    .iter()
    .any(|bad| state.contains(bad))
}

#[async_trait]
impl ReplicationTasks for DmsTasks {
    async fn task(&self, arn: &str) -> Result<ReplicationTask, LookError> {
        let task = self.describe(arn).await?;
        let (tables, tables_in_error) = self.tables(arn).await?;
        let lag_seconds = self.lag(&task).await?;
        Ok(ReplicationTask {
            arn: arn.to_owned(),
            status: task.status,
            last_failure: task.last_failure_message.filter(|text| !text.is_empty()),
            tables,
            tables_in_error,
            lag_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_tables_are_told_apart() {
        for good in [
            "Table completed",
            "Full load",
            "Before load",
            "Table is being reloaded",
        ] {
            assert!(!is_error(good), "{good}");
        }
        for bad in [
            "Table error",
            "Table cancelled",
            "Table does not exist",
            "in no state",
        ] {
            assert!(is_error(bad), "{bad}");
        }
    }
}
