//! The ports of a rotation: the versions of a secret, and the databases that its credentials are for.

use std::fmt;
use std::future::Future;
use std::time::Instant;

use cutover_domain::rotation::{Engine, Password, Server, Statement, Versions};

use crate::payment::{CallError, SecretText, Source};

/// A version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one that has a label.
    Labelled(&'a str),
    /// The one with an id, which must have the label if one is given.
    Version {
        /// Version id.
        id: &'a str,
        /// Staging label.
        label: Option<&'a str>,
    },
}

/// What new passwords are made of: the switches of GetRandomPassword.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the service's own"
)]
pub struct PasswordPolicy {
    /// Characters, 8 to 256.
    pub length: u16,
    /// Characters that are not used.
    pub exclude_characters: String,
    /// No digits.
    pub exclude_numbers: bool,
    /// No punctuation.
    pub exclude_punctuation: bool,
    /// No upper-case letters.
    pub exclude_uppercase: bool,
    /// No lower-case letters.
    pub exclude_lowercase: bool,
    /// At least one of each kind that is not excluded.
    pub require_each_included_type: bool,
}

/// A new version that is to be stored.
#[derive(Clone, Copy)]
pub struct NewVersion<'a> {
    /// ARN or name of the secret.
    pub secret_id: &'a str,
    /// The version's id: the rotation's ClientRequestToken.
    pub token: &'a str,
    /// What says that the caller is the rotation that Secrets Manager started.
    pub rotation_token: Option<&'a SecretText>,
    /// Its text.
    pub value: &'a str,
}

impl fmt::Debug for NewVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewVersion").finish_non_exhaustive()
    }
}

/// What became of a version that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, now or by an earlier call.
    Done,
    /// There is one with that id and another text.
    OtherValue,
}

/// The versions of secrets.
pub trait SecretVersions {
    /// The secret's labels, and whether it is rotated.
    fn describe(&self, secret_id: &str) -> impl Future<Output = Result<Versions, CallError>>;

    /// Ids of versions that have no label any more, the newest first, at most `limit`.
    fn unlabelled(
        &self,
        secret_id: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<String>, CallError>>;

    /// The text of a version; none if there is no such version, or it has no value yet.
    fn value(
        &self,
        secret_id: &str,
        which: Which<'_>,
    ) -> impl Future<Output = Result<Option<SecretText>, CallError>>;

    /// A new password.
    fn random_password(
        &self,
        policy: &PasswordPolicy,
    ) -> impl Future<Output = Result<Password, CallError>>;

    /// Stores a version under the label AWSPENDING.
    fn put_pending(
        &self,
        version: NewVersion<'_>,
    ) -> impl Future<Output = Result<Stored, CallError>>;

    /// Moves the label AWSCURRENT to version `to`. It is refused if `from` does not have it.
    fn promote(
        &self,
        secret_id: &str,
        from: Option<&str>,
        to: &str,
    ) -> impl Future<Output = Result<(), CallError>>;
}

impl<T: SecretVersions> SecretVersions for &T {
    async fn describe(&self, secret_id: &str) -> Result<Versions, CallError> {
        (**self).describe(secret_id).await
    }

    async fn unlabelled(&self, secret_id: &str, limit: usize) -> Result<Vec<String>, CallError> {
        (**self).unlabelled(secret_id, limit).await
    }

    async fn value(
        &self,
        secret_id: &str,
        which: Which<'_>,
    ) -> Result<Option<SecretText>, CallError> {
        (**self).value(secret_id, which).await
    }

    async fn random_password(&self, policy: &PasswordPolicy) -> Result<Password, CallError> {
        (**self).random_password(policy).await
    }

    async fn put_pending(&self, version: NewVersion<'_>) -> Result<Stored, CallError> {
        (**self).put_pending(version).await
    }

    async fn promote(
        &self,
        secret_id: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), CallError> {
        (**self).promote(secret_id, from, to).await
    }
}

/// Where and as whom to log in.
#[derive(Clone)]
pub struct Login {
    /// Which protocol is spoken.
    pub engine: Engine,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is on and the server verified. There is no other way if it is.
    pub ssl: bool,
    /// User.
    pub username: String,
    /// Password.
    pub password: Password,
    /// Database. PostgreSQL has none without.
    pub dbname: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What kept a login from working. Only [`LoginFault::Password`] says anything about the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginFault {
    /// The host's name has no address.
    Dns,
    /// No TCP connection.
    Tcp,
    /// No TLS, or a certificate that is not believed.
    Tls,
    /// User or password are not good.
    Password,
    /// The server refused it for another reason: its error code.
    Server(String),
    /// No answer in time.
    Late,
}

impl fmt::Display for LoginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns => f.write_str("the database's host name cannot be resolved"),
            Self::Tcp => f.write_str("the database does not take the TCP connection"),
            Self::Tls => f.write_str(
                "TLS failed (the server has none, or its certificate is not vouched for); there is no fallback to plaintext",
            ),
            Self::Password => f.write_str("the database refuses user and password"),
            Self::Server(code) => write!(f, "the database refuses the login with code {code}"),
            Self::Late => f.write_str("the database does not answer in time"),
        }
    }
}

/// A login that did not work.
#[derive(Debug, thiserror::Error)]
#[error("log in: {fault}")]
pub struct LoginError {
    /// Why.
    pub fault: LoginFault,
    /// What the driver said. It holds no password.
    #[source]
    pub source: Source,
}

/// What a statement was refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementFault {
    /// The user lacks a privilege.
    Denied(String),
    /// Another error of the server: its code.
    Server(String),
    /// The connection broke, or no answer came in time: it may have had its effect.
    Lost,
}

impl fmt::Display for StatementFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(code) => write!(f, "the user lacks a privilege (code {code})"),
            Self::Server(code) => write!(f, "the server answered code {code}"),
            Self::Lost => f.write_str("the connection broke, or no answer came in time"),
        }
    }
}

/// A statement that failed. Neither it nor what the server said of it is repeated: both may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {fault}")]
pub struct StatementError {
    /// What it was to do.
    pub what: &'static str,
    /// Why it failed.
    pub fault: StatementFault,
}

impl StatementError {
    /// Whether a privilege is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.fault, StatementFault::Denied(_))
    }
}

/// A row of an answer, in text; none is NULL.
pub type Row = Vec<Option<String>>;

/// Databases that can be logged in to.
pub trait Databases {
    /// A login that worked.
    type Session: Session;

    /// Logs in. The session ends at `until`, whatever it does then.
    fn log_in(
        &self,
        login: &Login,
        until: Instant,
    ) -> impl Future<Output = Result<Self::Session, LoginError>>;
}

/// A session. Names are printed quoted and qualified, text literals know no backslash.
pub trait Session {
    /// Whose server it is.
    fn server(&self) -> Server;

    /// Asks. `what` names the question in errors.
    fn query(
        &mut self,
        what: &'static str,
        sql: &str,
    ) -> impl Future<Output = Result<Vec<Row>, StatementError>>;

    /// Has a statement carried out.
    fn execute(
        &mut self,
        statement: &Statement,
    ) -> impl Future<Output = Result<(), StatementError>>;

    /// Ends the session in order.
    fn close(self) -> impl Future<Output = ()>;
}

#[cfg(feature = "fakes")]
#[path = "rotation_fakes.rs"]
pub mod fakes;
