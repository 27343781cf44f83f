//! What goes wrong with a rotation, and what it is called.

use std::error::Error;

use cutover_domain::rotation::Refusal;
use cutover_domain::rotation::mysql_plan::UnknownPlugin;
use cutover_domain::rotation::mysql_text::Unreadable;
use cutover_domain::rotation::names::NameProblem;
use cutover_domain::rotation::secret::SecretProblem;
use cutover_lambda::run::InvocationError;
use cutover_ports::payment::CallError;
use cutover_ports::rotation::{LoginError, LoginFault, StatementError};

/// Whose text a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// AWSCURRENT.
    Current,
    /// The version of this rotation.
    Pending,
    /// The current version of the master's secret.
    Master,
}

impl Version {
    fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Master => "master's",
        }
    }
}

/// A step that failed. No message holds a password, a user name or a hash.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The labels say that the step must not run.
    #[error("the step is refused")]
    Refused(#[source] Refusal),
    /// A call to Secrets Manager failed.
    #[error("Secrets Manager")]
    Store(#[source] CallError),
    /// A version that must be there is not, or is empty.
    #[error("the secret has no {} version with a value", .0.as_str())]
    Missing(Version),
    /// A version cannot be used.
    #[error("the {} version of the secret cannot be used", .0.as_str())]
    Secret(Version, #[source] SecretProblem),
    /// The pending version is not the successor of the current one.
    #[error("the pending version differs from the current one in {}: nothing was sent to the database", .0.join(", "))]
    Tampered(Vec<&'static str>),
    /// The master's secret is for another server.
    #[error("the master's secret is for another server: it differs in {}; nothing was sent to the database", .0.join(", "))]
    OtherMaster(Vec<&'static str>),
    /// Alternating users were asked for, and nobody can change both.
    #[error("STRATEGY is alternating-users, and the secret has no masterarn")]
    NoMaster,
    /// Secrets Manager gave the password that is current.
    #[error("no password was generated that is not the current one")]
    SamePassword,
    /// A login failed.
    #[error("{0}")]
    Login(&'static str, #[source] LoginError),
    /// No stored version logs in.
    #[error(
        "none of the {0} stored versions logs in, and the secret has no masterarn: the database's own administrator must set the password of the current version"
    )]
    LockedOut(usize),
    /// A statement failed.
    #[error("the database did not do it")]
    Statement(#[source] StatementError),
    /// The server says what is not understood.
    #[error("the server's answer")]
    Unreadable(#[source] Unreadable),
    /// The account logs in otherwise.
    #[error("the user cannot be rotated")]
    Plugin(#[source] UnknownPlugin),
    /// The name does not fit this server.
    #[error("the user cannot be rotated")]
    Name(#[source] NameProblem),
    /// The server takes the login for another account.
    #[error(
        "the server takes the login for another account (an anonymous user, or one for this host alone): remove that account"
    )]
    Shadowed,
    /// The original of two alternating users is not there.
    #[error("the database has no such user")]
    NoUser,
    /// A superuser takes no turns.
    #[error(
        "the user is a superuser: its rights cannot be those of another; use STRATEGY single-user"
    )]
    Superuser,
    /// The alternating user still differs.
    #[error(
        "the alternating user still differs from the original: the master may not grant or revoke {0} of its rights"
    )]
    StillDiffers(usize),
    /// Replicas do not follow.
    #[error("{0} of the database's replicas have not taken the new password in time")]
    ReplicasBehind(u64),
    /// The label is not where it was moved.
    #[error("AWSCURRENT was moved and is not on the new version")]
    NotPromoted,
    /// The invocation's time is up.
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl RotationError {
    /// A stable name, for logs and callers.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "StepRefused",
            Self::Store(_) => "SecretsManagerFailed",
            Self::Missing(_) => "VersionMissing",
            Self::Secret(..) | Self::NoMaster => "SecretInvalid",
            Self::Tampered(_) | Self::OtherMaster(_) => "SecretTampered",
            Self::SamePassword => "PasswordRepeated",
            Self::Login(_, error) => match error.fault {
                LoginFault::Dns => "DatabaseNameUnknown",
                LoginFault::Tcp => "DatabaseUnreachable",
                LoginFault::Tls => "DatabaseTlsFailed",
                LoginFault::Password => "LoginRefused",
                LoginFault::Server(_) => "LoginFailed",
                LoginFault::Late => "DatabaseLate",
            },
            Self::LockedOut(_) => "LockedOut",
            Self::Statement(error) if error.is_denied() => "PrivilegeMissing",
            Self::Statement(_) | Self::Unreadable(_) => "StatementFailed",
            Self::Plugin(_) | Self::Name(_) | Self::Superuser | Self::NoUser => "UserNotRotatable",
            Self::Shadowed => "AccountShadowed",
            Self::StillDiffers(_) => "RightsDiffer",
            Self::ReplicasBehind(_) => "ReplicasBehind",
            Self::NotPromoted => "NotPromoted",
            Self::OutOfTime => "OutOfTime",
        }
    }
}

impl From<StatementError> for RotationError {
    fn from(error: StatementError) -> Self {
        Self::Statement(error)
    }
}

impl From<Unreadable> for RotationError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<CallError> for RotationError {
    fn from(error: CallError) -> Self {
        Self::Store(error)
    }
}

impl From<UnknownPlugin> for RotationError {
    fn from(error: UnknownPlugin) -> Self {
        Self::Plugin(error)
    }
}

impl From<NameProblem> for RotationError {
    fn from(error: NameProblem) -> Self {
        Self::Name(error)
    }
}

impl From<RotationError> for InvocationError {
    fn from(error: RotationError) -> Self {
        Self {
            kind: error.kind(),
            message: in_words(&error),
        }
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.ends_with(&said) {
            words.push_str(": ");
            words.push_str(&said);
        }
        cause = error.source();
    }
    words
}
