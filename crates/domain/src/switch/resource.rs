//! What CloudFormation asks for, through `Custom::EnvironmentSwitch`.

use super::step::Case;
use super::{
    Action, Decision, Environment, FenceSeen, Health, Migration, OnDrift, Phase, Purpose,
    ResourceChange, Seen, StackNote, Step, Tally, Validation, Verb, Versions, Weights,
};

/// Seconds within which a change of the active environment by a stack update must be verified.
const UPDATE_SECONDS_MAX: u64 = 900;

/// A stack update, its versions filled with what is known.
struct Update<'a> {
    owner: &'a str,
    migration_id: &'a str,
    active: Option<Environment>,
    versions: Versions,
    properties: &'a str,
    before: &'a str,
}

impl Update<'_> {
    fn note(&self, moved: Option<&str>) -> StackNote {
        StackNote {
            now: self.properties.to_owned(),
            before: Some(self.before.to_owned()),
            moved: moved.map(ToOwned::to_owned),
        }
    }
}

impl StackNote {
    /// Whether an update goes from what was accepted last to what was accepted before it: CloudFormation rolls back.
    fn is_undone_by(&self, update: &Update<'_>) -> bool {
        self.now == update.before && self.before.as_deref() == Some(update.properties)
    }
}

impl Case<'_> {
    pub(super) fn resource(&self, change: &ResourceChange) -> Option<Decision> {
        match change {
            ResourceChange::Create {
                owner,
                initial,
                versions,
                properties,
            } => self.create(owner, *initial, versions, properties),
            ResourceChange::Update {
                owner,
                migration_id,
                active,
                versions,
                declared,
                properties,
                before,
            } => {
                let update = Update {
                    owner,
                    migration_id,
                    active: *active,
                    versions: versions.or(&self.state.versions).or(declared),
                    properties,
                    before,
                };
                self.update(&update)
            }
            ResourceChange::Delete { owner } => Some(self.delete(owner)),
        }
    }

    /// Makes the routers' entries; repeated, it changes nothing. A migration's weights are never touched.
    fn create(
        &self,
        owner: &str,
        initial: Environment,
        versions: &Versions,
        properties: &str,
    ) -> Option<Decision> {
        if self.state.phase.is_running() {
            return Some(self.refuse("migration_running", self.running()));
        }
        let versions = versions.or(&self.state.versions);
        let is_same = self.state.owner.as_deref() == Some(owner) && self.state.managed;
        if is_same && (self.state.intent.is_some() || versions == self.state.versions) {
            return None;
        }
        let mut next = self.state.clone();
        if !self.state.managed {
            next.active = initial;
            next.phase = Phase::Idle;
            next.migration = None;
        }
        let takes_versions = self.seen.routers.iter().any(|router| router.takes_versions);
        if takes_versions && versions.of(next.active).is_none() {
            let message = format!("the version of {} is not known", next.active);
            return Some(self.refuse("version_unknown", message));
        }
        next.owner = Some(owner.to_owned());
        next.managed = true;
        next.versions = versions;
        next.stack = Some(StackNote {
            now: properties.to_owned(),
            before: None,
            moved: None,
        });
        let (weights, why) = (
            Weights::all(next.active),
            format!("the stack makes {} the active environment", next.active),
        );
        Some(self.order(next, Purpose::Create, weights, Verb::Create, why))
    }

    fn update(&self, update: &Update<'_>) -> Option<Decision> {
        let note = self.state.stack.as_ref();
        // Delivered twice; or the rollback of an update that was not accepted: these properties still hold.
        if note.is_some_and(|note| note.now == update.properties) {
            return None;
        }
        if let Some(note) = note.filter(|note| note.is_undone_by(update)) {
            return self.undo(update, note);
        }
        let to = update.active.filter(|active| *active != self.state.active);
        if self.state.phase.is_running() {
            // The event of a move that this very update began may be delivered twice.
            let migration = self.state.migration.as_ref();
            let is_own = migration.is_some_and(|m| m.id == update.migration_id);
            let matters = to.is_some() || update.versions != self.state.versions;
            return (matters && !is_own).then(|| self.refuse("migration_running", self.running()));
        }
        if let Some(refused) = self.refuse_active_version(&update.versions) {
            return Some(refused);
        }
        if let Some(to) = to.filter(|_| !self.state.knows(update.migration_id)) {
            return Some(self.move_at_once(to, update));
        }
        let mut next = self.state.clone();
        next.versions.clone_from(&update.versions);
        next.owner = Some(update.owner.to_owned());
        next.stack = Some(update.note(None));
        let why = "the stack has new properties".to_owned();
        Some(self.change(next, Vec::new(), Verb::Record, why))
    }

    /// The rollback of a stack update that was accepted here and failed elsewhere. It is never refused: what can't be
    /// undone now stays as it is, and the answer says where production is. A migration that an operator runs is left alone.
    fn undo(&self, update: &Update<'_>, note: &StackNote) -> Option<Decision> {
        if self.state.phase.is_running() {
            return None;
        }
        let migration = self.state.migration.as_ref();
        let moved = migration.filter(|migration| {
            note.moved.as_ref() == Some(&migration.id) && self.state.phase == Phase::Completed
        });
        let back = moved.map(|migration| {
            self.undo_completion(migration, "the stack update is rolled back".to_owned())
        });
        let why = match back {
            Some(back) if back.refusal.is_none() => return Some(back),
            Some(refused) => format!("the stack update is rolled back; {}", refused.why),
            None => "the stack update is rolled back: its properties are those before".to_owned(),
        };
        let mut next = self.state.clone();
        // The active environment's version is what production runs on: no declaration changes it in place.
        let active = self.state.active;
        next.versions = update.versions.clone().with(active, &self.state.versions);
        next.stack = Some(update.note(None));
        Some(self.change(next, Vec::new(), Verb::Record, why))
    }

    /// A stack update that names the other environment moves everything at once, if every guard passes now.
    fn move_at_once(&self, to: Environment, update: &Update<'_>) -> Decision {
        let refused = self
            .refuse_versions(&update.versions, to)
            .or_else(|| self.refuse_unsettled())
            .or_else(|| self.refuse_drill())
            .or_else(|| self.refuse_guards(to));
        if let Some(refused) = refused {
            return refused;
        }
        if self.seen.health(to) != Health::Healthy {
            return self.refuse(
                "guard_not_healthy",
                format!("not every guard of {to} is OK"),
            );
        }
        if let Err(why) = self.replicated() {
            return self.refuse("replication_lag", why);
        }
        match &self.seen.validation {
            Validation::NotConfigured | Validation::Passed => {}
            Validation::NotAsked => {
                let why = format!("{to} is to be validated");
                return self.ask(Action::Validate, Verb::Validate, why);
            }
            Validation::Failed(why) | Validation::Unknown(why) => {
                return self.refuse("not_validated", format!("{to} was not validated: {why}"));
            }
        }
        if !self.is_fence_open() {
            return match &self.seen.fence {
                FenceSeen::Failed(why) => {
                    let message = format!("the ledgers do not let {to} write: {why}");
                    self.refuse("fence_failed", message)
                }
                _ => self.open_fence(),
            };
        }
        let mut next = self.with_migration(self.at_once(to, update.migration_id));
        next.versions.clone_from(&update.versions);
        next.phase = Phase::Baking;
        next.stack = Some(update.note(Some(update.migration_id)));
        let (weights, why) = (
            Weights::all(to),
            format!("the stack makes {to} the active environment; every guard of it is healthy"),
        );
        self.order(next, Purpose::Complete, weights, Verb::Complete, why)
    }

    fn at_once(&self, to: Environment, id: &str) -> Migration {
        Migration {
            id: id.to_owned(),
            from: self.state.active,
            to,
            steps: vec![Step {
                percent: 100,
                bake_seconds: 0,
            }],
            step: Some(0),
            step_at_ms: self.now_ms,
            started_at_ms: self.now_ms,
            max_seconds: UPDATE_SECONDS_MAX,
            on_drift: OnDrift::Repair,
            operator: Some("CloudFormation".to_owned()),
            reason: None,
            refused_by_validation: false,
            max_exposed_payments: None,
            max_exposed_seconds: None,
            baseline: Tally::default(),
        }
    }

    /// Removes what this owner made. The executor rolls a running migration back before it asks this.
    fn delete(&self, owner: &str) -> Decision {
        if self.state.owner.as_deref() != Some(owner) {
            return self.stay(
                Verb::None,
                "the routers belong to another resource".to_owned(),
            );
        }
        if self.state.phase.is_running() {
            return self.refuse("migration_running", self.running());
        }
        if !self.state.managed {
            let is_gone = self
                .seen
                .routers
                .iter()
                .all(|router| router.seen == Seen::Absent);
            let actions = if is_gone {
                Vec::new()
            } else {
                vec![Action::Remove]
            };
            return Decision {
                actions,
                ..self.stay(Verb::Remove, "the routers are no longer kept".to_owned())
            };
        }
        let mut next = self.state.clone();
        next.managed = false;
        next.intent = None;
        next.stack = None;
        let why = "the stack removes the switch".to_owned();
        self.change(next, vec![Action::Remove], Verb::Remove, why)
    }
}
