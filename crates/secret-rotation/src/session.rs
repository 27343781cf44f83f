//! Logins and statements of a step, counted.

use cutover_domain::rotation::{DatabaseSecret, Engine, Statement};
use cutover_ports::rotation::{
    Databases, Login, LoginError, LoginFault, Row, SecretVersions, Session, StatementError,
};

use crate::error::RotationError;
use crate::rotation::Run;

impl<V: SecretVersions, D: Databases> Run<'_, V, D> {
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
    pub(crate) async fn look_for_gap(&mut self, current: &DatabaseSecret) {
        match self.try_login(&login(current)).await {
            Ok(Some(session)) => {
                session.close().await;
                self.report.gap = Some(false);
            }
            Ok(None) => self.report.gap = Some(true),
            // It is only looked at: what it says of the server is said by the next step.
            Err(_) => {}
        }
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
        statement: &Statement,
    ) -> Result<(), StatementError> {
        session.execute(statement).await?;
        self.report.statements += 1;
        Ok(())
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
