//! The four steps.

use std::time::Instant;

use cutover_domain::rotation::admission::{self, CURRENT, PENDING};
use cutover_domain::rotation::hash::Salt;
use cutover_domain::rotation::{
    Admission, DatabaseSecret, Engine, Password, Step, Strategy, Versions, Way,
};
use cutover_ports::rotation::{
    Databases, NewVersion, PasswordPolicy, SecretVersions, Stored, Which,
};
use uuid::Uuid;

use crate::error::{RotationError, Version};
use crate::event::Request;
use crate::session::login;
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
    let bytes = bytes.iter().flat_map(Uuid::as_bytes);
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
        self.look_for_gap(&pair.current).await;
        Ok(outcome)
    }

    async fn test(&mut self, request: &Request) -> Result<Outcome, RotationError> {
        let (current, pending) = self.both(request).await?;
        // A rotation that is configured and not begun is tried with this step alone, on a copy of the current version.
        if current.is_copied_by(&pending) {
            self.prove(&pending).await?;
            return Ok(Outcome::Tested);
        }
        let pair = self.compared(current, pending)?;
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
        let (current, pending) = self.both(request).await?;
        self.compared(current, pending)
    }

    async fn both(
        &mut self,
        request: &Request,
    ) -> Result<(DatabaseSecret, DatabaseSecret), RotationError> {
        let current = self.current().await?;
        let pending = self.pending(request).await?;
        let pending = pending.ok_or(RotationError::Missing(Version::Pending))?;
        Ok((current, pending))
    }

    fn compared(
        &mut self,
        current: DatabaseSecret,
        pending: DatabaseSecret,
    ) -> Result<Pair, RotationError> {
        let strategy = self.strategy(&current)?;
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
