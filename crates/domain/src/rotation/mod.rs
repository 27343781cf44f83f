//! The rotation of a database secret: what is decided, from labels, values, and what logins worked.
//!
//! - [`admission`]: whether a step may run at all, from the secret's staging labels.
//! - [`secret`]: what a secret says, what its successor says, and what must not differ between the two.
//! - [`names`]: how long a user's name may be.
//! - [`logins`]: which stored login is tried next, and which ways of changing a password are left.
//! - [`hash`]: passwords in the form that each engine keeps, so that no server is sent the password itself.
//! - [`sql`]: statements, and quoting.
//! - [`mysql_text`], [`mysql_account`], [`mysql_grants`], [`mysql_plan`]: what MySQL and MariaDB say of accounts, the
//!   difference of two, and the statements that settle it.
//! - [`postgres_plan`], [`postgres_settings`]: the same for PostgreSQL.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html> for the four
//! steps; the engines' manuals for the statements.

pub mod admission;
pub mod hash;
pub mod logins;
pub mod mysql_account;
pub mod mysql_grants;
pub mod mysql_plan;
pub mod mysql_text;
pub mod names;
pub mod postgres_plan;
pub mod postgres_settings;
pub mod secret;
pub mod sql;

pub use admission::{Admission, Refusal, Step, Versions};
pub use logins::{Candidate, Next, Way};
pub use secret::{DatabaseSecret, Engine, Password, Strategy};
pub use sql::{Server, Statement};
