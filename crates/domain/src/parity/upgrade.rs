//! Which steps bring a ledger's schema to a version.
//!
//! A version is a file of `infra/schema/<engine>`, by the number that its name begins with. Versions are applied in order
//! and never taken back: an older one knows nothing of what a newer one stored.

/// A version of the schema that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// From 1, without gaps.
    pub number: u32,
    /// The file's name, for example `001-payments.sql`.
    pub name: &'static str,
}

/// A version that a database says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub number: u32,
    /// SHA-256 of the statements that made it, in hex.
    pub digest: String,
}

/// Why a schema is not brought to a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoUpgrade {
    /// There is no such version.
    #[error("version {wanted} of the schema is not built in: versions 1 to {newest} are")]
    NotBuiltIn {
        /// Which was asked for.
        wanted: u32,
        /// The newest that there is.
        newest: u32,
    },
    /// The database has a newer one.
    #[error(
        "the database has version {stored} of the schema and is not taken back to version {wanted}"
    )]
    Downgrade {
        /// The newest that was applied.
        stored: u32,
        /// Which was asked for.
        wanted: u32,
    },
    /// What was applied under a number is not what is built in under it.
    #[error(
        "version {number} of the schema was applied with other statements than those that are built in"
    )]
    Changed {
        /// Which.
        number: u32,
    },
}

/// The versions still to apply, oldest first, to get to `wanted` (the newest, if none is named).
///
/// `built_in` is in order, each with the digest of its statements. What is missing below the newest stored one is applied
/// too: statements can be repeated, and a gap means that someone took a row away.
///
/// # Errors
/// [`NoUpgrade`].
pub fn plan(
    built_in: &[(Version, String)],
    stored: &[Stored],
    wanted: Option<u32>,
) -> Result<Vec<Version>, NoUpgrade> {
    let newest = built_in.last().map_or(0, |(version, _)| version.number);
    let wanted = wanted.unwrap_or(newest);
    if wanted == 0 || wanted > newest {
        return Err(NoUpgrade::NotBuiltIn { wanted, newest });
    }
    let newest_stored = stored.iter().map(|stored| stored.number).max().unwrap_or(0);
    if newest_stored > wanted {
        return Err(NoUpgrade::Downgrade {
            stored: newest_stored,
            wanted,
        });
    }
    let mut missing = Vec::new();
    for (version, digest) in built_in.iter().filter(|(v, _)| v.number <= wanted) {
        match stored.iter().find(|stored| stored.number == version.number) {
            Some(stored) if stored.digest != *digest => {
                return Err(NoUpgrade::Changed {
                    number: version.number,
                });
            }
            Some(_) => {}
            None => missing.push(*version),
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Vec<(Version, String)> {
        [(1, "one"), (2, "two"), (3, "three")]
            .map(|(number, name)| (Version { number, name }, format!("digest of {name}")))
            .to_vec()
    }

    fn stored(numbers: &[u32]) -> Vec<Stored> {
        let all = built_in();
        let digest = |number| {
            let known = all.iter().find(|(v, _)| v.number == number);
            known.map_or_else(|| "of the future".to_owned(), |(_, d)| d.clone())
        };
        numbers
            .iter()
            .map(|&number| Stored {
                number,
                digest: digest(number),
            })
            .collect()
    }

    fn planned(present: &[u32], wanted: Option<u32>) -> Result<Vec<u32>, NoUpgrade> {
        plan(&built_in(), &stored(present), wanted)
            .map(|versions| versions.iter().map(|v| v.number).collect())
    }

    #[test]
    fn what_is_missing_is_applied_in_order() {
        assert_eq!(planned(&[], None), Ok(vec![1, 2, 3]));
        assert_eq!(planned(&[], Some(2)), Ok(vec![1, 2]));
        assert_eq!(planned(&[1], None), Ok(vec![2, 3]));
        assert_eq!(planned(&[1, 2, 3], None), Ok(vec![]));
        assert_eq!(planned(&[1, 2], Some(2)), Ok(vec![]));
        assert_eq!(planned(&[2], None), Ok(vec![1, 3]));
    }

    #[test]
    fn no_version_is_taken_back_or_invented() {
        assert_eq!(
            planned(&[1, 2, 3], Some(2)),
            Err(NoUpgrade::Downgrade {
                stored: 3,
                wanted: 2
            })
        );
        // A newer program was here before.
        assert_eq!(
            planned(&[1, 2, 3, 4], None),
            Err(NoUpgrade::Downgrade {
                stored: 4,
                wanted: 3
            })
        );
        for wanted in [0, 4] {
            assert_eq!(
                planned(&[], Some(wanted)),
                Err(NoUpgrade::NotBuiltIn { wanted, newest: 3 })
            );
        }
    }

    #[test]
    fn a_version_that_was_changed_after_it_was_applied_is_refused() {
        let other = [Stored {
            number: 1,
            digest: "another".to_owned(),
        }];
        assert_eq!(
            plan(&built_in(), &other, None),
            Err(NoUpgrade::Changed { number: 1 })
        );
    }
}
