//! All checks side by side, under one time budget, over as many invocations as it takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cutover_custom_resource::Progress;
use cutover_domain::payment::Timestamp;
use cutover_domain::validation::progress::{Checkpoint, Claim};
use cutover_domain::validation::properties::PropertyError;
use cutover_domain::validation::{
    Check, Finding, Judgement, Plan, Properties, Report, page, report,
};
use cutover_lambda::{Deadline, clock};
use cutover_ports::memory::{Memory, NoteKey, Noted};
use cutover_ports::validation::{Again, Reports};
use tokio::task::JoinSet;

use crate::checks::{Look, Looked, in_words};
use crate::estate::Estate;
use crate::event::Continuation;

/// Kept free after the checks, to write the report or to hand on; at most a quarter of the time that there is.
const AFTERWARDS: Duration = Duration::from_secs(8);
/// A check that calls services only has answers within seconds, retries included.
const QUICK_MAX: Duration = Duration::from_mins(2);
/// A checkpoint of a direct validation that is older is not gone on from: the databases are others by then.
const CHECKPOINT_AGE_MAX: Duration = Duration::from_mins(30);
/// How long a checkpoint is kept.
const CHECKPOINT_KEPT: Duration = Duration::from_hours(24);

/// What validates.
pub struct Validator {
    /// The environment's name.
    pub environment: String,
    /// Where reports go; without it, into the bucket that is checked.
    pub report_bucket: Option<String>,
    /// What is looked at.
    pub estate: Arc<Estate>,
    /// Checkpoints; the protocol keeps its verdicts in it, too.
    pub memory: Box<dyn Memory>,
    /// Where reports go.
    pub reports: Box<dyn Reports>,
    /// This function once more.
    pub again: Box<dyn Again>,
}

/// One validation that was asked for.
pub struct Order<'a> {
    /// What was asked for.
    pub properties: Properties,
    /// What its checkpoint is kept under.
    pub key: NoteKey,
    /// The invocation's id.
    pub owner: &'a str,
    /// Tells its report from others of the same second.
    pub report_id: String,
    /// When it must have ended.
    pub until: Deadline,
    /// How it goes on after this invocation, if it can.
    pub continues: Option<Continues<'a>>,
    /// What it is at.
    pub progress: Progress,
}

/// How a validation goes on after this invocation.
pub struct Continues<'a> {
    /// The event that asked for it.
    pub event: &'a str,
    /// How long whoever asked waits, from the first invocation on.
    pub window: Duration,
}

/// What a validation ended with.
#[derive(Debug)]
pub enum Concluded {
    /// Everything was looked at, or could not be.
    Reported(Box<Report>, Vec<String>),
    /// Another invocation goes on.
    HandedOn {
        /// How many invocations came before it.
        number: u32,
    },
    /// Another invocation is at it already.
    Elsewhere,
}

/// A checkpoint, and the version of its note.
struct Held {
    checkpoint: Checkpoint,
    version: u64,
}

/// Whose a checkpoint is.
enum Hold {
    Mine(Held),
    Theirs,
    /// There is none: the memory could not be asked.
    Nobodys,
}

impl Validator {
    /// Validates.
    ///
    /// # Errors
    /// What was asked for can't be: nothing was looked at.
    pub async fn validate(&self, order: Order<'_>) -> Result<Concluded, PropertyError> {
        let plan = Plan::of(&order.properties)?;
        let mut faults = Vec::new();
        let mut held = None;
        if plan.run.contains(&Check::DataParity) {
            match self.hold(&order, &mut faults).await {
                Hold::Theirs => return Ok(Concluded::Elsewhere),
                Hold::Mine(mine) => held = Some(mine),
                Hold::Nobodys => {}
            }
        }
        let afterwards = AFTERWARDS.min(order.until.remaining() / 4);
        let until = Deadline::until(order.until.remaining().saturating_sub(afterwards));
        let before = held
            .as_ref()
            .map(|held| held.checkpoint.clone())
            .unwrap_or_default();
        let Ran {
            mut findings,
            tokens,
            unfinished,
        } = self.run(&order, &plan, before, until).await;
        if !tokens.is_empty() {
            match self.hand_on(&order, held.take(), &findings, tokens).await {
                Ok(number) => return Ok(Concluded::HandedOn { number }),
                Err(why) => findings.extend(given_up(unfinished, &why)),
            }
        } else if let Some(held) = held {
            self.forget(&order, &held, &mut faults).await;
        }
        let skipped = plan.skipped.into_iter();
        findings.extend(skipped.map(|(check, judgement)| judgement.of(check, 0)));
        let report = self.report(&order, findings, &mut faults).await;
        Ok(Concluded::Reported(Box::new(report), faults))
    }

    /// Takes the checkpoint, if the memory can be asked; without it a validation has this invocation only.
    async fn hold(&self, order: &Order<'_>, faults: &mut Vec<String>) -> Hold {
        let note = match self.memory.read(&order.key).await {
            Ok(note) => note,
            Err(error) => {
                faults.push(in_words(&error));
                return Hold::Nobodys;
            }
        };
        let now_ms = clock::now_ms();
        let version = note.as_ref().map_or(0, |note| note.version);
        let stands = note
            .and_then(|note| serde_json::from_str::<Checkpoint>(&note.text).ok())
            .filter(|stands| order.continues.is_some() || is_fresh(stands, now_ms));
        let lease_ms = order.until.at_ms();
        let checkpoint = match Checkpoint::claim(stands, order.owner, now_ms, lease_ms) {
            Claim::Mine(checkpoint) => checkpoint,
            Claim::Theirs { .. } => return Hold::Theirs,
        };
        let text = serde_json::to_string(&checkpoint).unwrap_or_default();
        let written = self
            .memory
            .write(&order.key, version, &text, expiry(now_ms));
        match written.await {
            Ok(Noted::Done) => Hold::Mine(Held {
                checkpoint,
                version: version.saturating_add(1),
            }),
            // Another took it between the read and the write.
            Ok(Noted::Refused) => Hold::Theirs,
            Err(error) => {
                faults.push(in_words(&error));
                Hold::Nobodys
            }
        }
    }

    /// Hands the validation to another invocation: first what is known, then the call.
    async fn hand_on(
        &self,
        order: &Order<'_>,
        held: Option<Held>,
        findings: &[Finding],
        tokens: BTreeMap<Check, String>,
    ) -> Result<u32, String> {
        let Some(held) = held else {
            return Err("where it stopped could not be kept".to_owned());
        };
        let now_ms = clock::now_ms();
        let window = order
            .continues
            .as_ref()
            .map_or(CHECKPOINT_AGE_MAX, |c| c.window);
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        // Only rows take longer than an invocation. Everything else is looked at again: it may have changed since.
        let done = findings
            .iter()
            .filter(|finding| finding.name == Check::DataParity);
        let next = held
            .checkpoint
            .hand_on(done.cloned().collect(), tokens, now_ms, window_ms)?;
        let text = serde_json::to_string(&next).unwrap_or_default();
        match self
            .memory
            .write(&order.key, held.version, &text, expiry(now_ms))
            .await
        {
            Ok(Noted::Done) => {}
            Ok(Noted::Refused) => return Err("another invocation took it over".to_owned()),
            Err(error) => return Err(in_words(&error)),
        }
        let Some(continues) = &order.continues else {
            return Err(
                "one invocation was not enough: ask again, and it goes on from there".to_owned(),
            );
        };
        let mark = Continuation {
            began_ms: next.began_ms,
            number: next.invocations,
        };
        let event = mark
            .mark(continues.event)
            .ok_or("the event can't be handed on")?;
        let again = self.again.invoke(event).await;
        again.map_err(|error| in_words(&error))?;
        Ok(next.invocations)
    }

    /// A validation that ended leaves nothing to go on from: the next one looks at every row.
    async fn forget(&self, order: &Order<'_>, held: &Held, faults: &mut Vec<String>) {
        let text = serde_json::to_string(&Checkpoint::default()).unwrap_or_default();
        let expiry = expiry(clock::now_ms());
        if let Err(error) = self
            .memory
            .write(&order.key, held.version, &text, expiry)
            .await
        {
            faults.push(in_words(&error));
        }
    }

    async fn run(
        &self,
        order: &Order<'_>,
        plan: &Plan,
        before: Checkpoint,
        until: Deadline,
    ) -> Ran {
        let mut ran = Ran {
            findings: before.done,
            ..Ran::default()
        };
        let properties = Arc::new(order.properties.clone());
        let (mut tasks, mut names) = (JoinSet::new(), BTreeMap::new());
        let mut tokens = before.tokens;
        for check in plan.run.iter().copied() {
            if ran.findings.iter().any(|finding| finding.name == check) {
                continue;
            }
            let look = Look {
                estate: Arc::clone(&self.estate),
                properties: Arc::clone(&properties),
                until: of_check(check, until),
            };
            let token = tokens.remove(&check);
            let running = order.progress.begin(check.name());
            let task = tasks.spawn(async move {
                let _running = running;
                let began_ms = clock::now_ms();
                let time = look.until.remaining();
                let looked = tokio::time::timeout(time, look.run(check, token)).await;
                (looked.ok(), clock::now_ms().saturating_sub(began_ms))
            });
            names.insert(task.id(), check);
        }
        while let Some(ended) = tasks.join_next_with_id().await {
            let (id, looked) = match ended {
                Ok((id, (looked, ms))) => (id, Some((looked, ms))),
                Err(error) => (error.id(), None),
            };
            if let Some(check) = names.get(&id) {
                ran.ended(*check, looked);
            }
        }
        ran
    }

    /// Writes the report in both forms, and says where.
    async fn report(
        &self,
        order: &Order<'_>,
        findings: Vec<Finding>,
        faults: &mut Vec<String>,
    ) -> Report {
        let validated_at = Timestamp::from_ms(clock::now_ms()).to_string();
        let properties = &order.properties;
        let mut report = Report::new(properties.mode, findings, validated_at);
        let bucket = self
            .report_bucket
            .as_ref()
            .or(properties.transaction_bucket.as_ref());
        let Some(bucket) = bucket else {
            return report;
        };
        let (prefix, at) = (&properties.report_prefix, &report.validated_at);
        let key = report::key(prefix, &self.environment, at, &order.report_id);
        report.report_uri = Some(format!("s3://{bucket}/{key}.json"));
        let json = report.to_json().to_string().into_bytes();
        let html = page::page(&report, &self.environment, properties.deployment.as_deref());
        let (json_key, html_key) = (format!("{key}.json"), format!("{key}.html"));
        let written = async {
            tokio::try_join!(
                self.reports
                    .put(bucket, &json_key, "application/json", json),
                self.reports.put(
                    bucket,
                    &html_key,
                    "text/html; charset=utf-8",
                    html.into_bytes()
                )
            )
        };
        let fault = match tokio::time::timeout(order.until.remaining(), written).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(in_words(&error)),
            Err(_elapsed) => Some("no answer in time".to_owned()),
        };
        if let Some(fault) = fault {
            report.report_uri = None;
            faults.push(format!("the report was not written: {fault}"));
        }
        report
    }
}

/// What the checks of one invocation ended with.
#[derive(Default)]
struct Ran {
    findings: Vec<Finding>,
    tokens: BTreeMap<Check, String>,
    unfinished: Vec<(Check, Judgement, u64)>,
}

impl Ran {
    fn ended(&mut self, check: Check, looked: Option<(Option<Looked>, u64)>) {
        let finding = match looked {
            Some((Some(Looked::Judged(judgement)), ms)) => judgement.of(check, ms),
            Some((Some(Looked::Unfinished { token, so_far }), ms)) => {
                self.tokens.insert(check, token);
                self.unfinished.push((check, so_far, ms));
                return;
            }
            Some((None, ms)) => Judgement::unknown(
                format!("not finished within {} s", ms / 1000),
                "an answer in time",
                "look at the service or database that this check asks, and validate again",
            )
            .of(check, ms),
            None => Judgement::unknown(
                "a panic ended the check: this is a defect of the validator",
                "no defect",
                "look at the validator's log, and report it",
            )
            .of(check, 0),
        };
        self.findings.push(finding);
    }
}

/// Rows may take all the time that there is.
fn of_check(check: Check, until: Deadline) -> Deadline {
    match check {
        Check::DataParity | Check::Reconciliation => until,
        _ => Deadline::until(QUICK_MAX.min(until.remaining())),
    }
}

/// What stopped without an end is not known; what it saw already stays.
fn given_up(unfinished: Vec<(Check, Judgement, u64)>, why: &str) -> Vec<Finding> {
    let ended = unfinished.into_iter().map(|(check, so_far, ms)| {
        let stopped = Judgement::unknown(
            format!("{why}: {}", so_far.observed),
            so_far.expected.clone(),
            "give it more time (ServiceTimeout), or compare fewer tables (ParityTables)",
        );
        let is_known = so_far.status == cutover_domain::validation::Status::Fail;
        let judgement = if is_known { so_far } else { stopped };
        judgement.of(check, ms)
    });
    ended.collect()
}

fn is_fresh(checkpoint: &Checkpoint, now_ms: u64) -> bool {
    let age = Duration::from_millis(now_ms.saturating_sub(checkpoint.began_ms));
    age <= CHECKPOINT_AGE_MAX
}

fn expiry(now_ms: u64) -> u64 {
    (now_ms / 1000).saturating_add(CHECKPOINT_KEPT.as_secs())
}
