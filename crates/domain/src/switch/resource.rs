//! What CloudFormation asks for, through `Custom::EnvironmentSwitch`.

use super::step::Case;
use super::{
    Action, Decision, Environment, Health, Migration, OnDrift, Phase, Purpose, ResourceChange,
    Seen, Step, Tally, Validation, Verb, Versions, Weights,
};

/// Seconds within which a change of the active environment by a stack update must be verified.
const UPDATE_SECONDS_MAX: u64 = 900;

impl Case<'_> {
    pub(super) fn resource(&self, change: &ResourceChange) -> Option<Decision> {
        match change {
            ResourceChange::Create {
                owner,
                initial,
                versions,
            } => self.create(owner, *initial, versions),
            ResourceChange::Update {
                owner,
                migration_id,
                active,
                versions,
                declared,
            } => {
                let versions = versions.or(&self.state.versions).or(declared);
                self.update(owner, migration_id, *active, versions)
            }
            ResourceChange::Delete { owner } => Some(self.delete(owner)),
        }
    }

    /// Makes the routers' entries; repeated, it changes nothing. A migration's weights are never touched.
    fn create(&self, owner: &str, initial: Environment, versions: &Versions) -> Option<Decision> {
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
        let (weights, why) = (
            Weights::all(next.active),
            format!("the stack makes {} the active environment", next.active),
        );
        Some(self.order(next, Purpose::Create, weights, Verb::Create, why))
    }

    fn update(
        &self,
        owner: &str,
        migration_id: &str,
        active: Option<Environment>,
        versions: Versions,
    ) -> Option<Decision> {
        let to = active.filter(|active| *active != self.state.active);
        if self.state.phase.is_running() {
            // The event of a move that this very update began may be delivered twice.
            let is_own = self
                .state
                .migration
                .as_ref()
                .is_some_and(|m| m.id == migration_id);
            let matters = to.is_some() || versions != self.state.versions;
            return (matters && !is_own).then(|| self.refuse("migration_running", self.running()));
        }
        if let Some(refused) = self.refuse_active_version(&versions) {
            return Some(refused);
        }
        if let Some(to) = to.filter(|_| !self.state.knows(migration_id)) {
            return Some(self.move_at_once(to, migration_id, versions));
        }
        let is_noted =
            versions == self.state.versions && self.state.owner.as_deref() == Some(owner);
        (!is_noted).then(|| {
            let mut next = self.state.clone();
            next.versions = versions;
            next.owner = Some(owner.to_owned());
            let why = "the stack has new versions".to_owned();
            self.change(next, Vec::new(), Verb::Record, why)
        })
    }

    /// A stack update that names the other environment moves everything at once, if every guard passes now.
    fn move_at_once(&self, to: Environment, id: &str, versions: Versions) -> Decision {
        let refused = self
            .refuse_versions(&versions, to)
            .or_else(|| self.refuse_unsettled())
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
        match &self.seen.validation {
            Validation::NotConfigured | Validation::Passed => {}
            Validation::NotAsked => {
                return Decision {
                    actions: vec![Action::Validate],
                    ..self.stay(Verb::Validate, format!("{to} is to be validated"))
                };
            }
            Validation::Failed(why) | Validation::Unknown(why) => {
                return self.refuse("not_validated", format!("{to} was not validated: {why}"));
            }
        }
        let mut next = self.with_migration(Migration {
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
        });
        next.versions = versions;
        next.phase = Phase::Baking;
        let (weights, why) = (
            Weights::all(to),
            format!("the stack makes {to} the active environment; every guard of it is healthy"),
        );
        self.order(next, Purpose::Complete, weights, Verb::Complete, why)
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
        let why = "the stack removes the switch".to_owned();
        self.change(next, vec![Action::Remove], Verb::Remove, why)
    }
}
