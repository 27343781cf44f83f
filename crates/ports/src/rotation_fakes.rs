//! Secrets Manager in memory, with its rules for versions and labels.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use cutover_domain::rotation::admission::{CURRENT, PENDING, PREVIOUS};
use cutover_domain::rotation::{Password, Versions};

use super::{NewVersion, PasswordPolicy, SecretVersions, Stored, Which};
use crate::payment::{Applied, CallError, SecretText};

/// A version of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeVersion {
    /// Its text, once it was put.
    pub value: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// When it was made, by a counter.
    pub age: u32,
}

/// Secrets by id, each with its versions by id.
#[derive(Debug, Default)]
pub struct FakeSecretVersions {
    /// Everything that is stored.
    pub secrets: RefCell<BTreeMap<String, BTreeMap<String, FakeVersion>>>,
    /// What `RotationEnabled` says.
    pub rotation_enabled: Cell<Option<bool>>,
    /// The rotation tokens that puts bore.
    pub rotation_tokens: RefCell<Vec<Option<String>>>,
    /// Passwords to hand out, before counted ones.
    pub passwords: RefCell<Vec<String>>,
    count: Cell<u32>,
}

impl FakeSecretVersions {
    /// Stores a secret with one version, which is current.
    pub fn store(&self, secret_id: &str, version: &str, value: String) {
        let versions = BTreeMap::from([(
            version.to_owned(),
            FakeVersion {
                value: Some(value),
                labels: vec![CURRENT.to_owned()],
                age: self.counted(),
            },
        )]);
        self.secrets
            .borrow_mut()
            .insert(secret_id.to_owned(), versions);
    }

    /// What RotateSecret does before it calls the function: an empty version has the label AWSPENDING, and no other has.
    pub fn begin(&self, secret_id: &str, token: &str) {
        let age = self.counted();
        self.with(secret_id, |versions| {
            take(versions, PENDING);
            let version = versions.entry(token.to_owned()).or_default();
            version.age = age;
            version.labels.push(PENDING.to_owned());
        });
    }

    /// What CancelRotateSecret and the removal of AWSPENDING do: the version stays, without a label.
    pub fn cancel(&self, secret_id: &str) {
        self.with(secret_id, |versions| {
            take(versions, PENDING);
        });
    }

    /// Id and text of the version that has a label.
    #[must_use]
    pub fn labelled(&self, secret_id: &str, label: &str) -> Option<(String, Option<String>)> {
        let secrets = self.secrets.borrow();
        let versions = secrets.get(secret_id)?;
        let found = versions.iter().find(|(_, v)| has(v, label))?;
        Some((found.0.clone(), found.1.value.clone()))
    }

    fn counted(&self) -> u32 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    fn with<T>(
        &self,
        secret_id: &str,
        change: impl FnOnce(&mut BTreeMap<String, FakeVersion>) -> T,
    ) -> Option<T> {
        self.secrets.borrow_mut().get_mut(secret_id).map(change)
    }
}

fn has(version: &FakeVersion, label: &str) -> bool {
    version.labels.iter().any(|has| has == label)
}

/// Takes a label from whichever version has it.
fn take(versions: &mut BTreeMap<String, FakeVersion>, label: &str) -> Option<String> {
    let mut from = None;
    for (id, version) in versions {
        if has(version, label) {
            version.labels.retain(|has| has != label);
            from = Some(id.clone());
        }
    }
    from
}

fn refused(operation: &'static str) -> CallError {
    CallError {
        operation,
        applied: Applied::No,
        source: "refused".into(),
    }
}

impl SecretVersions for FakeSecretVersions {
    async fn describe(&self, secret_id: &str) -> Result<Versions, CallError> {
        let secrets = self.secrets.borrow();
        let versions = secrets.get(secret_id);
        let versions = versions.ok_or_else(|| refused("describe secret"))?;
        let labelled = versions.iter().filter(|(_, v)| !v.labels.is_empty());
        Ok(Versions {
            rotation_enabled: self.rotation_enabled.get(),
            labels: labelled
                .map(|(id, v)| (id.clone(), v.labels.clone()))
                .collect(),
        })
    }

    async fn unlabelled(&self, secret_id: &str, limit: usize) -> Result<Vec<String>, CallError> {
        let secrets = self.secrets.borrow();
        let versions = secrets.get(secret_id);
        let versions = versions.ok_or_else(|| refused("list versions"))?;
        let mut strays: Vec<_> = versions
            .iter()
            .filter(|(_, v)| v.labels.is_empty())
            .collect();
        strays.sort_by_key(|(_, version)| std::cmp::Reverse(version.age));
        let ids = strays.into_iter().take(limit).map(|(id, _)| id.clone());
        Ok(ids.collect())
    }

    async fn value(
        &self,
        secret_id: &str,
        which: Which<'_>,
    ) -> Result<Option<SecretText>, CallError> {
        let secrets = self.secrets.borrow();
        let versions = secrets.get(secret_id);
        let versions = versions.ok_or_else(|| refused("get secret"))?;
        let found = match which {
            Which::Labelled(label) => versions.values().find(|v| has(v, label)),
            Which::Version { id, label } => versions
                .get(id)
                .filter(|v| label.is_none_or(|label| has(v, label))),
        };
        let value = found.and_then(|version| version.value.clone());
        Ok(value.map(SecretText::new))
    }

    async fn random_password(&self, policy: &PasswordPolicy) -> Result<Password, CallError> {
        if let Some(password) = self.passwords.borrow_mut().pop() {
            return Ok(Password::new(password));
        }
        let text = format!("{:0>1$}", self.counted(), usize::from(policy.length));
        Ok(Password::new(text))
    }

    async fn put_pending(&self, version: NewVersion<'_>) -> Result<Stored, CallError> {
        let told = version.rotation_token.map(|t| t.expose().to_owned());
        self.rotation_tokens.borrow_mut().push(told);
        let age = self.counted();
        let stored = self.with(version.secret_id, |versions| {
            let standing = versions.get(version.token).and_then(|v| v.value.as_deref());
            match standing {
                Some(standing) if standing == version.value => Stored::Done,
                Some(_) => Stored::OtherValue,
                None => {
                    take(versions, PENDING);
                    let new = versions.entry(version.token.to_owned()).or_default();
                    new.value = Some(version.value.to_owned());
                    new.age = age;
                    new.labels.push(PENDING.to_owned());
                    Stored::Done
                }
            }
        });
        stored.ok_or_else(|| refused("put secret"))
    }

    async fn promote(
        &self,
        secret_id: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), CallError> {
        let promoted = self.with(secret_id, |versions| {
            let holder = versions.iter().find(|(_, v)| has(v, CURRENT));
            if holder.map(|(id, _)| id.as_str()) != from || !versions.contains_key(to) {
                return None;
            }
            let was = take(versions, CURRENT);
            take(versions, PREVIOUS);
            if let Some(was) = was.and_then(|was| versions.get_mut(&was)) {
                was.labels.push(PREVIOUS.to_owned());
            }
            versions.get_mut(to)?.labels.push(CURRENT.to_owned());
            Some(())
        });
        promoted.flatten().ok_or_else(|| refused("move label"))
    }
}
