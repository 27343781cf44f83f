//! A run: processes of all subjects, one after the other, interleaved, so that whatever else the machine does meets all.

use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use crate::journal::{Place, Seen};
use crate::payment;
use crate::process::{self, Memory};
use crate::sandbox::{Answer, Sandbox, SandboxError};
use crate::subject::{Kind, Subject};
use crate::world::World;

/// Calls of a warm payment.
pub const CALLS: usize = 4;
/// The longest chain of them.
pub const HOPS: usize = 3;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Processes of each subject at each delay.
    pub processes: usize,
    /// Payments of a process after its first.
    pub warm: usize,
    /// What a call takes.
    pub delays: Vec<Duration>,
}

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Start to first poll.
    pub init: Duration,
    /// The first payment.
    pub first: Duration,
    /// The payments after it.
    pub warm: Vec<Duration>,
    /// CPU time of init and first payment together.
    pub cold_cpu: Duration,
    /// CPU time of a payment after them.
    pub warm_cpu: Duration,
    /// CPU time that the services took for one of them, the database's apart.
    pub services_cpu: Duration,
    /// Memory at the end.
    pub memory: Memory,
    /// Calls and connections of init and first payment together.
    pub cold_seen: Seen,
    /// Of the payments after them: fewest and most calls, the longest chain, connections in all.
    pub warm_seen: Warm,
    /// What the floor says of its chain of calls: of the first payment, and of those after it.
    pub chain: Option<(Duration, Vec<Duration>)>,
}

/// What the services saw of the payments after the first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Warm {
    /// Calls of a payment, at least.
    pub calls_min: usize,
    /// And at most.
    pub calls_max: usize,
    /// The longest chain of calls of a payment; the middle one of all payments, because a process that loses its
    /// processor for a while makes two calls one after the other that it meant to make at once.
    pub hops: usize,
    /// Connections made by all of them together.
    pub connections: usize,
}

/// Why a run is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// A process failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It answered something else than a payment.
    #[error("{name} answered payment {number} with {answer}")]
    Refused {
        /// The subject.
        name: String,
        /// Which payment of its process.
        number: usize,
        /// What it answered.
        answer: String,
    },
    /// It does not do what it is compared for.
    #[error("{name}: {what}")]
    Unequal {
        /// The subject.
        name: String,
        /// What was expected, and what was seen.
        what: String,
    },
}

/// All processes of a subject at a delay.
#[derive(Debug, Clone)]
pub struct Series {
    /// The subject.
    pub subject: Subject,
    /// What a call took.
    pub delay: Duration,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// Measures all subjects at all delays.
///
/// # Errors
/// The first process that fails, answers wrongly, or makes other calls than it is compared for.
pub async fn run(
    world: &World,
    subjects: &[Subject],
    plan: &Plan,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Series>, MeasureError> {
    let mut all: Vec<Series> = plan
        .delays
        .iter()
        .flat_map(|delay| {
            subjects.iter().map(|subject| Series {
                subject: subject.clone(),
                delay: *delay,
                processes: Vec::new(),
            })
        })
        .collect();
    for round in 0..plan.processes {
        // Another one begins each round: none is always the one after the heaviest.
        let count = all.len();
        for place in 0..count {
            let Some(series) = all.get_mut((place + round) % count) else {
                continue;
            };
            world.set_delay(series.delay);
            let warm = series.subject.warm.unwrap_or(plan.warm);
            let process = one_process(world, &series.subject, warm).await?;
            check(&series.subject, &process, series.delay)?;
            series.processes.push(process);
        }
        progress(round + 1);
    }
    Ok(all)
}

/// One process, from its start to its end.
async fn one_process(
    world: &World,
    subject: &Subject,
    warm: usize,
) -> Result<Process, MeasureError> {
    let sandbox = Sandbox::start(world, subject).await?;
    let first = paid(&sandbox, subject, 0).await?;
    let cold_cpu = sandbox.cpu();
    let mut cold_seen = sandbox.at_init.clone();
    cold_seen.calls.extend(first.seen.calls.iter().copied());
    cold_seen.connections.extend(&first.seen.connections);
    let services = || process::cpu(Pid::this()).unwrap_or_default();
    let services_before = services();
    let mut answers = Vec::with_capacity(warm);
    for number in 1..=warm {
        answers.push(paid(&sandbox, subject, number).await?);
    }
    let payments = u32::try_from(warm).unwrap_or(u32::MAX).max(1);
    let process = Process {
        init: sandbox.init,
        first: first.took,
        cold_cpu,
        warm_cpu: (sandbox.cpu().saturating_sub(cold_cpu)) / payments,
        services_cpu: services().saturating_sub(services_before) / payments,
        memory: sandbox.memory().unwrap_or(Memory {
            resident_kb: 0,
            peak_kb: 0,
        }),
        cold_seen,
        warm_seen: warm_seen(&answers),
        chain: chain(&first).map(|first| (first, answers.iter().filter_map(chain).collect())),
        warm: answers.iter().map(|answer| answer.took).collect(),
    };
    sandbox.stop().await;
    if subject.kind != Kind::Empty {
        let complete = (warm + 1, warm + 1);
        let found = world.payments();
        if found != complete {
            let what = format!("{} payments left {found:?} in three places", warm + 1);
            return Err(unequal(subject, what));
        }
    }
    world.clear();
    Ok(process)
}

/// One payment, and what the process does after its answer.
async fn paid(
    sandbox: &Sandbox<'_>,
    subject: &Subject,
    number: usize,
) -> Result<Answer, MeasureError> {
    let event = payment::event(&format!("order-{number}"));
    let mut answer = sandbox.invoke(&event).await?;
    sandbox.settled().await;
    // What it did between its answer and its next poll belongs to this payment.
    let after = sandbox.seen();
    answer.seen.calls.extend(after.calls);
    answer.seen.connections.extend(after.connections);
    if answer.failed || payment::status(&answer.body) != Some(201) {
        return Err(MeasureError::Refused {
            name: subject.name.clone(),
            number,
            answer: String::from_utf8_lossy(&answer.body).into_owned(),
        });
    }
    Ok(answer)
}

fn chain(answer: &Answer) -> Option<Duration> {
    let answer: Value = serde_json::from_slice(&answer.body).ok()?;
    answer["chainUs"].as_u64().map(Duration::from_micros)
}

fn warm_seen(answers: &[Answer]) -> Warm {
    let mut hops: Vec<usize> = answers.iter().map(|answer| answer.seen.hops()).collect();
    hops.sort_unstable();
    let calls = || answers.iter().map(|answer| answer.seen.calls.len());
    Warm {
        calls_min: calls().min().unwrap_or_default(),
        calls_max: calls().max().unwrap_or_default(),
        hops: hops.get(hops.len() / 2).copied().unwrap_or_default(),
        connections: answers.iter().map(|a| a.seen.connections.len()).sum(),
    }
}

fn unequal(subject: &Subject, what: String) -> MeasureError {
    MeasureError::Unequal {
        name: subject.name.clone(),
        what,
    }
}

/// A comparison is one only between subjects that do the same: four calls in three hops on connections that are kept. One
/// that makes its clients with every payment does more, which is what it is there to show.
fn check(subject: &Subject, process: &Process, delay: Duration) -> Result<(), MeasureError> {
    let places = [Place::Sessions, Place::Log, Place::Secrets, Place::Ledger];
    let connected = |place| process.cold_seen.connections.contains(place);
    let warm = process.warm_seen;
    match subject.kind {
        Kind::Empty => {
            if process.cold_seen.calls.len() + warm.calls_max > 0 {
                return Err(unequal(subject, "it calls something".to_owned()));
            }
            return Ok(());
        }
        Kind::InHandler => return Ok(()),
        Kind::Payments | Kind::Peer => {}
    }
    if !places.iter().all(connected) {
        let what = format!("it connected to {:?} only", process.cold_seen.connections);
        return Err(unequal(subject, what));
    }
    if (warm.calls_min, warm.calls_max) != (CALLS, CALLS) {
        let what = format!(
            "a warm payment made {} to {} calls, not {CALLS}",
            warm.calls_min, warm.calls_max
        );
        return Err(unequal(subject, what));
    }
    if warm.connections > 0 {
        let what = format!("warm payments made {} connections", warm.connections);
        return Err(unequal(subject, what));
    }
    // Without a delay, two calls at once can be over one after the other.
    if subject.kind == Kind::Payments && !delay.is_zero() && warm.hops != HOPS {
        let what = format!("a warm payment was a chain of {}, not {HOPS}", warm.hops);
        return Err(unequal(subject, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const DELAY: Duration = Duration::from_millis(3);

    fn process(warm_seen: Warm, connections: &[Place]) -> Process {
        Process {
            init: DELAY,
            first: DELAY,
            warm: vec![DELAY],
            cold_cpu: DELAY,
            warm_cpu: DELAY,
            services_cpu: DELAY,
            memory: Memory {
                resident_kb: 1,
                peak_kb: 1,
            },
            cold_seen: Seen {
                calls: Vec::new(),
                connections: connections.to_vec(),
            },
            warm_seen,
            chain: None,
        }
    }

    #[test]
    fn only_what_does_the_same_is_compared() {
        let all = [Place::Sessions, Place::Log, Place::Secrets, Place::Ledger];
        let right = Warm {
            calls_min: CALLS,
            calls_max: CALLS,
            hops: HOPS,
            connections: 0,
        };
        let kind = |kind| Subject::function("f", Path::new("f")).of_kind(kind, None);
        let is_taken = |of: Kind, warm: Warm, delay: Duration| {
            check(&kind(of), &process(warm, &all), delay).is_ok()
        };
        let payments = Kind::Payments;
        assert!(is_taken(payments, right, DELAY));
        assert!(!is_taken(
            payments,
            Warm {
                calls_max: 5,
                ..right
            },
            DELAY
        ));
        assert!(!is_taken(
            payments,
            Warm {
                calls_min: 3,
                ..right
            },
            DELAY
        ));
        assert!(!is_taken(
            payments,
            Warm {
                connections: 1,
                ..right
            },
            DELAY
        ));
        let in_a_row = Warm { hops: 4, ..right };
        assert!(!is_taken(payments, in_a_row, DELAY));
        assert!(is_taken(payments, in_a_row, Duration::ZERO));
        assert!(is_taken(Kind::Peer, in_a_row, DELAY));
        assert!(!is_taken(
            Kind::Peer,
            Warm {
                connections: 1,
                ..right
            },
            DELAY
        ));
        assert!(is_taken(
            Kind::InHandler,
            Warm {
                connections: 4,
                ..right
            },
            DELAY
        ));
        assert!(!is_taken(Kind::Empty, right, DELAY));
        let without_ledger = process(right, &all[..3]);
        assert!(check(&kind(payments), &without_ledger, DELAY).is_err());
    }
}
