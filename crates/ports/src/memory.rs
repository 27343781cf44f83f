//! A small memory of what was decided: notes under a key, written only over the version that was read.

use async_trait::async_trait;

/// Any error of an adapter, as the source of a port's error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a note is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoteKey {
    /// The thing, for example a hash of a stack's id. At most 1 KB.
    pub subject: String,
    /// Which note of it. At most 1 KB.
    pub name: String,
}

/// A note that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Counts its writes, from 1.
    pub version: u64,
    /// Its content; the memory does not look into it.
    pub text: String,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It stands now.
    Done,
    /// Another version stood: nothing was written.
    Refused,
}

/// The memory failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct MemoryError {
    /// What was tried.
    pub operation: &'static str,
    /// What the service said.
    #[source]
    pub source: Source,
}

/// Keeps notes.
#[async_trait]
pub trait Memory: Send + Sync {
    /// The note under `key`, if there is one. A consistent read.
    async fn read(&self, key: &NoteKey) -> Result<Option<Note>, MemoryError>;

    /// Writes `text` under `key`, provided that `expected` is the version that stands (0: that there is none). The note may
    /// be forgotten after `expires_at_s` (seconds since the epoch).
    async fn write(
        &self,
        key: &NoteKey,
        expected: u64,
        text: &str,
        expires_at_s: u64,
    ) -> Result<Noted, MemoryError>;
}

/// A memory in memory, for tests.
#[cfg(feature = "fakes")]
pub mod fakes {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::{Memory, MemoryError, Note, NoteKey, Noted, async_trait};

    /// Notes that clones share. It fails while it is told to.
    #[derive(Debug, Clone, Default)]
    pub struct FakeMemory(Arc<Mutex<Inner>>);

    #[derive(Debug, Default)]
    struct Inner {
        notes: BTreeMap<NoteKey, Note>,
        fails: bool,
        calls: usize,
    }

    impl FakeMemory {
        /// From now on every call fails, or none does.
        pub fn fail(&self, fails: bool) {
            self.with(|inner| inner.fails = fails);
        }

        /// Every note.
        #[must_use]
        pub fn notes(&self) -> BTreeMap<NoteKey, Note> {
            self.with(|inner| inner.notes.clone())
        }

        /// How many calls there were.
        #[must_use]
        pub fn calls(&self) -> usize {
            self.with(|inner| inner.calls)
        }

        fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
            f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        fn call<T>(
            &self,
            operation: &'static str,
            f: impl FnOnce(&mut Inner) -> T,
        ) -> Result<T, MemoryError> {
            self.with(|inner| {
                inner.calls += 1;
                if inner.fails {
                    let source = "it was told to fail".into();
                    return Err(MemoryError { operation, source });
                }
                Ok(f(inner))
            })
        }
    }

    #[async_trait]
    impl Memory for FakeMemory {
        async fn read(&self, key: &NoteKey) -> Result<Option<Note>, MemoryError> {
            self.call("read a note", |inner| inner.notes.get(key).cloned())
        }

        async fn write(
            &self,
            key: &NoteKey,
            expected: u64,
            text: &str,
            _expires_at_s: u64,
        ) -> Result<Noted, MemoryError> {
            self.call("write a note", |inner| {
                let stands = inner.notes.get(key).map_or(0, |note| note.version);
                if stands != expected {
                    return Noted::Refused;
                }
                let note = Note {
                    version: expected + 1,
                    text: text.to_owned(),
                };
                inner.notes.insert(key.clone(), note);
                Noted::Done
            })
        }
    }
}
