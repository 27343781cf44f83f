//! A process that dies between any two calls and statements: from a chosen point on nothing of it happens any more.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use cutover_domain::rotation::{Password, Server, Statement, Versions};
use cutover_ports::payment::{CallError, SecretText};
use cutover_ports::rotation::{
    Databases, Login, LoginError, NewVersion, PasswordPolicy, Row, SecretVersions, Session,
    StatementError, Stored, Which,
};
use tokio::sync::Notify;

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The call is not made.
    Before,
    /// It is made, and its answer is lost.
    After,
}

/// Counts calls and statements, and ends the process at one of them.
#[derive(Default)]
pub(crate) struct Points {
    at: Cell<Option<(usize, When)>>,
    /// What was met, and whether it changes anything.
    pub(crate) met: RefCell<Vec<(&'static str, bool)>>,
    pub(crate) died: Notify,
}

impl Points {
    pub(crate) fn die_at(at: Option<(usize, When)>) -> Rc<Self> {
        let points = Self::default();
        points.at.set(at);
        Rc::new(points)
    }

    async fn around<T>(
        &self,
        what: &'static str,
        changes: bool,
        call: impl Future<Output = T>,
    ) -> T {
        let number = self.met.borrow().len();
        self.met.borrow_mut().push((what, changes));
        if self.at.get() == Some((number, When::Before)) {
            self.die().await;
        }
        let answer = call.await;
        if self.at.get() == Some((number, When::After)) {
            self.die().await;
        }
        answer
    }

    async fn die(&self) {
        self.died.notify_one();
        std::future::pending::<()>().await;
    }
}

/// Secrets Manager, called by a process that may die.
pub(crate) struct Mortal<T> {
    pub(crate) inner: T,
    pub(crate) points: Rc<Points>,
}

impl<V: SecretVersions> SecretVersions for Mortal<V> {
    async fn describe(&self, secret_id: &str) -> Result<Versions, CallError> {
        let call = self.inner.describe(secret_id);
        self.points.around("DescribeSecret", false, call).await
    }

    async fn unlabelled(&self, secret_id: &str, limit: usize) -> Result<Vec<String>, CallError> {
        let call = self.inner.unlabelled(secret_id, limit);
        self.points
            .around("ListSecretVersionIds", false, call)
            .await
    }

    async fn value(
        &self,
        secret_id: &str,
        which: Which<'_>,
    ) -> Result<Option<SecretText>, CallError> {
        let call = self.inner.value(secret_id, which);
        self.points.around("GetSecretValue", false, call).await
    }

    async fn random_password(&self, policy: &PasswordPolicy) -> Result<Password, CallError> {
        let call = self.inner.random_password(policy);
        self.points.around("GetRandomPassword", false, call).await
    }

    async fn put_pending(&self, version: NewVersion<'_>) -> Result<Stored, CallError> {
        let call = self.inner.put_pending(version);
        self.points.around("PutSecretValue", true, call).await
    }

    async fn promote(
        &self,
        secret_id: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), CallError> {
        let call = self.inner.promote(secret_id, from, to);
        self.points
            .around("UpdateSecretVersionStage", true, call)
            .await
    }
}

impl<D: Databases> Databases for Mortal<D> {
    type Session = Mortal<D::Session>;

    async fn log_in(&self, login: &Login, until: Instant) -> Result<Self::Session, LoginError> {
        let call = self.inner.log_in(login, until);
        let session = self.points.around("log in", false, call).await?;
        Ok(Mortal {
            inner: session,
            points: Rc::clone(&self.points),
        })
    }
}

impl<S: Session> Session for Mortal<S> {
    fn server(&self) -> Server {
        self.inner.server()
    }

    async fn query(&mut self, what: &'static str, sql: &str) -> Result<Vec<Row>, StatementError> {
        let call = self.inner.query(what, sql);
        self.points.around(what, false, call).await
    }

    async fn execute(&mut self, statement: &Statement) -> Result<(), StatementError> {
        let call = self.inner.execute(statement);
        self.points.around(statement.what, true, call).await
    }

    async fn close(self) {
        self.inner.close().await;
    }
}
