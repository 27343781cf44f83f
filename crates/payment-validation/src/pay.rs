//! A payment from claim to completion: three remote calls one after the other, of which the second is two at once. A
//! sandbox that has no connection to its ledger makes one while it claims.
//!
//! Nothing is decided here: [`session::decide`] and [`settle::settle`] are asked, and what they say is done.

use std::pin::pin;
use std::time::Duration;

use cutover_domain::payment::session::{self, Attempt, Decision, Footing, Response, State};
use cutover_domain::payment::settle::{self, Posting, Settlement};
use cutover_domain::payment::{
    Claim, Code, Color, Effect, Order, Problem, Session, SessionId, Timestamp,
};
use cutover_lambda::{Deadline, clock};
use cutover_ports::payment::{CallError, Ledger, Secrets, SessionStore, TransactionLog, Written};

use crate::hash_keys::HashKeys;
use crate::hops::{Hop, Hops};
use crate::meanwhile::Meanwhile;
use crate::post::LEDGER_GRACE;

/// With less time than this left, a payment is not begun: it could not be finished.
const TIME_TO_BEGIN: Duration = Duration::from_millis(500);
/// Kept for completing or giving back, while ledger and log are written.
pub(crate) const TIME_TO_END: Duration = Duration::from_secs(1);
/// Rounds of reading and taking over a session that others write too.
const ROUNDS_MAX: u32 = 4;

/// Makes payments in one color.
pub struct Payments<S, L, T, K> {
    /// Who executes.
    pub color: Color,
    /// The environment's name.
    pub environment: String,
    /// The session table.
    pub sessions: S,
    /// The color's ledger.
    pub ledger: L,
    /// The log bucket.
    pub log: T,
    /// The key of the keyed hashes.
    pub hash_keys: HashKeys<K>,
}

/// A payment's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// What is answered.
    pub response: Response,
    /// Whether it was recorded before this invocation.
    pub replayed: bool,
}

/// Why there is no payment.
#[derive(Debug)]
pub struct Failure {
    /// What the caller is told.
    pub problem: Problem,
    /// What the log says: the operation that failed, and why.
    pub cause: Option<Box<CallError>>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            cause: None,
        }
    }
}

impl Failure {
    fn caused(problem: Problem, cause: CallError) -> Self {
        Self {
            problem,
            cause: Some(Box::new(cause)),
        }
    }
}

/// A session that this attempt owns.
struct Held {
    session: Session,
    footing: Footing,
}

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// Makes a payment, once. `owner` is a random id of this attempt.
    ///
    /// # Errors
    /// [`Failure`]: its effect says whether the payment was made nevertheless.
    pub async fn pay(
        &self,
        order: Order,
        owner: String,
        deadline: Deadline,
        hops: &mut Hops,
    ) -> Result<Paid, Failure> {
        if deadline.remaining() < TIME_TO_BEGIN {
            let effect = self.effect_so_far(&order, deadline).await;
            return Err(not_begun(Code::OutOfTime, effect).into());
        }
        let left = reserve(deadline, TIME_TO_END).saturating_sub(LEDGER_GRACE);
        let mut connecting = pin!(self.ledger.connect(left));
        let mut connecting = Meanwhile::new(connecting.as_mut());
        let claiming = self.claim_order(order, owner, deadline, hops);
        match connecting.during(claiming).await? {
            Claimed::Held(held) => self.execute(*held, deadline, hops, connecting).await,
            Claimed::Replay(response) => Ok(Paid {
                response,
                replayed: true,
            }),
        }
    }

    async fn claim_order(
        &self,
        order: Order,
        owner: String,
        deadline: Deadline,
        hops: &mut Hops,
    ) -> Result<Claimed, Failure> {
        let claim = self.claim_of(order, deadline).await?;
        let attempt = Attempt {
            owner,
            color: self.color,
            now: now(),
            deadline: Timestamp::from_ms(deadline.at_ms()),
        };
        let claiming = self.claim(claim, &attempt, deadline);
        hops.timed(Hop::Claim, claiming).await
    }

    async fn claim_of(&self, order: Order, deadline: Deadline) -> Result<Claim, Failure> {
        let reading = self.hash_keys.get();
        let left = reserve(deadline, TIME_TO_END);
        let key = match bounded(left, "get hash key", reading).await {
            Ok(key) => key,
            Err(error) => {
                let effect = self.effect_so_far(&order, deadline).await;
                let problem = not_begun(Code::SecretUnavailable, effect);
                return Err(Failure::caused(problem, error));
            }
        };
        let (payment, fingerprint) = order.request.seal(&key);
        Ok(Claim {
            scope: order.scope,
            key: order.key,
            payment,
            fingerprint,
            environment: self.environment.clone(),
            created_at: now(),
        })
    }

    /// What an attempt that could not begin may say of the payment: an earlier one with the same key may have made it.
    /// Only a session that is known to be absent says that none did.
    async fn effect_so_far(&self, order: &Order, deadline: Deadline) -> Effect {
        let id = SessionId::new(&order.scope, &order.key);
        let looking = self.sessions.get(&id);
        match bounded(deadline.remaining(), "get session", looking).await {
            Ok(None) => Effect::None,
            Ok(Some(_)) | Err(_) => Effect::Unknown,
        }
    }

    async fn claim(
        &self,
        claim: Claim,
        attempt: &Attempt,
        deadline: Deadline,
    ) -> Result<Claimed, Failure> {
        let fingerprint = claim.fingerprint;
        let mine = Session::begin(claim, attempt);
        let left = reserve(deadline, TIME_TO_END);
        let mut standing = match bounded(left, "put session", self.sessions.create(&mine)).await {
            Ok(Written::Done) => return Ok(Claimed::held(mine, Footing::Fresh)),
            Ok(Written::Refused(standing)) => standing,
            Ok(Written::TransactionTaken) => return Err(settle::transaction_exists().into()),
            Err(error) => return Err(self.unclaimed(&mine, error, deadline).await),
        };
        for _ in 0..ROUNDS_MAX {
            let Some(existing) = standing else {
                break;
            };
            let (session, footing) = match session::decide(&existing, &fingerprint, attempt) {
                Decision::Mine => return Ok(Claimed::held(*existing, Footing::Fresh)),
                Decision::Replay(response) => return Ok(Claimed::Replay(response)),
                Decision::InFlight {
                    retry_after_seconds,
                } => return Err(in_flight(retry_after_seconds).into()),
                Decision::Mismatch => return Err(settle::key_reused().into()),
                Decision::Voided => return Err(settle::voided().into()),
                Decision::TakeOver { session, footing } => (*session, footing),
            };
            let left = reserve(deadline, TIME_TO_END);
            let taking = self.sessions.replace(&session, &existing);
            standing = match bounded(left, "update session", taking).await {
                Ok(Written::Done) => return Ok(Claimed::held(session, footing)),
                Ok(Written::Refused(standing)) => standing,
                Ok(Written::TransactionTaken) => return Err(settle::transaction_exists().into()),
                Err(error) => {
                    let problem = store_problem().effect(Effect::Unknown);
                    return Err(Failure::caused(problem, error));
                }
            };
        }
        Err(in_flight(1).into())
    }

    /// The claim was not confirmed. Only if the session is now certainly free was there no effect: that this attempt wrote
    /// nothing says nothing of those before it.
    async fn unclaimed(&self, mine: &Session, error: CallError, deadline: Deadline) -> Failure {
        let effect = if self.give_back(mine, deadline).await {
            Effect::None
        } else {
            Effect::Unknown
        };
        Failure::caused(store_problem().effect(effect), error)
    }

    async fn give_back(&self, session: &Session, deadline: Deadline) -> bool {
        let released = session.released(now());
        let giving = self.sessions.give_back(&released);
        matches!(
            bounded(deadline.remaining(), "give back session", giving).await,
            Ok(Written::Done)
        )
    }

    async fn execute(
        &self,
        held: Held,
        deadline: Deadline,
        hops: &mut Hops,
        connecting: Meanwhile<'_>,
    ) -> Result<Paid, Failure> {
        let posted = self
            .post(&held.session.claim, deadline, hops, connecting)
            .await;
        let orphaned = match &posted.posting {
            // The object that was written at the same time has no row, and no attempt can give it one.
            Posting::TransactionExists | Posting::Voided => {
                self.mark(&held.session.claim, deadline).await.err()
            }
            _ => None,
        };
        let settlement = settle::settle(
            &held.session,
            held.footing,
            self.color,
            posted.posting,
            posted.logged.is_ok(),
            now(),
        );
        let cause = posted.ledger_cause.or(posted.logged.err()).or(orphaned);
        let cause = cause.map(Box::new);
        let ending = self.end(held, settlement, cause, deadline);
        hops.timed(Hop::Complete, ending).await
    }

    async fn end(
        &self,
        held: Held,
        settlement: Settlement,
        cause: Option<Box<CallError>>,
        deadline: Deadline,
    ) -> Result<Paid, Failure> {
        match settlement {
            Settlement::Complete(session) => self.complete(&held.session, &session, deadline).await,
            Settlement::Close(session, problem) => {
                // Whether this write is confirmed changes nothing: the lease ends by itself.
                let writing = self.sessions.replace(&session, &held.session);
                let _ended = bounded(deadline.remaining(), "update session", writing).await;
                Err(Failure { problem, cause })
            }
            Settlement::Release(session, problem) => {
                let writing = self.sessions.replace(&session, &held.session);
                let written = bounded(deadline.remaining(), "update session", writing).await;
                let problem = if matches!(written, Ok(Written::Done)) {
                    problem
                } else {
                    problem.effect(Effect::Unknown)
                };
                Err(Failure { problem, cause })
            }
        }
    }

    /// The payment is in ledger and log; the session has yet to say so.
    async fn complete(
        &self,
        held: &Session,
        completed: &Session,
        deadline: Deadline,
    ) -> Result<Paid, Failure> {
        let writing = self.sessions.replace(completed, held);
        match bounded(deadline.remaining(), "update session", writing).await {
            Ok(Written::Done) => response_of(completed, false),
            // Another attempt took over in the meantime, and may have completed it.
            Ok(Written::Refused(Some(standing)))
                if standing.claim.fingerprint == held.claim.fingerprint =>
            {
                response_of(&standing, true)
            }
            Ok(Written::Refused(_) | Written::TransactionTaken) => Err(unconfirmed().into()),
            Err(error) => Err(Failure::caused(unconfirmed(), error)),
        }
    }
}

/// What claiming a session led to.
enum Claimed {
    Held(Box<Held>),
    Replay(Response),
}

impl Claimed {
    fn held(session: Session, footing: Footing) -> Self {
        Self::Held(Box::new(Held { session, footing }))
    }
}

fn response_of(session: &Session, replayed: bool) -> Result<Paid, Failure> {
    match &session.state {
        State::Completed(response) => Ok(Paid {
            response: response.clone(),
            replayed,
        }),
        _ => Err(unconfirmed().into()),
    }
}

fn in_flight(retry_after_seconds: u64) -> Problem {
    let detail = "Another attempt with this key is running. Send the same request again later.";
    let mut problem = Problem::new(Code::PaymentInProgress, detail).effect(Effect::Unknown);
    problem.retry_after_seconds = Some(retry_after_seconds);
    problem
}

fn not_begun(code: Code, effect: Effect) -> Problem {
    let detail = "Nothing was begun this time. Send the same request again.";
    Problem::new(code, detail).effect(effect)
}

fn store_problem() -> Problem {
    let detail = "The session store did not confirm the claim. Send the same request again.";
    Problem::new(Code::SessionStoreUnavailable, detail)
}

fn unconfirmed() -> Problem {
    let detail = "The payment is recorded. Send the same request again for its receipt.";
    Problem::new(Code::CompletionUnconfirmed, detail).effect(Effect::Committed)
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_ms(clock::now_ms())
}

/// The time left, less what is kept for the end; half of it where that is more.
pub(crate) fn reserve(deadline: Deadline, kept: Duration) -> Duration {
    let remaining = deadline.remaining();
    remaining.saturating_sub(kept).max(remaining / 2)
}

/// A call that must answer within `limit`.
pub(crate) async fn bounded<V>(
    limit: Duration,
    operation: &'static str,
    call: impl Future<Output = Result<V, CallError>>,
) -> Result<V, CallError> {
    tokio::time::timeout(limit, call)
        .await
        .unwrap_or_else(|_| Err(CallError::timed_out(operation)))
}

#[cfg(test)]
#[path = "pay_tests.rs"]
mod tests;
