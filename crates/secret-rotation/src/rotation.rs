//! The four steps.

use std::time::Instant;

use cutover_domain::rotation::admission::{self, CURRENT, PENDING};
use cutover_domain::rotation::hash::Salt;
use cutover_domain::rotation::{
    Admission, DatabaseSecret, Engine, Password, Step, Strategy, Versions, Way,
};
use cutover_ports::rotation::{
    Databases, Login, LoginError, LoginFault, NewVersion, PasswordPolicy, Row, SecretVersions,
    Session, StatementError, Stored, Which,
};
use uuid::Uuid;

use crate::error::{RotationError, Version};
use crate::event::Request;
use crate::{alternating, replicas, single_user};

/// Passwords that are asked for until one is not the current one.
const PASSWORDS_MAX: u32 = 3;

/// What carries the steps out.
pub struct Rotation<V, D> {
    /// Secrets Manager.
    pub versions: V,
    /// The databases.
    pub databases: D,
    /// What new passwords are made of.
    pub policy: PasswordPolicy,
    /// The strategy; none lets each secret say.
    pub strategy: Option<Strategy>,
    /// Where salts come from.
    pub salt: fn() -> Salt,
}

/// 20 random bytes.
#[must_use]
pub fn random_salt() -> Salt {
    let mut salt = Salt::default();
    let bytes = [Uuid::new_v4(), Uuid::new_v4()];
    let bytes = bytes.iter().flat_map(|uuid| uuid.as_bytes());
    // Bytes 6 and 8 of each are not all random: twenty are used of thirty-two.
    for (place, byte) in salt.iter_mut().zip(bytes) {
        *place = *byte;
    }
    salt
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The version is current already: nothing was done.
    AlreadyCurrent,
    /// The pending version was stored.
    Created,
    /// The pending version is there already, and is kept.
    Kept,
    /// The database has taken the pending password.
    Set,
    /// The database had it already.
    AlreadySet,
    /// The pending password logs in.
    Tested,
    /// The pending version is the current one now.
    Promoted,
}

impl Outcome {
    /// As logged and answered.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyCurrent => "already_current",
            Self::Created => "created",
            Self::Kept => "kept",
            Self::Set => "set",
            Self::AlreadySet => "already_set",
            Self::Tested => "tested",
            Self::Promoted => "promoted",
        }
    }
}

/// What is told of a step, whether it failed or not.
#[derive(Debug, Default)]
pub struct Report {
    /// Logins that were refused for their password.
    pub failed_logins: u32,
    /// Statements that the database carried out.
    pub statements: u32,
    /// The engine that the secret names.
    pub engine: Option<Engine>,
    /// The strategy in use.
    pub strategy: Option<Strategy>,
    /// How the password was changed.
    pub way: Option<Way>,
    /// Whether the current version does not log in while the pending one does: until it is promoted, new logins fail.
    pub gap: Option<bool>,
    /// What was found of replicas.
    pub replicas: Option<&'static str>,
}

/// The two versions that a step is about.
pub(crate) struct Pair {
    pub(crate) current: DatabaseSecret,
    pub(crate) pending: DatabaseSecret,
    pub(crate) strategy: Strategy,
}

/// One step, with what it is told.
pub(crate) struct Run<'a, V, D> {
    pub(crate) rotation: &'a Rotation<V, D>,
    pub(crate) secret_id: &'a str,
    pub(crate) until: Instant,
    pub(crate) report: &'a mut Report,
}

impl<V: SecretVersions, D: Databases> Rotation<V, D> {
    /// Carries one step out. The same step may be asked for again at any time, whatever became of it before.
    ///
    /// # Errors
    /// What failed. Nothing that the current version needs is gone then.
    pub async fn run(
        &self,
        request: &Request,
        until: Instant,
        report: &mut Report,
    ) -> Result<Outcome, RotationError> {
        let versions = self.versions.describe(&request.secret_id).await?;
        let admitted = admission::admit(&versions, &request.token);
        match admitted.map_err(RotationError::Refused)? {
            Admission::AlreadyCurrent => return Ok(Outcome::AlreadyCurrent),
            Admission::Pending => {}
        }
        let mut run = Run {
            rotation: self,
            secret_id: &request.secret_id,
            until,
            report,
        };
        match request.step {
            Step::Create => run.create(request).await,
            Step::Set => run.set(request).await,
            Step::Test => run.test(request).await,
            Step::Finish => run.finish(request, &versions).await,
        }
    }
}

impl<V: SecretVersions, D: Databases> Run<'_, V, D> {
    async fn create(&mut self, request: &Request) -> Result<Outcome, RotationError> {
        let current = self.current().await?;
        let strategy = self.strategy(&current)?;
        if let Some(pending) = self.pending(request).await? {
            untampered(&current, &pending, strategy)?;
            return Ok(Outcome::Kept);
        }
        let password = self.new_password(&current).await?;
        let value = current
            .successor(strategy, &password)
            .map_err(|problem| RotationError::Secret(Version::Current, problem.into()))?;
        let new = NewVersion {
            secret_id: self.secret_id,
            token: &request.token,
            rotation_token: request.rotation_token.as_ref(),
            value: &value,
        };
        match self.rotation.versions.put_pending(new).await? {
            Stored::Done => Ok(Outcome::Created),
            // An invocation beside this one was first: its password is as good.
            Stored::OtherValue => {
                let pending = self.pending(request).await?;
                let pending = pending.ok_or(RotationError::Missing(Version::Pending))?;
                untampered(&current, &pending, strategy)?;
                Ok(Outcome::Kept)
            }
        }
    }

    async fn new_password(&self, current: &DatabaseSecret) -> Result<Password, RotationError> {
        for _each in 0..PASSWORDS_MAX {
            let versions = &self.rotation.versions;
            let password = versions.random_password(&self.rotation.policy).await?;
            if password != current.password {
                return Ok(password);
            }
        }
        Err(RotationError::SamePassword)
    }

    async fn set(&mut self, request: &Request) -> Result<Outcome, RotationError> {
        let pair = self.pair(request).await?;
        let outcome = match pair.strategy {
            Strategy::SingleUser => single_user::set(self, &pair).await?,
            Strategy::AlternatingUsers => alternating::set(self, &pair).await?,
        };
        // A hash that is not well formed would be taken for a password, and an account may be in another's shadow.
        self.prove(&pair.pending).await?;
        self.look_for_gap(&pair.current).await?;
        Ok(outcome)
    }

    async fn test(&mut self, request: &Request) -> Result<Outcome, RotationError> {
        // A rotation that is configured and not begun is tried with this step alone, on a copy of the current version.
        let current = self.current().await?;
        if let Some(copy) = self.pending(request).await?
            && current.is_copied_by(&copy)
        {
            self.prove(&copy).await?;
            return Ok(Outcome::Tested);
        }
        let pair = self.pair(request).await?;
        self.prove(&pair.pending).await?;
        Ok(Outcome::Tested)
    }

    async fn finish(
        &mut self,
        request: &Request,
        versions: &Versions,
    ) -> Result<Outcome, RotationError> {
        let pair = self.pair(request).await?;
        // Once more: nobody says that the test was asked for, or that nothing changed since.
        self.prove(&pair.pending).await?;
        let login = login(&pair.pending);
        let session = self.enter("the pending version", &login).await?;
        replicas::wait(self, session).await?;
        let secrets = &self.rotation.versions;
        let from = versions.labelled(CURRENT);
        secrets
            .promote(self.secret_id, from, &request.token)
            .await?;
        let after = secrets.describe(self.secret_id).await?;
        if after.labelled(CURRENT) == Some(request.token.as_str()) {
            Ok(Outcome::Promoted)
        } else {
            Err(RotationError::NotPromoted)
        }
    }

    /// Both versions, compared before anyone connects anywhere.
    async fn pair(&mut self, request: &Request) -> Result<Pair, RotationError> {
        let current = self.current().await?;
        let strategy = self.strategy(&current)?;
        let pending = self.pending(request).await?;
        let pending = pending.ok_or(RotationError::Missing(Version::Pending))?;
        untampered(&current, &pending, strategy)?;
        Ok(Pair {
            current,
            pending,
            strategy,
        })
    }

    async fn current(&mut self) -> Result<DatabaseSecret, RotationError> {
        let which = Which::Labelled(CURRENT);
        let current = self.read(self.secret_id, which, Version::Current).await?;
        let current = current.ok_or(RotationError::Missing(Version::Current))?;
        self.report.engine = Some(current.engine);
        Ok(current)
    }

    async fn pending(&self, request: &Request) -> Result<Option<DatabaseSecret>, RotationError> {
        let which = Which::Version {
            id: &request.token,
            label: Some(PENDING),
        };
        self.read(self.secret_id, which, Version::Pending).await
    }

    /// The master's credentials, which must be for the same server.
    pub(crate) async fn master(&self, pair: &Pair) -> Result<DatabaseSecret, RotationError> {
        let id = pair.current.masterarn.as_deref();
        let id = id.ok_or(RotationError::NoMaster)?;
        let which = Which::Labelled(CURRENT);
        let master = self.read(id, which, Version::Master).await?;
        let master = master.ok_or(RotationError::Missing(Version::Master))?;
        let elsewhere = pair.current.elsewhere(&master);
        if !elsewhere.is_empty() {
            return Err(RotationError::OtherMaster(elsewhere));
        }
        Ok(master)
    }

    async fn read(
        &self,
        secret_id: &str,
        which: Which<'_>,
        version: Version,
    ) -> Result<Option<DatabaseSecret>, RotationError> {
        let text = self.rotation.versions.value(secret_id, which).await?;
        let parsed = text.map(|text| DatabaseSecret::parse(text.expose()));
        parsed
            .transpose()
            .map_err(|problem| RotationError::Secret(version, problem))
    }

    fn strategy(&mut self, current: &DatabaseSecret) -> Result<Strategy, RotationError> {
        let strategy = self.rotation.strategy;
        let strategy = strategy.unwrap_or_else(|| current.own_strategy());
        self.report.strategy = Some(strategy);
        if strategy == Strategy::AlternatingUsers && current.masterarn.is_none() {
            return Err(RotationError::NoMaster);
        }
        Ok(strategy)
    }

    /// Logs in with a version as its users do, in its database, and asks whom the server takes it for.
    pub(crate) async fn prove(&mut self, secret: &DatabaseSecret) -> Result<(), RotationError> {
        let mut session = self.enter("the pending version", &login(secret)).await?;
        let question = match secret.engine {
            Engine::Mysql | Engine::Mariadb => {
                "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', LENGTH(CURRENT_USER()) - \
                 LENGTH(REPLACE(CURRENT_USER(), '@', '')))"
            }
            Engine::Postgres => "SELECT session_user",
        };
        let rows = session.query("ask whose session it is", question).await?;
        let taken_for = rows.into_iter().flatten().flatten().next();
        session.close().await;
        if taken_for.as_deref() == Some(secret.username.as_str()) {
            Ok(())
        } else {
            Err(RotationError::Shadowed)
        }
    }

    /// Whether the current version still logs in.
    async fn look_for_gap(&mut self, current: &DatabaseSecret) -> Result<(), RotationError> {
        match self.try_login(&login(current)).await {
            Ok(Some(session)) => {
                session.close().await;
                self.report.gap = Some(false);
            }
            Ok(None) => self.report.gap = Some(true),
            // It is only looked at: what it says of the server is said by the next step.
            Err(_) => {}
        }
        Ok(())
    }

    /// A session, or none where user and password are refused. No other failure says anything about the credentials.
    pub(crate) async fn try_login(
        &mut self,
        login: &Login,
    ) -> Result<Option<D::Session>, LoginError> {
        match self.rotation.databases.log_in(login, self.until).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if error.fault == LoginFault::Password => {
                self.report.failed_logins += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A session of credentials that must be good.
    pub(crate) async fn enter(
        &mut self,
        whose: &'static str,
        login: &Login,
    ) -> Result<D::Session, RotationError> {
        let session = self.rotation.databases.log_in(login, self.until).await;
        session.map_err(|error| {
            if error.fault == LoginFault::Password {
                self.report.failed_logins += 1;
            }
            RotationError::Login(whose, error)
        })
    }

    /// Has a statement carried out, and counts it.
    pub(crate) async fn state(
        &mut self,
        session: &mut D::Session,
        statement: &cutover_domain::rotation::Statement,
    ) -> Result<(), StatementError> {
        session.execute(statement).await?;
        self.report.statements += 1;
        Ok(())
    }
}

fn untampered(
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
    strategy: Strategy,
) -> Result<(), RotationError> {
    let differs = current.tampered(pending, strategy);
    if differs.is_empty() {
        Ok(())
    } else {
        Err(RotationError::Tampered(differs))
    }
}

/// The login that a version's users have.
pub(crate) fn login(secret: &DatabaseSecret) -> Login {
    Login {
        engine: secret.engine,
        host: secret.host.clone(),
        port: secret.port,
        ssl: secret.ssl,
        username: secret.username.clone(),
        password: secret.password.clone(),
        dbname: secret.dbname.clone(),
    }
}

/// The login for account statements: MySQL's need no database, and a statement that is made in one may be replicated by
/// that database's rules.
pub(crate) fn login_for_accounts(secret: &DatabaseSecret, dbname: Option<&str>) -> Login {
    let dbname = match secret.engine {
        Engine::Mysql | Engine::Mariadb => None,
        Engine::Postgres => dbname.map(str::to_owned),
    };
    Login {
        dbname,
        ..login(secret)
    }
}

/// The single text column of an answer.
pub(crate) fn column(rows: Vec<Row>) -> Vec<String> {
    let first = |row: Row| row.into_iter().next().flatten();
    rows.into_iter().filter_map(first).collect()
}
