//! The key of all keyed hashes: read when it is first needed, kept in memory.

use std::cell::RefCell;
use std::rc::Rc;

use cutover_domain::payment::HashKey;
use cutover_ports::payment::{Applied, CallError, Secrets};

/// The hash key of a secret.
pub struct HashKeys<S> {
    secrets: S,
    secret_id: String,
    known: RefCell<Option<Rc<HashKey>>>,
}

impl<S: Secrets> HashKeys<S> {
    /// The key that the secret holds.
    #[must_use]
    pub fn new(secrets: S, secret_id: String) -> Self {
        Self {
            secrets,
            secret_id,
            known: RefCell::new(None),
        }
    }

    /// Where the key comes from.
    #[must_use]
    pub fn secrets(&self) -> &S {
        &self.secrets
    }

    /// The key, from memory if it was read before.
    ///
    /// # Errors
    /// If the secret cannot be read or holds no key.
    pub async fn get(&self) -> Result<Rc<HashKey>, CallError> {
        if let Some(key) = self.known.borrow().as_ref() {
            return Ok(Rc::clone(key));
        }
        let key = Rc::new(self.read().await?);
        *self.known.borrow_mut() = Some(Rc::clone(&key));
        Ok(key)
    }

    /// The key as the secret has it now.
    ///
    /// # Errors
    /// If the secret cannot be read or holds no key.
    pub async fn read(&self) -> Result<HashKey, CallError> {
        let secret = self.secrets.get(&self.secret_id).await?;
        secret.expose().parse().map_err(|error| CallError {
            operation: "read hash key",
            applied: Applied::No,
            source: Box::new(error),
        })
    }
}
