//! Self-tests, by direct invocation only: a real round trip to one dependency, with the role that payments have.
//!
//! What they write stands where no payment can: session ids of callers never begin with `self-test#`, and log keys have
//! a year where these have `self-test`. Nothing is deleted, for which the role has no right: items expire by the table's
//! time to live, objects (one a color) by the bucket's lifecycle.

use cutover_domain::payment::{Code, Problem};
use cutover_lambda::Deadline;
use cutover_ports::payment::{CallError, Ledger, Secrets, SessionStore, TransactionLog};

use crate::pay::{Failure, Payments, bounded};
use crate::route::Dependency;

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// Tests one dependency. `nonce` is a random text, to be read back.
    ///
    /// # Errors
    /// 503, with the call that failed for the log.
    pub async fn self_test(
        &self,
        dependency: Dependency,
        nonce: &str,
        db_secret: &str,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let left = deadline.remaining();
        let (tested, code) = match dependency {
            Dependency::Sessions => {
                let id = format!("self-test#{nonce}");
                let testing = self.sessions.round_trip(&id, nonce);
                let tested = bounded(left, "write and read a session", testing).await;
                (tested, Code::SessionStoreUnavailable)
            }
            Dependency::Log => {
                let key = format!("transactions/self-test/{}.json", self.color);
                let testing = self.log.round_trip(&key, nonce);
                let tested = bounded(left, "write and read a log object", testing).await;
                (tested, Code::TransactionLogUnavailable)
            }
            Dependency::Secrets => {
                let tested = bounded(left, "get secret", self.read_secrets(db_secret)).await;
                (tested, Code::SecretUnavailable)
            }
        };
        tested.map_err(|error| Failure {
            problem: Problem::new(code, "The round trip failed. The log says why."),
            cause: Some(Box::new(error)),
        })
    }

    /// Reads both secrets anew, whatever is kept in memory.
    pub(crate) async fn read_secrets(&self, db_secret: &str) -> Result<(), CallError> {
        self.hash_keys.secrets().get(db_secret).await?;
        self.hash_keys.read().await.map(drop)
    }
}
