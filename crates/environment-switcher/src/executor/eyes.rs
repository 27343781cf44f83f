//! What is read, side by side where one reading does not need another.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use cutover_domain::switch::{
    self, Capacity, CapacityReading, CountsReading, Environment, GuardReading, LagReading, Needs,
    RouterReading, State, Trigger, Versions,
};

use super::Executor;

/// The state and what was read in its light.
pub(super) struct Sight {
    pub(super) state: State,
    pub(super) routers: Vec<RouterReading>,
    pub(super) replication: Option<Vec<LagReading>>,
    pub(super) counts: Option<CountsReading>,
}

/// What an invocation has read already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) replication: bool,
    pub(super) counts: bool,
}

impl Executor {
    pub(super) async fn read_guards(&self) -> BTreeMap<Environment, Vec<GuardReading>> {
        let mut names: Vec<String> = self.guards.values().flatten().cloned().collect();
        names.sort();
        names.dedup();
        let readings: BTreeMap<String, GuardReading> = if names.is_empty() {
            BTreeMap::new()
        } else {
            let readings = self.alarms.read(&names).await;
            readings.into_iter().map(|r| (r.name.clone(), r)).collect()
        };
        self.guards
            .iter()
            .map(|(environment, names)| {
                let of = names.iter().filter_map(|name| readings.get(name).cloned());
                (*environment, of.collect())
            })
            .collect()
    }

    /// The state, the routers in its light, and what the decision will need of replication and counts. Where nothing was
    /// ever stored, the routers say which environment is active.
    ///
    /// `changes` are change ids that are newer than the stored ones; what is `known` is not read again.
    pub(super) async fn see(
        &self,
        stored: Option<State>,
        trigger: &Trigger,
        changes: &BTreeMap<String, String>,
        known: Known,
    ) -> Sight {
        let now_ms = (self.clock)();
        let stored_versions = stored.as_ref().map(|state| state.versions.clone());
        let own = stored_versions.unwrap_or_default().or(&self.versions);
        let versions = given(trigger).map_or_else(|| own.clone(), |given| own.or(given));
        let intent = stored.as_ref().and_then(|state| state.intent.as_ref());
        let change_of = |router: &str| {
            let stored = || intent.and_then(|intent| intent.changes.get(router));
            changes.get(router).or_else(stored).map(String::as_str)
        };
        let needs = stored
            .as_ref()
            .map_or_else(Needs::default, |state| state.needs(trigger, now_ms));
        let needs = Needs {
            replication: needs.replication && !known.replication,
            counts_since_ms: needs.counts_since_ms.filter(|_| !known.counts),
        };
        let readings = self
            .routers
            .iter()
            .map(|router| router.read(&versions, change_of(router.name())));
        let (routers, replication, counts) = tokio::join!(
            join_all(readings.collect()),
            self.read_replication(needs),
            self.read_counts(stored.as_ref(), needs, now_ms),
        );
        let state = stored.unwrap_or_else(|| {
            let active = routers.iter().find_map(|router| router.base);
            State::new(active.unwrap_or(Environment::Blue), own)
        });
        Sight {
            state,
            routers,
            replication,
            counts,
        }
    }

    async fn read_replication(&self, needs: Needs) -> Option<Vec<LagReading>> {
        let reader = self.replication.as_ref().filter(|_| needs.replication)?;
        Some(reader.read().await)
    }

    async fn read_counts(
        &self,
        state: Option<&State>,
        needs: Needs,
        now_ms: u64,
    ) -> Option<CountsReading> {
        let (reader, since_ms) = (self.counts.as_ref()?, needs.counts_since_ms?);
        let migration = state?.migration.as_ref()?;
        let counts = reader.read(migration.from, migration.to, since_ms, now_ms);
        Some(counts.await)
    }

    /// Reads whether an environment could take everything, behind every router; wakes what is idle and reads that again.
    pub(super) async fn warm(
        &self,
        environment: Environment,
        versions: &Versions,
        readings: &mut Vec<CapacityReading>,
    ) {
        let all = self.routers.iter();
        *readings = join_all(all.map(|r| r.capacity(environment, versions)).collect()).await;
        let idle: Vec<_> = self
            .routers
            .iter()
            .zip(readings.iter_mut())
            .filter(|(_, reading)| reading.state == Capacity::Idle)
            .collect();
        let woken = idle.into_iter().map(|(router, reading)| {
            let wake = async move {
                let woken = router.warm(environment, versions).await;
                *reading = router.capacity(environment, versions).await;
                if let Err(error) = woken {
                    reading.detail = format!("{}; {}", reading.detail, super::in_words(&error));
                }
            };
            boxed(wake)
        });
        join_all(woken.collect()).await;
    }
}

/// Versions that come with the trigger itself.
fn given(trigger: &Trigger) -> Option<&Versions> {
    use switch::{Command, ResourceChange};
    match trigger {
        Trigger::Command(Command::Start(start), _) => Some(&start.versions),
        Trigger::Resource(
            ResourceChange::Create { versions, .. } | ResourceChange::Update { versions, .. },
        ) => Some(versions),
        _ => None,
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Boxed<'a, T> {
    Box::pin(future)
}

/// All of them at once; their results in their order. (There are a handful, so each is polled whenever one wakes.)
async fn join_all<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut slots: Vec<_> = futures.into_iter().map(|f| (Some(f), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (future, result) in &mut slots {
            let Some(pending) = future else { continue };
            match pending.as_mut().poll(context) {
                Poll::Ready(value) => (*future, *result) = (None, Some(value)),
                Poll::Pending => is_done = false,
            }
        }
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    slots.into_iter().filter_map(|(_, result)| result).collect()
}
