//! The transition function: from the stored state, the time and what was seen to the next state and what to do.
//!
//! The order of the questions is the order of precedence: danger first, then the command, then what an earlier
//! invocation left unfinished, then weights that nobody ordered, then the ledgers' fence, and only then progress.

use std::collections::BTreeMap;

use super::{
    Action, Decision, Environment, FenceOrder, FenceSeen, Health, Intent, MayWrite, Observation,
    Order, Purpose, Refusal, State, Verb, Weights,
};

/// Decides what comes next. Pure: the same arguments give the same decision.
///
/// `now_ms` is in milliseconds since the epoch. Where the decision's state differs from `state` its generation is one
/// more: the executor stores it, on the condition that `state.generation` still stands, before it does anything.
#[must_use]
pub fn step(state: &State, now_ms: u64, seen: &Observation) -> Decision {
    let case = Case {
        state,
        now_ms,
        seen,
    };
    case.danger()
        .or_else(|| case.request())
        .or_else(|| case.drill())
        .or_else(|| case.unmanaged())
        .or_else(|| case.pending())
        .or_else(|| case.repair())
        .or_else(|| case.fence())
        .or_else(|| case.unsound())
        .unwrap_or_else(|| case.progress())
}

/// One call of [`step`].
pub(super) struct Case<'a> {
    pub(super) state: &'a State,
    pub(super) now_ms: u64,
    pub(super) seen: &'a Observation,
}

impl Case<'_> {
    fn unmanaged(&self) -> Option<Decision> {
        (!self.state.managed)
            .then(|| self.stay(Verb::None, "no migration was ever started here".to_owned()))
    }

    /// The generation of the decision that is being made.
    pub(super) fn next_generation(&self) -> u64 {
        self.state.generation.saturating_add(1)
    }

    pub(super) fn health(&self) -> Health {
        self.seen.health(self.state.candidate())
    }

    /// Whether no share was ordered yet: the candidate has no traffic by this switch's will.
    pub(super) fn is_before_first_step(&self) -> bool {
        self.state.phase.is_forward()
            && self.state.intent.is_none()
            && self
                .state
                .migration
                .as_ref()
                .is_some_and(|migration| migration.step.is_none())
    }

    // ---- the ledgers' fence

    /// What the fence is to be from this decision on; `None` where nothing could set it.
    pub(super) fn fence_to(&self, may_write: MayWrite) -> Option<FenceOrder> {
        (self.seen.fence != FenceSeen::NotConfigured).then(|| FenceOrder {
            epoch: self.next_generation(),
            may_write,
            stands: false,
        })
    }

    /// Sets the fence, again at each tick, until every ledger confirmed it. It follows the traffic and never leads it: a
    /// rollback that is under way comes before it.
    fn fence(&self) -> Option<Decision> {
        let order = self.state.fence.filter(|order| !order.stands)?;
        let (ordered, may_write) = (order.epoch, order.may_write);
        if let Some(confirmed) = self.confirmed() {
            let mut next = self.state.clone();
            next.fence = Some(confirmed);
            let why = format!("every ledger confirmed: {may_write}");
            return Some(self.change(next, Vec::new(), Verb::Fence, why));
        }
        let why = match &self.seen.fence {
            FenceSeen::NotConfigured => return None,
            FenceSeen::NotAsked => {
                let why = format!("the ledgers are to be told: {may_write}");
                return Some(self.ask(Action::Fence(order), Verb::Fence, why));
            }
            FenceSeen::Stands { epoch, .. } => format!(
                "the ledgers stand at epoch {epoch}, not at {ordered}: another switch set them"
            ),
            FenceSeen::Failed(why) => {
                format!("the ledgers did not confirm yet that {may_write}: {why}")
            }
        };
        Some(self.stay(Verb::Hold, why))
    }

    /// The fence's order as every ledger confirmed it just now.
    pub(super) fn confirmed(&self) -> Option<FenceOrder> {
        let order = self.state.fence?;
        let wanted = FenceSeen::Stands {
            epoch: order.epoch,
            blue: order.may_write.blue,
            green: order.may_write.green,
        };
        (self.seen.fence == wanted).then_some(FenceOrder {
            stands: true,
            ..order
        })
    }

    /// Whether every ledger is known to take payments from both environments, where that can be said at all.
    pub(super) fn is_fence_open(&self) -> bool {
        self.seen.fence == FenceSeen::NotConfigured
            || self
                .state
                .fence
                .is_some_and(|order| order.stands && order.may_write == MayWrite::BOTH)
    }

    /// Lets both environments write, before one of them gets traffic that it may have been retired from.
    pub(super) fn open_fence(&self) -> Decision {
        let mut next = self.state.clone();
        next.fence = self.fence_to(MayWrite::BOTH);
        let actions = next.fence.map(Action::Fence).into_iter().collect();
        let why = "the ledgers are to take payments from both environments".to_owned();
        self.change(next, actions, Verb::Fence, why)
    }

    // ---- decisions

    /// A new generation that writes the routers.
    pub(super) fn order(
        &self,
        next: State,
        purpose: Purpose,
        weights: Weights,
        verb: Verb,
        why: String,
    ) -> Decision {
        let all = self.seen.routers.iter().map(|r| r.router.clone()).collect();
        self.order_at(all, next, purpose, weights, verb, why)
    }

    /// As [`Case::order`], for some of the routers: the others have carried out this very order already.
    pub(super) fn order_at(
        &self,
        routers: Vec<String>,
        mut next: State,
        purpose: Purpose,
        weights: Weights,
        verb: Verb,
        why: String,
    ) -> Decision {
        let generation = self.next_generation();
        let base = match purpose {
            Purpose::Complete => next.candidate(),
            _ => next.active,
        };
        // The same order, given again: a write for the earlier one counts for this one too.
        let again = self.state.intent.as_ref().filter(|intent| {
            (intent.purpose, intent.base, self.state.intended) == (purpose, base, weights)
        });
        let mut changes = again.map_or_else(BTreeMap::new, |intent| self.changes(intent));
        changes.retain(|router, _| !routers.contains(router));
        next.intended = weights;
        next.intent = Some(Intent {
            purpose,
            base,
            since: again.map_or(generation, |intent| intent.since),
            changes,
        });
        let order = Order {
            generation,
            base,
            weights,
            versions: next.versions.clone(),
            routers,
        };
        self.change(next, vec![Action::Write(order)], verb, why)
    }

    /// The change ids that are known for an order: the stored ones, and those that this invocation was answered with.
    pub(super) fn changes(&self, intent: &Intent) -> BTreeMap<String, String> {
        let mut changes = intent.changes.clone();
        changes.extend(self.seen.changes.clone());
        changes
    }

    /// A new generation.
    pub(super) fn change(
        &self,
        mut next: State,
        actions: Vec<Action>,
        verb: Verb,
        why: String,
    ) -> Decision {
        next.generation = self.next_generation();
        let mut decision = Decision {
            next,
            actions,
            verb,
            why,
            evidence: self.evidence(),
            refusal: None,
        };
        decision.next.last = Some(decision.summary());
        decision
    }

    /// Nothing to store.
    pub(super) fn stay(&self, verb: Verb, why: String) -> Decision {
        Decision {
            next: self.state.clone(),
            actions: Vec::new(),
            verb,
            why,
            evidence: self.evidence(),
            refusal: None,
        }
    }

    /// Nothing to store; something is to be looked at, then decided again.
    pub(super) fn ask(&self, action: Action, verb: Verb, why: String) -> Decision {
        Decision {
            actions: vec![action],
            ..self.stay(verb, why)
        }
    }

    /// A command that is not accepted.
    pub(super) fn refuse(&self, code: &'static str, message: String) -> Decision {
        Decision {
            refusal: Some(Refusal {
                code,
                message: message.clone(),
            }),
            ..self.stay(Verb::Refuse, message)
        }
    }

    /// The environment whose guards this is about.
    pub(super) fn candidate_in_question(&self) -> Environment {
        match &self.seen.trigger {
            super::Trigger::Command(super::Command::Start(start), _) => start.to,
            _ => self.state.candidate(),
        }
    }
}
