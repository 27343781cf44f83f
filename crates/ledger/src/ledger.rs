//! One kept connection, what is tried again, and what is known of the effect afterwards.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Color, Scope};
use cutover_ports::payment::{Applied, CallError, Found, Ledger, Readiness, Secrets, Source};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::credentials::Credentials;

/// Until a connection stands: TCP, TLS, login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One attempt on a connection.
const ASK_TIMEOUT: Duration = Duration::from_secs(4);
/// Attempts in all, whatever fails.
const ATTEMPTS_MAX: u32 = 3;
/// Wait before each further attempt.
const WAIT: Duration = Duration::from_millis(50);
/// A connection that lay idle for longer may have died while the sandbox was frozen: the other side hears nothing from it.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// After that a connection is made anew, so that a failover or a change of the address is followed.
const LIFE_MAX: Duration = Duration::from_mins(2);

/// Which database, and how it is reached.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// ARN or name of the database secret.
    pub secret_id: String,
    /// `host` or `host:port` in place of what the secret says.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the server's certificate is verified by, in place of the built-in ones.
    pub ca_bundle: Option<PathBuf>,
}

/// A ledger in a SQL database, with one connection that is kept from invocation to invocation.
pub struct SqlLedger<S> {
    secrets: S,
    config: LedgerConfig,
    credentials: RefCell<Option<Credentials>>,
    kept: RefCell<Option<Kept>>,
    idle_max: Duration,
    /// How many connections were opened, for tests and logs.
    opened: Cell<u32>,
}

struct Kept {
    connection: Connection,
    born: SystemTime,
    used: SystemTime,
}

impl Kept {
    /// Wall time, not the monotonic clock: that may stand still while a sandbox is frozen.
    fn is_fresh(&self, now: SystemTime, idle_max: Duration) -> bool {
        let within = |since: SystemTime, most| now.duration_since(since).is_ok_and(|d| d < most);
        !self.connection.has_ended() && within(self.used, idle_max) && within(self.born, LIFE_MAX)
    }
}

/// Why an attempt failed, and what that means for the next one.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) applied: Applied,
    pub(crate) remedy: Remedy,
    pub(crate) source: Source,
}

/// What may make the next attempt better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same connection will do: a deadlock, a lock that was not given in time.
    Again,
    /// A new connection: this one broke, or leads to a server that may not write.
    Reconnect,
    /// The secret has to be read again: the login was refused.
    ReadSecret,
    /// None: it would fail again.
    None,
}

impl Failure {
    pub(crate) fn new(applied: Applied, remedy: Remedy, source: impl Into<Source>) -> Self {
        Self {
            applied,
            remedy,
            source: source.into(),
        }
    }
}

impl<S: Secrets> SqlLedger<S> {
    /// A ledger that connects when it is first used.
    #[must_use]
    pub fn new(secrets: S, config: LedgerConfig) -> Self {
        Self {
            secrets,
            config,
            credentials: RefCell::new(None),
            kept: RefCell::new(None),
            idle_max: IDLE_MAX,
            opened: Cell::new(0),
        }
    }

    /// With another limit on how long a connection may lie idle, instead of 30 s.
    #[must_use]
    pub fn with_idle_max(mut self, idle_max: Duration) -> Self {
        self.idle_max = idle_max;
        self
    }

    /// Where its credentials come from.
    #[must_use]
    pub fn secrets(&self) -> &S {
        &self.secrets
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections_opened(&self) -> u32 {
        self.opened.get()
    }

    /// The kept connection if it is fresh, else a new one. While one is in use another caller gets its own.
    async fn connection(&self, until: Instant) -> Result<Kept, Failure> {
        let kept = self.kept.borrow_mut().take();
        if let Some(kept) = kept.filter(|kept| kept.is_fresh(SystemTime::now(), self.idle_max)) {
            return Ok(kept);
        }
        let limit = CONNECT_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
        let connecting = async {
            let credentials = self.credentials().await?;
            // On the heap: the future is large and seldom needed, and all that await it would copy it.
            Box::pin(Connection::open(
                &credentials,
                self.config.ca_bundle.as_deref(),
            ))
            .await
        };
        let connection = timeout(limit, connecting)
            .await
            .map_err(|_| Failure::new(Applied::No, Remedy::Reconnect, "no connection in time"))??;
        self.opened.set(self.opened.get().saturating_add(1));
        let now = SystemTime::now();
        Ok(Kept {
            connection,
            born: now,
            used: now,
        })
    }

    async fn credentials(&self) -> Result<Credentials, Failure> {
        if let Some(known) = self.credentials.borrow().as_ref() {
            return Ok(known.clone());
        }
        let refused = |source| Failure::new(Applied::No, Remedy::Reconnect, source);
        let secret = self.secrets.get(&self.config.secret_id).await;
        let secret = secret.map_err(|error| refused(Source::from(error)))?;
        let credentials = Credentials::parse(&secret, self.config.endpoint.as_deref())
            .map_err(|error| Failure::new(Applied::No, Remedy::None, error))?;
        *self.credentials.borrow_mut() = Some(credentials.clone());
        Ok(credentials)
    }

    /// The secret is read again before the next login.
    fn forget_credentials(&self) {
        *self.credentials.borrow_mut() = None;
    }

    fn keep(&self, mut kept: Kept) {
        kept.used = SystemTime::now();
        *self.kept.borrow_mut() = Some(kept);
    }

    /// One attempt at `ask` on a connection, which is kept unless it broke.
    async fn once<T>(&self, until: Instant, ask: &impl Ask<T>) -> Result<T, Failure> {
        let mut kept = self.connection(until).await?;
        let limit = ASK_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
        let answered = timeout(limit, ask.ask(&mut kept.connection))
            .await
            .unwrap_or_else(|_| {
                let source = "no answer in time";
                Err(Failure::new(Applied::Unknown, Remedy::Reconnect, source))
            });
        let broken = matches!(&answered, Err(failure) if failure.remedy == Remedy::Reconnect);
        if !broken {
            self.keep(kept);
        }
        answered
    }

    /// Attempts until there is an answer, no remedy is left, or time is up. What any attempt may have done, all may have.
    async fn ask<T>(
        &self,
        operation: &'static str,
        budget: Duration,
        ask: impl Ask<T>,
    ) -> Result<T, CallError> {
        let until = Instant::now() + budget;
        let mut applied = Applied::No;
        let mut secret_read_again = false;
        let mut attempt = 1;
        loop {
            let failure = match self.once(until, &ask).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.applied == Applied::Unknown {
                applied = Applied::Unknown;
            }
            let hopeless = match failure.remedy {
                Remedy::None => true,
                Remedy::ReadSecret => std::mem::replace(&mut secret_read_again, true),
                Remedy::Again | Remedy::Reconnect => false,
            };
            if failure.remedy == Remedy::ReadSecret {
                self.forget_credentials();
            }
            if hopeless || attempt == ATTEMPTS_MAX || Instant::now() + WAIT >= until {
                return Err(CallError {
                    operation,
                    applied,
                    source: failure.source,
                });
            }
            tokio::time::sleep(WAIT).await;
            attempt += 1;
        }
    }
}

/// Something to ask of a connection, as often as it takes.
trait Ask<T> {
    async fn ask(&self, connection: &mut Connection) -> Result<T, Failure>;
}

struct Post<'a> {
    claim: &'a Claim,
    color: Color,
}

impl Ask<Posting> for Post<'_> {
    async fn ask(&self, connection: &mut Connection) -> Result<Posting, Failure> {
        connection.post(self.claim, self.color).await
    }
}

struct Void<'a> {
    claim: &'a Claim,
    color: Color,
}

impl Ask<Posting> for Void<'_> {
    async fn ask(&self, connection: &mut Connection) -> Result<Posting, Failure> {
        connection.void(self.claim, self.color).await
    }
}

struct Ready {
    color: Color,
}

impl Ask<Readiness> for Ready {
    async fn ask(&self, connection: &mut Connection) -> Result<Readiness, Failure> {
        connection.readiness(self.color).await
    }
}

struct Find<'a> {
    scope: &'a Scope,
    transaction_id: &'a str,
}

impl Ask<Option<Found>> for Find<'_> {
    async fn ask(&self, connection: &mut Connection) -> Result<Option<Found>, Failure> {
        connection.find(self.scope, self.transaction_id).await
    }
}

impl<S: Secrets> Ledger for SqlLedger<S> {
    async fn connect(&self, budget: Duration) {
        match self.connection(Instant::now() + budget).await {
            Ok(kept) => *self.kept.borrow_mut() = Some(kept),
            Err(failure) if failure.remedy == Remedy::ReadSecret => self.forget_credentials(),
            Err(_) => {}
        }
    }

    async fn post(
        &self,
        claim: &Claim,
        color: Color,
        budget: Duration,
    ) -> Result<Posting, CallError> {
        self.ask("post to ledger", budget, Post { claim, color })
            .await
    }

    async fn void(
        &self,
        claim: &Claim,
        color: Color,
        budget: Duration,
    ) -> Result<Posting, CallError> {
        self.ask("void in ledger", budget, Void { claim, color })
            .await
    }

    async fn readiness(&self, color: Color, budget: Duration) -> Result<Readiness, CallError> {
        self.ask("read the ledger's fence", budget, Ready { color })
            .await
    }

    async fn find(
        &self,
        scope: &Scope,
        transaction_id: &str,
        budget: Duration,
    ) -> Result<Option<Found>, CallError> {
        let find = Find {
            scope,
            transaction_id,
        };
        self.ask("look up in ledger", budget, find).await
    }
}
