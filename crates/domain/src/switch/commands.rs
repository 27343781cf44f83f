//! What operators ask for.

use super::state::PAST_MAX;
use super::step::Case;
use super::{
    Action, AlarmState, Bound, By, Command, Decision, Environment, Health, MayWrite, Migration,
    Phase, Purpose, Seen, Start, State, Tally, Trigger, Verb, Versions, Weights,
};

/// ` by alice: why`, as far as it was said.
pub(super) fn told(by: &By) -> String {
    let operator = by.operator.as_ref().map(|who| format!(" by {who}"));
    let reason = by.reason.as_ref().map(|why| format!(": {why}"));
    operator.unwrap_or_default() + &reason.unwrap_or_default()
}

impl Case<'_> {
    /// What the trigger asks for, if it asks for something that changes the state by itself.
    pub(super) fn request(&self) -> Option<Decision> {
        match &self.seen.trigger {
            Trigger::Command(command, by) => self.command(command, by),
            Trigger::Resource(change) => self.resource(change),
            Trigger::Tick | Trigger::Alarm { .. } | Trigger::Outcome => None,
        }
    }

    fn command(&self, command: &Command, by: &By) -> Option<Decision> {
        match command {
            Command::Start(start) => self.start(start, by),
            Command::Pause => self.pause(by),
            Command::Resume => self.resume(by),
            Command::Promote => Some(self.promote(by)),
            // Where there is something to roll back, that came first: here it changes nothing.
            Command::RollBack => None,
            Command::Drill { alarm } => Some(self.begin_drill(alarm.as_deref(), by)),
        }
    }

    fn start(&self, start: &Start, by: &By) -> Option<Decision> {
        if self.state.knows(&start.migration_id) {
            return None;
        }
        if self.state.phase.is_running() {
            return Some(self.refuse("migration_running", self.running()));
        }
        let versions = start.versions.or(&self.state.versions);
        let refused = self
            .refuse_target(start.to)
            .or_else(|| self.refuse_versions(&versions, start.to))
            .or_else(|| self.refuse_unsettled())
            .or_else(|| self.refuse_drill())
            .or_else(|| self.refuse_guards(start.to))
            .or_else(|| self.refuse_slow_way_back(start.to));
        Some(refused.unwrap_or_else(|| self.begin(start, versions, by)))
    }

    fn begin(&self, start: &Start, versions: Versions, by: &By) -> Decision {
        let mut next = self.with_migration(Migration {
            id: start.migration_id.clone(),
            from: self.state.active,
            to: start.to,
            steps: start.steps.clone(),
            step: None,
            step_at_ms: 0,
            started_at_ms: self.now_ms,
            max_seconds: start.max_seconds,
            on_drift: start.on_drift,
            operator: by.operator.clone(),
            reason: by.reason.clone(),
            refused_by_validation: false,
            max_exposed_payments: start.max_exposed_payments,
            max_exposed_seconds: start.max_exposed_seconds,
            baseline: Tally::default(),
        });
        next.versions = versions;
        next.phase = Phase::Validating;
        next.fence = self.fence_to(MayWrite::BOTH);
        let actions = next.fence.map(Action::Fence).into_iter().collect();
        let why = format!("start to {}{}", start.to, told(by));
        self.change(next, actions, Verb::Start, why)
    }

    /// The state with a new migration, the old one's id remembered.
    pub(super) fn with_migration(&self, migration: Migration) -> State {
        let mut next = self.state.clone();
        next.managed = true;
        if let Some(past) = next.migration.replace(migration) {
            next.past.push(past.id);
            let surplus = next.past.len().saturating_sub(PAST_MAX);
            next.past.drain(..surplus);
        }
        next
    }

    pub(super) fn running(&self) -> String {
        let id = self.state.migration.as_ref().map_or("", |m| m.id.as_str());
        format!("migration {id} is {}", self.state.phase)
    }

    pub(super) fn refuse_target(&self, to: Environment) -> Option<Decision> {
        (to == self.state.active)
            .then(|| self.refuse("already_active", format!("{to} is the active environment")))
    }

    pub(super) fn refuse_versions(&self, versions: &Versions, to: Environment) -> Option<Decision> {
        if !self.seen.routers.iter().any(|router| router.takes_versions) {
            return None;
        }
        let active = self.state.active;
        let unknown = [active, to]
            .into_iter()
            .find(|environment| versions.of(*environment).is_none());
        if let Some(environment) = unknown {
            let message = format!("the version of {environment} is not known: give it in versions");
            return Some(self.refuse("version_unknown", message));
        }
        if versions.of(to) == versions.of(active) {
            let message = format!("blue and green are the same version: deploy a new {to} first");
            return Some(self.refuse("same_version", message));
        }
        self.refuse_active_version(versions)
    }

    /// The active environment's version can't be changed in place: all traffic would move, unguarded.
    pub(super) fn refuse_active_version(&self, versions: &Versions) -> Option<Decision> {
        let active = self.state.active;
        let (now, then) = (self.state.versions.of(active)?, versions.of(active)?);
        (now != then).then(|| {
            let message = format!(
                "{active} is active at version {now}: version {then} would get all traffic at \
                 once; deploy it as {}",
                active.other()
            );
            self.refuse("active_version", message)
        })
    }

    pub(super) fn refuse_unsettled(&self) -> Option<Decision> {
        if let Some(unreadable) = self.out_of_reach() {
            return Some(self.refuse("router_unreadable", unreadable));
        }
        let drifted = self
            .seen
            .routers
            .iter()
            .find(|router| router.seen != Seen::Split(self.state.intended));
        match (&self.state.intent, drifted) {
            (None, None) => None,
            (Some(_), _) => Some(self.refuse(
                "router_unsettled",
                "an earlier change of the routers is not verified yet".to_owned(),
            )),
            (None, Some(router)) => Some(self.refuse(
                "router_drifted",
                format!(
                    "router {} does not read {}",
                    router.router, self.state.intended
                ),
            )),
        }
    }

    pub(super) fn refuse_drill(&self) -> Option<Decision> {
        let drill = self.drill_under_way()?;
        Some(self.refuse("drill_running", drill))
    }

    /// A migration that could not be taken back in time is not begun (contract, rule 2).
    fn refuse_slow_way_back(&self, to: Environment) -> Option<Decision> {
        let refusal = super::worst_case(self.state, self.seen, to).refusal()?;
        Some(self.refuse("rollback_too_slow", refusal))
    }

    /// A guard that is missing, silenced or breaching stops a start; one without data yet only holds the first step.
    pub(super) fn refuse_guards(&self, to: Environment) -> Option<Decision> {
        let guards = self.seen.guards_of(to);
        if guards.is_empty() {
            let message = format!("{to} has no guard: name its alarms in ALARMS");
            return Some(self.refuse("guard_missing", message));
        }
        guards.iter().find_map(|guard| {
            let code = match guard.state {
                AlarmState::Missing => "guard_missing",
                AlarmState::Unreadable => "guard_unreadable",
                AlarmState::Alarm => "guard_in_alarm",
                _ if !guard.actions_enabled => "guard_disabled",
                AlarmState::Ok | AlarmState::InsufficientData => return None,
            };
            let message = format!("alarm {} of {to} is {}", guard.name, guard.describe());
            Some(self.refuse(code, message))
        })
    }

    fn pause(&self, by: &By) -> Option<Decision> {
        match self.state.phase {
            Phase::Paused => None,
            Phase::Validating | Phase::Shifting | Phase::Baking => {
                let mut next = self.state.clone();
                next.phase = Phase::Paused;
                Some(self.change(next, Vec::new(), Verb::Pause, format!("pause{}", told(by))))
            }
            phase => {
                Some(self.refuse("not_running", format!("there is nothing to pause: {phase}")))
            }
        }
    }

    fn resume(&self, by: &By) -> Option<Decision> {
        let (phase, Some(migration)) = (self.state.phase, &self.state.migration) else {
            return Some(self.refuse("not_paused", "there is nothing to resume: idle".to_owned()));
        };
        match phase {
            Phase::Paused => {
                let mut next = self.state.clone();
                let is_shifting = self
                    .state
                    .intent
                    .as_ref()
                    .is_some_and(|intent| matches!(intent.purpose, Purpose::Step(_)));
                next.phase = if is_shifting {
                    Phase::Shifting
                } else {
                    migration.phase_at(migration.step)
                };
                Some(self.change(
                    next,
                    Vec::new(),
                    Verb::Resume,
                    format!("resume{}", told(by)),
                ))
            }
            Phase::Validating | Phase::Shifting | Phase::Baking => None,
            _ => Some(self.refuse("not_paused", format!("there is nothing to resume: {phase}"))),
        }
    }

    fn promote(&self, by: &By) -> Decision {
        let Some(migration) = &self.state.migration else {
            return self.refuse(
                "not_running",
                "there is nothing to promote: idle".to_owned(),
            );
        };
        let last = migration.last();
        let is_shifting = self.state.phase == Phase::Shifting;
        match self.state.phase {
            Phase::Shifting | Phase::Paused if migration.step >= Some(last) => self.refuse(
                "already_baking",
                "all traffic is on the candidate".to_owned(),
            ),
            Phase::Paused | Phase::Validating if !is_shifting && migration.step.is_none() => self
                .refuse(
                    "not_validated",
                    "the candidate was not validated yet".to_owned(),
                ),
            Phase::Shifting | Phase::Paused => {
                if let Some(refused) = self.refuse_promotion(migration) {
                    return refused;
                }
                let mut next = self.state.clone();
                next.phase = Phase::Shifting;
                let (weights, why) = (Weights::all(migration.to), format!("promote{}", told(by)));
                self.order(next, Purpose::Step(last), weights, Verb::Promote, why)
            }
            Phase::Baking => self.refuse(
                "already_baking",
                "all traffic is on the candidate".to_owned(),
            ),
            phase => self.refuse(
                "not_running",
                format!("there is nothing to promote: {phase}"),
            ),
        }
    }

    /// What every step takes, at once.
    fn refuse_promotion(&self, migration: &Migration) -> Option<Decision> {
        if let Some(unreachable) = self.out_of_reach() {
            return Some(self.refuse("router_unreadable", unreachable));
        }
        if self.health() != Health::Healthy {
            let held = self.hold_for_guards();
            return Some(self.refuse("guard_not_healthy", held.why));
        }
        if let Err(why) = self.replicated() {
            return Some(self.refuse("replication_lag", why));
        }
        if self.seen.has_counts && migration.step.is_none() {
            let why = "the candidate has no counts: its first share is not verified yet".to_owned();
            return Some(self.refuse("verdict_open", why));
        }
        if let Err(why) = self.counted(migration) {
            return Some(self.refuse("verdict_open", why));
        }
        match self.bounded(migration, 100) {
            Bound::Whole => None,
            Bound::Nothing(why) => Some(self.refuse("exposure_exceeded", why)),
            Bound::Part(percent) => Some(self.refuse(
                "exposure_exceeded",
                format!("{percent} % is as far as the exposure budget goes now"),
            )),
        }
    }
}
