//! One look per check; what is made of it is decided in the domain.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::payment::Timestamp;
use cutover_domain::validation::facts::{Cluster, FunctionFacts};
use cutover_domain::validation::{Check, Judgement, Properties};
use cutover_domain::validation::{clusters, replication, services, stores};
use cutover_lambda::{Deadline, clock};
use cutover_ports::payment::SecretText;
use cutover_ports::validation::LookError;

use crate::databases;
use crate::estate::Estate;
use crate::evidence;

/// How far back recovery points are looked for: older ones are as good as none.
const RECOVERY_POINTS_SINCE: Duration = Duration::from_hours(7 * 24);

/// How long functions that are on their way to another state are waited for, all together.
const SETTLING_MAX: Duration = Duration::from_mins(1);
/// Wait between two looks at such a function.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a check ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// This is made of it.
    Judged(Judgement),
    /// The time is up: it can go on from here, and this is what it knows so far.
    Unfinished {
        /// Where it stopped, in its own words.
        token: String,
        /// What it makes of it so far: never a pass.
        so_far: Judgement,
    },
}

impl From<Judgement> for Looked {
    fn from(judgement: Judgement) -> Self {
        Self::Judged(judgement)
    }
}

/// Everything that a check needs.
#[derive(Clone)]
pub struct Look {
    /// What is looked at.
    pub estate: Arc<Estate>,
    /// What was asked for.
    pub properties: Arc<Properties>,
    /// When the check must have ended.
    pub until: Deadline,
}

impl Look {
    /// Runs a check; one that stopped before goes on from its token.
    pub async fn run(&self, check: Check, token: Option<String>) -> Looked {
        let p = &self.properties;
        let blue_secret = p.blue_secret.as_deref().unwrap_or_default();
        let green_secret = p.green_secret.as_deref().unwrap_or_default();
        match check {
            Check::BlueCluster => self.cluster(p.blue_cluster.as_deref()).await.into(),
            Check::GreenCluster => self.cluster(p.green_cluster.as_deref()).await.into(),
            Check::ClusterCompatibility => self.compatibility().await.into(),
            Check::SessionTable => self.session_table().await.into(),
            Check::TransactionBucket => self.bucket().await.into(),
            Check::BlueSecret => self.secret(blue_secret).await.into(),
            Check::GreenSecret => self.secret(green_secret).await.into(),
            Check::BlueLogin => databases::login(self, "blue", blue_secret).await.into(),
            Check::GreenLogin => databases::login(self, "green", green_secret).await.into(),
            Check::Replication => self.replication().await.into(),
            Check::SchemaParity => databases::schema_parity(self).await.into(),
            Check::DataParity => databases::data_parity(self, token).await,
            Check::Reconciliation => evidence::reconciliation(self).await.into(),
            Check::TargetHealth => self.targets().await.into(),
            Check::Functions => self.functions().await.into(),
            Check::Alarms => self.alarms().await.into(),
            Check::Backup => self.backup().await.into(),
            Check::Keys => self.keys().await.into(),
        }
    }

    async fn cluster(&self, id: Option<&str>) -> Judgement {
        let cluster = match self.described(id.unwrap_or_default()).await {
            Ok(cluster) => cluster,
            Err(judgement) => return judgement,
        };
        let key = match cluster.key_id.as_deref() {
            None => None,
            Some(id) => {
                let key = self.estate.keys.key(id).await;
                Some(key.map_err(|error| blind(&error, &format!("key {id}"), clusters::EXPECTED)))
            }
        };
        let key = key.as_ref().map(|key| key.as_ref().map_err(Clone::clone));
        clusters::cluster(&cluster, key)
    }

    async fn described(&self, id: &str) -> Result<Cluster, Judgement> {
        let cluster = self.estate.clusters.cluster(id).await;
        cluster.map_err(|error| blind(&error, &format!("cluster {id}"), clusters::EXPECTED))
    }

    async fn compatibility(&self) -> Judgement {
        let (blue, green) = (
            &self.properties.blue_cluster,
            &self.properties.green_cluster,
        );
        let (blue, green) = tokio::join!(
            self.described(blue.as_deref().unwrap_or_default()),
            self.described(green.as_deref().unwrap_or_default())
        );
        match (blue, green) {
            (Ok(blue), Ok(green)) => clusters::compatibility(&blue, &green),
            (blue, green) => {
                let blind: Vec<Judgement> = blue.err().into_iter().chain(green.err()).collect();
                Judgement::all(&blind)
            }
        }
    }

    async fn session_table(&self) -> Judgement {
        let name = self.properties.session_table.as_deref().unwrap_or_default();
        match self.estate.tables.table(name).await {
            Ok(table) => stores::table(&table),
            Err(error) => blind(&error, &format!("table {name}"), stores::TABLE_EXPECTED),
        }
    }

    async fn bucket(&self) -> Judgement {
        let name = self.properties.transaction_bucket.as_deref();
        let name = name.unwrap_or_default();
        match self.estate.buckets.bucket(name).await {
            Ok(bucket) => stores::bucket(&bucket),
            Err(error) => blind(&error, &format!("bucket {name}"), stores::BUCKET_EXPECTED),
        }
    }

    async fn secret(&self, id: &str) -> Judgement {
        let described = self.estate.secrets.describe(id).await;
        let mut facts = match described {
            Ok(facts) => facts,
            Err(error) => return blind(&error, &format!("secret {id}"), stores::SECRET_EXPECTED),
        };
        match self.secret_text(id).await {
            Ok(text) => {
                facts.is_object =
                    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(
                        text.expose(),
                    )
                    .is_ok();
                stores::secret(&facts)
            }
            // Both are told: what keeps from reading it, and what can be said without.
            Err(judgement) => judgement,
        }
    }

    /// A secret's value.
    ///
    /// # Errors
    /// What a check makes of it that it can't be read.
    pub async fn secret_text(&self, id: &str) -> Result<SecretText, Judgement> {
        let read = self.estate.secrets.read(id).await;
        read.map_err(|error| blind(&error, &format!("secret {id}"), stores::SECRET_EXPECTED))
    }

    async fn replication(&self) -> Judgement {
        let lag_max = self.properties.lag_seconds_max;
        match self.properties.replication_task.as_deref() {
            None => databases::replica_status(self).await,
            Some(arn) => match self.estate.replication.task(arn).await {
                Ok(task) => replication::task(&task, lag_max),
                Err(error) => {
                    let thing = format!("replication task {arn}");
                    blind(&error, &thing, &replication::expected(lag_max))
                }
            },
        }
    }

    async fn targets(&self) -> Judgement {
        let mut parts = Vec::new();
        for arn in &self.properties.target_groups {
            parts.push(match self.estate.targets.targets(arn).await {
                Ok(targets) => services::targets(&targets),
                Err(error) => blind(
                    &error,
                    &format!("target group {arn}"),
                    services::TARGETS_EXPECTED,
                ),
            });
        }
        Judgement::all(&parts)
    }

    async fn functions(&self) -> Judgement {
        let mut parts = Vec::new();
        let patience = Deadline::until(SETTLING_MAX.min(self.until.remaining() / 2));
        for name in &self.properties.functions {
            parts.push(match self.settled(name, patience).await {
                Ok(function) => services::function(&function),
                Err(error) => blind(
                    &error,
                    &format!("function {name}"),
                    services::FUNCTION_EXPECTED,
                ),
            });
        }
        Judgement::all(&parts)
    }

    /// A function, once it is no longer on its way to another state, or as it is when the patience ends.
    async fn settled(&self, name: &str, patience: Deadline) -> Result<FunctionFacts, LookError> {
        loop {
            let function = self.estate.functions.function(name).await?;
            if !services::is_settling(&function) || patience.remaining().is_zero() {
                return Ok(function);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn alarms(&self) -> Judgement {
        services::alarms(&self.estate.alarms.read(&self.properties.alarms).await)
    }

    async fn backup(&self) -> Judgement {
        let vault = self.properties.backup_vault.as_deref().unwrap_or_default();
        let now = Timestamp::from_ms(clock::now_ms());
        let since_ms = u64::try_from(RECOVERY_POINTS_SINCE.as_millis()).unwrap_or(u64::MAX);
        let since = Timestamp::from_ms(now.ms().saturating_sub(since_ms));
        match self.estate.backups.recovery_points(vault, since).await {
            Ok(points) => stores::backup(vault, &points, now),
            Err(error) => blind(
                &error,
                &format!("backup vault {vault}"),
                stores::BACKUP_EXPECTED,
            ),
        }
    }

    async fn keys(&self) -> Judgement {
        let mut parts = Vec::new();
        for id in &self.properties.keys {
            parts.push(match self.estate.keys.key(id).await {
                Ok(key) => stores::key(&key),
                Err(error) => blind(&error, &format!("key {id}"), stores::KEY_EXPECTED),
            });
        }
        Judgement::all(&parts)
    }
}

/// What a check makes of an obstacle.
#[must_use]
pub fn blind(error: &LookError, thing: &str, expected: &str) -> Judgement {
    let said = error.source.to_string();
    error
        .obstacle
        .judged(error.operation, thing, &said, expected)
}

/// An error and all its sources, in one line.
#[must_use]
pub fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words.push_str(": ");
        words.push_str(&error.to_string());
        source = error.source();
    }
    words
}
