//! What a decision rests on, in words, for the journal.

use super::danger::lag_in_words;
use super::step::Case;
use super::{CountsReading, Evidence, FenceSeen, Lag, Seen, Validation};

impl Case<'_> {
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let candidate = self.candidate_in_question();
        let guards = self.seen.guards_of(candidate).iter();
        let mut evidence: Vec<Evidence> = guards
            .map(|guard| said(format!("alarm {}", guard.name), guard.describe()))
            .collect();
        evidence.extend(self.seen.routers.iter().map(|router| {
            let observed = match &router.seen {
                Seen::Split(weights) => weights.to_string(),
                Seen::Foreign(what) => format!("foreign: {what}"),
                Seen::Absent => "absent".to_owned(),
                Seen::Unreadable(why) => format!("unreadable: {why}"),
            };
            let pending = router.pending.as_ref().map(|why| format!("; {why}"));
            said(
                format!("router {}", router.router),
                observed + &pending.unwrap_or_default(),
            )
        }));
        let unwritable = self.seen.unwritable.iter();
        evidence.extend(unwritable.map(|(router, why)| {
            said(
                format!("write to router {router}"),
                format!("failed: {why}"),
            )
        }));
        evidence.extend(self.validation_said());
        evidence.extend(self.seen.replication.iter().map(|reading| {
            let observed = match &reading.lag {
                Lag::Seconds(seconds) => format!("{seconds} s behind"),
                lag => lag_in_words(lag),
            };
            let direction = reading.direction.as_str();
            said(
                format!("replication {direction} {}", reading.task),
                observed,
            )
        }));
        evidence.extend(self.seen.capacity.iter().map(|reading| {
            let (router, environment) = (&reading.router, reading.environment);
            said(
                format!("capacity of {environment} at {router}"),
                format!("{}: {}", reading.state.as_str(), reading.detail),
            )
        }));
        evidence.extend(self.counts_said());
        evidence.extend(self.fence_said());
        evidence
    }

    fn validation_said(&self) -> Option<Evidence> {
        let observed = match &self.seen.validation {
            Validation::NotConfigured | Validation::NotAsked => return None,
            Validation::Passed => "pass".to_owned(),
            Validation::Failed(why) => format!("fail: {why}"),
            Validation::Unknown(why) => format!("unknown: {why}"),
        };
        Some(said("validation".to_owned(), observed))
    }

    fn counts_said(&self) -> Option<Evidence> {
        if let Some(CountsReading::Missing(why)) = &self.seen.counts {
            return Some(said(
                "verdict by counts".to_owned(),
                format!("missing: {why}"),
            ));
        }
        let judgement = self.judgement(self.state.migration.as_ref()?)?;
        Some(judgement.evidence())
    }

    fn fence_said(&self) -> Option<Evidence> {
        let observed = match &self.seen.fence {
            FenceSeen::NotConfigured | FenceSeen::NotAsked => return None,
            FenceSeen::Stands { epoch, blue, green } => {
                let may_write = super::MayWrite {
                    blue: *blue,
                    green: *green,
                };
                format!("epoch {epoch}, {may_write}")
            }
            FenceSeen::Failed(why) => format!("failed: {why}"),
        };
        Some(said("fence".to_owned(), observed))
    }
}

fn said(name: String, observed: String) -> Evidence {
    Evidence { name, observed }
}
