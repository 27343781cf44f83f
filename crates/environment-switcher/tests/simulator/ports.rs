//! The ports, on the cloud in memory. Whatever an invocation is told is noted, for the rules.

use async_trait::async_trait;
use cutover_domain::switch::{
    AlarmState, Capacity, CapacityReading, CountsReading, Direction, Entry, Environment, FenceSeen,
    GuardReading, Lag, LagReading, MayWrite, Order, RouterReading, Seen, State, Tally, Validation,
    Versions,
};
use cutover_ports::switch::{
    AlarmReader, AlarmTestError, AlarmTester, CommitError, CountReader, Fence, Notifier,
    NotifyError, ReplicationReader, Router, RouterError, StoreError, SwitchStateStore, Validator,
};

use crate::cloud::{Cloud, Fate, Inner, Kind, Late};

/// One router of the cloud.
#[derive(Debug, Clone)]
pub struct SimRouter {
    pub cloud: Cloud,
    pub index: usize,
    pub name: String,
    pub kind: Kind,
}

impl SimRouter {
    fn failed(&self, operation: &'static str) -> RouterError {
        RouterError::Failed {
            router: self.name.clone(),
            operation,
            source: "no answer".into(),
        }
    }

    fn look(&self, inner: &Inner, change: Option<&str>) -> RouterReading {
        let route = &inner.routes[self.index];
        let is_down = inner.now_ms < route.down_until_ms;
        let is_pending = change
            .and_then(|change| change.parse::<usize>().ok())
            .and_then(|change| route.changes.get(change))
            .is_some_and(|in_effect_ms| inner.now_ms < *in_effect_ms);
        let has_revision = self.kind == Kind::Revision;
        RouterReading {
            router: self.name.clone(),
            seen: if is_down {
                Seen::Unreadable("no answer".to_owned())
            } else {
                Seen::Split(route.weights)
            },
            revision: has_revision.then(|| route.revision.to_string()),
            marker: route.marker.filter(|_| has_revision),
            base: has_revision.then_some(route.base),
            takes_versions: has_revision,
            pending: is_pending.then(|| "the change is PENDING".to_owned()),
            needs_change: self.kind == Kind::Delayed,
        }
    }
}

#[async_trait]
impl Router for SimRouter {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_versions(&self) -> bool {
        self.kind == Kind::Revision
    }

    fn effect_seconds(&self) -> u64 {
        match self.kind {
            Kind::Revision => 1,
            Kind::Unconditional => 5,
            Kind::Delayed => 60,
        }
    }

    async fn read(&self, _versions: &Versions, change: Option<&str>) -> RouterReading {
        let name = format!("{}.read", self.name);
        let look = |inner: &mut Inner, _| self.look(inner, change);
        let reading = match self.cloud.call(&name, look).await {
            Fate::Answered(reading) => reading,
            Fate::Lost | Fate::Failed => RouterReading {
                seen: Seen::Unreadable("no answer".to_owned()),
                pending: None,
                revision: None,
                marker: None,
                base: None,
                ..self.look(&self.cloud.inner(), None)
            },
        };
        let mut inner = self.cloud.inner();
        inner
            .sight()
            .routers
            .insert(self.name.clone(), reading.clone());
        reading
    }

    async fn write(
        &self,
        order: &Order,
        seen: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        let changed = || RouterError::Changed {
            router: self.name.clone(),
        };
        let Seen::Split(weights) = seen.seen else {
            return Err(self.failed("write of what was not read"));
        };
        let write = Late {
            router: self.index,
            order: order.clone(),
            revision: seen.revision.clone(),
            seen: weights,
        };
        if self.kind == Kind::Unconditional {
            let name = format!("{}.compare", self.name);
            match self
                .cloud
                .call(&name, |inner, _| self.look(inner, None))
                .await
            {
                Fate::Answered(now) if now.seen == seen.seen => {}
                Fate::Answered(_) => return Err(changed()),
                Fate::Lost | Fate::Failed => return Err(self.failed("read before the write")),
            }
        }
        let me = crate::cloud::RUNNING.get();
        self.cloud.inner().sending.insert(me, write.clone());
        let name = format!(
            "{}.write {} of {}",
            self.name, order.weights, order.generation
        );
        let sent = self.cloud.call(&name, |inner, me| {
            let route = &inner.routes[self.index];
            let is_accepted = inner.now_ms >= route.down_until_ms
                && match self.kind {
                    Kind::Revision => write.revision == Some(route.revision.to_string()),
                    Kind::Unconditional => true,
                    Kind::Delayed => write.seen == route.weights,
                };
            if !is_accepted {
                return Err(());
            }
            let before = route.weights;
            let after = write.order.weights;
            let inner_state = inner.state.clone();
            inner.rules.on_write(
                me,
                &self.name,
                before,
                after,
                order,
                inner_state.as_ref(),
                inner.fence,
            );
            Ok(inner.apply(&write))
        });
        match sent.await {
            Fate::Answered(Ok(change)) => Ok(change),
            Fate::Answered(Err(())) => Err(changed()),
            Fate::Lost | Fate::Failed => Err(self.failed("write")),
        }
    }

    async fn remove(&self) -> Result<(), RouterError> {
        Err(self.failed("remove"))
    }

    async fn capacity(&self, environment: Environment, _versions: &Versions) -> CapacityReading {
        let read = self.cloud.call("capacity", |inner, _| inner.capacity);
        let state = match read.await {
            Fate::Answered(capacity) => capacity,
            Fate::Lost | Fate::Failed => Capacity::Unknown,
        };
        self.cloud
            .inner()
            .sight()
            .capacity
            .push((environment, state));
        CapacityReading {
            router: self.name.clone(),
            environment,
            state,
            detail: format!("{state:?}"),
        }
    }

    async fn warm(
        &self,
        _environment: Environment,
        _versions: &Versions,
    ) -> Result<(), RouterError> {
        let wake = |inner: &mut Inner, _| {
            if inner.capacity == Capacity::Idle {
                inner.capacity = Capacity::Ready;
            }
        };
        match self.cloud.call("warm", wake).await {
            Fate::Answered(()) => Ok(()),
            Fate::Lost | Fate::Failed => Err(self.failed("warm")),
        }
    }
}

#[async_trait]
impl AlarmReader for Cloud {
    async fn read(&self, names: &[String]) -> Vec<GuardReading> {
        let poll = |inner: &mut Inner, _| inner.alarms.clone();
        let alarms = match self.call("alarms.read", poll).await {
            Fate::Answered(alarms) => Some(alarms),
            Fate::Lost | Fate::Failed => None,
        };
        let readings: Vec<GuardReading> = names
            .iter()
            .map(|name| {
                let alarm = alarms.as_ref().map(|alarms| alarms.get(name));
                GuardReading {
                    name: name.clone(),
                    state: match alarm {
                        None => AlarmState::Unreadable,
                        Some(None) => AlarmState::Missing,
                        Some(Some(alarm)) => alarm.state,
                    },
                    actions_enabled: alarm.flatten().is_some_and(|alarm| alarm.is_enabled),
                    doubt: alarm
                        .flatten()
                        .filter(|alarm| alarm.is_doubtful)
                        .map(|_| "PARTIAL_DATA".to_owned()),
                    detection_seconds: Some(60),
                }
            })
            .collect();
        self.inner().sight().polled(&readings);
        readings
    }
}

#[async_trait]
impl Validator for Cloud {
    async fn validate(&self) -> Validation {
        let ask = |inner: &mut Inner, _| inner.validation.clone();
        let answer = match self.call("validate", ask).await {
            Fate::Answered(answer) => answer,
            Fate::Lost | Fate::Failed => Validation::Unknown("no answer".to_owned()),
        };
        self.inner().sight().validation = Some(answer.clone());
        answer
    }
}

#[async_trait]
impl ReplicationReader for Cloud {
    async fn read(&self) -> Vec<LagReading> {
        let read = |inner: &mut Inner, _| inner.lag.clone();
        let lag = match self.call("replication", read).await {
            Fate::Answered(lag) => lag,
            Fate::Lost | Fate::Failed => Lag::Unknown("no answer".to_owned()),
        };
        self.inner().sight().lag = Some(lag.clone());
        [Direction::BlueToGreen, Direction::GreenToBlue]
            .map(|direction| LagReading {
                task: direction.as_str().to_owned(),
                direction,
                lag: lag.clone(),
            })
            .to_vec()
    }
}

#[async_trait]
impl CountReader for Cloud {
    async fn read(
        &self,
        _baseline: Environment,
        _candidate: Environment,
        since_ms: u64,
        until_ms: u64,
    ) -> CountsReading {
        let read = |inner: &mut Inner, _| {
            let seconds = until_ms.saturating_sub(since_ms) / 1_000 / 60 * 60;
            let requests = seconds * 20;
            CountsReading::Counts {
                baseline: Tally {
                    requests: requests + 20_000,
                    failures: 2,
                },
                candidate: Tally {
                    requests,
                    failures: requests * inner.failing_per_mille / 1_000,
                },
                money: Some(0),
                window_seconds: seconds,
            }
        };
        let counts = match self.call("counts", read).await {
            Fate::Answered(counts) => counts,
            Fate::Lost | Fate::Failed => CountsReading::Missing("no answer".to_owned()),
        };
        self.inner().sight().counts = Some(counts.clone());
        counts
    }
}

#[async_trait]
impl Fence for Cloud {
    async fn set(&self, epoch: u64, may_write: MayWrite) -> FenceSeen {
        let set = |inner: &mut Inner, me| {
            let stands = match inner.fence {
                Some((stored, stands)) if stored > epoch => (stored, stands),
                _ => (epoch, may_write),
            };
            let (routes, state) = (inner.routes.clone(), inner.state.clone());
            inner.rules.on_fence(me, stands, &routes, state.as_ref());
            inner.fence = Some(stands);
            stands
        };
        match self
            .call(&format!("fence {may_write} at {epoch}"), set)
            .await
        {
            Fate::Answered((epoch, may_write)) => FenceSeen::Stands {
                epoch,
                blue: may_write.blue,
                green: may_write.green,
            },
            Fate::Lost | Fate::Failed => FenceSeen::Failed("no answer".to_owned()),
        }
    }
}

#[async_trait]
impl AlarmTester for Cloud {
    async fn trip(&self, name: &str, _reason: &str) -> Result<(), AlarmTestError> {
        self.set_by_hand(name, AlarmState::Alarm).await
    }

    async fn restore(&self, name: &str) -> Result<(), AlarmTestError> {
        self.set_by_hand(name, AlarmState::Ok).await
    }
}

impl Cloud {
    async fn set_by_hand(&self, name: &str, state: AlarmState) -> Result<(), AlarmTestError> {
        let call = format!("SetAlarmState {name} {}", state.as_str());
        match self
            .call(&call, |inner, _| inner.set_alarm(name, state))
            .await
        {
            Fate::Answered(()) => Ok(()),
            Fate::Lost | Fate::Failed => Err(AlarmTestError {
                operation: "SetAlarmState",
                alarm: name.to_owned(),
                source: "no answer".into(),
            }),
        }
    }
}

#[async_trait]
impl SwitchStateStore for Cloud {
    async fn load(&self) -> Result<Option<State>, StoreError> {
        let load = |inner: &mut Inner, me| {
            let state = inner.state.clone();
            inner.rules.on_load(me, state.as_ref());
            Loaded(state)
        };
        match self.call("load", load).await {
            Fate::Answered(Loaded(state)) => Ok(state),
            Fate::Lost | Fate::Failed => Err(broken("load")),
        }
    }

    async fn commit(&self, expected: u64, next: &State, entry: &Entry) -> Result<(), CommitError> {
        let name = format!(
            "commit {}: {:?} {} -> {}, {}: {}",
            next.generation, entry.action, entry.from, entry.to, next.intended, entry.why
        );
        let store = |inner: &mut Inner, me| {
            let before = inner.state.clone();
            if before.as_ref().map_or(0, |state| state.generation) != expected {
                return Err(());
            }
            inner
                .rules
                .on_commit(me, before.as_ref(), next, entry, inner.now_ms);
            inner.state = Some(next.clone());
            inner.journal.push(entry.clone());
            Ok(())
        };
        match self.call(&name, store).await {
            Fate::Answered(Ok(())) => Ok(()),
            Fate::Answered(Err(())) => Err(CommitError::Conflict),
            Fate::Lost | Fate::Failed => Err(broken("commit").into()),
        }
    }

    async fn history(&self, _id: Option<&str>, _limit: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(self.inner().journal.clone())
    }
}

#[async_trait]
impl Notifier for Cloud {
    async fn notify(&self, _entries: &[Entry], _status: &str) -> Result<(), NotifyError> {
        match self.call("notify", |_, _| ()).await {
            Fate::Answered(()) => Ok(()),
            Fate::Lost | Fate::Failed => Err(NotifyError {
                operation: "notify",
                source: "no answer".into(),
            }),
        }
    }
}

/// A loaded state; in the trace, its generation and phase are enough.
struct Loaded(Option<State>);

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(state) => write!(f, "generation {}, {}", state.generation, state.phase),
            None => f.write_str("nothing"),
        }
    }
}

fn broken(operation: &'static str) -> StoreError {
    StoreError {
        operation,
        source: "no answer".into(),
    }
}
