//! What keeps data: the session table, the log bucket, secrets, keys, backups.

use std::time::Duration;

use super::check::Judgement;
use super::facts::{Bucket, Key, PUBLIC_ACCESS_BLOCKS, RecoveryPoint, SecretFacts, Table};
use super::text::listed;
use crate::payment::Timestamp;

/// What the session table must be.
pub const TABLE_EXPECTED: &str = "ACTIVE, point-in-time recovery on, encrypted with a KMS key";
/// What the bucket must be.
pub const BUCKET_EXPECTED: &str = "versioned, encrypted, public access blocked in all four ways";
/// What a secret must be.
pub const SECRET_EXPECTED: &str = "readable, rotation on";
/// What a key must be.
pub const KEY_EXPECTED: &str = "Enabled";
/// What the vault must hold.
pub const BACKUP_EXPECTED: &str = "a completed recovery point of the last 24 hours";

/// The oldest recovery point that counts as recent: backups are daily at least.
const RECOVERY_POINT_AGE_MAX: Duration = Duration::from_hours(24);

fn part(good: bool, seen: String, expected: &'static str, advice: &'static str) -> Judgement {
    if good {
        Judgement::pass(seen, expected)
    } else {
        Judgement::fail(seen, expected, advice)
    }
}

/// The session table.
#[must_use]
pub fn table(table: &Table) -> Judgement {
    let status = table.status.as_deref().unwrap_or("in no state");
    Judgement::all(vec![
        part(
            status == "ACTIVE",
            format!("table {} is {status}", table.name),
            "ACTIVE",
            "wait until the table is ACTIVE",
        ),
        part(
            table.point_in_time_recovery == Some(true),
            format!(
                "point-in-time recovery {}",
                on(table.point_in_time_recovery)
            ),
            "point-in-time recovery on",
            "turn point-in-time recovery on",
        ),
        part(
            table.kms == Some(true),
            format!("KMS encryption {}", on(table.kms)),
            "encrypted with a KMS key",
            "set SSEType KMS and a key of your own",
        ),
    ])
}

/// The bucket of the transaction log.
#[must_use]
pub fn bucket(bucket: &Bucket) -> Judgement {
    let missing: Vec<&str> = PUBLIC_ACCESS_BLOCKS
        .into_iter()
        .filter(|block| !bucket.public_access_blocks.contains(block))
        .collect();
    let blocks = if missing.is_empty() {
        "public access blocked".to_owned()
    } else {
        format!("not set: {}", missing.join(", "))
    };
    let encryption = bucket.encryption.as_deref();
    Judgement::all(vec![
        part(
            bucket.versioned == Some(true),
            format!(
                "bucket {}: versioning {}",
                bucket.name,
                on(bucket.versioned)
            ),
            "versioned",
            "turn versioning on",
        ),
        part(
            encryption
                .is_some_and(|algorithm| algorithm == "AES256" || algorithm.starts_with("aws:kms")),
            format!("encryption {}", encryption.unwrap_or("none")),
            "encrypted by default",
            "set a default encryption",
        ),
        part(
            missing.is_empty(),
            blocks,
            "public access blocked in all four ways",
            "turn on all four public access blocks",
        ),
    ])
}

/// A database secret.
#[must_use]
pub fn secret(secret: &SecretFacts) -> Judgement {
    Judgement::all(vec![
        part(
            !secret.deleted,
            format!(
                "secret {} is {}",
                secret.id,
                if secret.deleted {
                    "marked for deletion"
                } else {
                    "there"
                }
            ),
            "there",
            "restore the secret",
        ),
        part(
            secret.is_object,
            if secret.is_object {
                "readable"
            } else {
                "its current value is no JSON object"
            }
            .to_owned(),
            "readable, as JSON",
            "store the credentials as a JSON object with engine, host, port, username, password and dbname",
        ),
        part(
            secret.rotation == Some(true),
            format!("rotation {}", on(secret.rotation)),
            "rotation on",
            "attach a rotation schedule to the secret",
        ),
    ])
}

/// A key.
#[must_use]
pub fn key(key: &Key) -> Judgement {
    let state = key.state.as_deref().unwrap_or("in no state");
    part(
        state == KEY_EXPECTED,
        format!("key {} is {state}", key.id),
        KEY_EXPECTED,
        "enable the key, or cancel its deletion",
    )
}

/// The recovery points of a vault, at `now`.
#[must_use]
pub fn backup(vault: &str, points: &[RecoveryPoint], now: Timestamp) -> Judgement {
    let newest = points
        .iter()
        .filter(|point| point.status == "COMPLETED")
        .max_by_key(|point| point.created_ms);
    let Some(newest) = newest else {
        let states: Vec<&str> = points.iter().map(|point| point.status.as_str()).collect();
        let seen = if states.is_empty() {
            format!("vault {vault} has no recovery point")
        } else {
            format!(
                "vault {vault} has none that is completed, but: {}",
                listed(&states, 5)
            )
        };
        return Judgement::fail(seen, BACKUP_EXPECTED, "start a backup job, and wait for it");
    };
    let created = Timestamp::from_ms(newest.created_ms);
    let age = created.until(now);
    let seen = format!(
        "the newest of vault {vault} is of {created} ({} h old), of {}",
        age.as_secs() / 3600,
        newest.resource
    );
    part(
        age <= RECOVERY_POINT_AGE_MAX,
        seen,
        BACKUP_EXPECTED,
        "start a backup job, and wait for it",
    )
}

fn on(flag: Option<bool>) -> &'static str {
    match flag {
        Some(true) => "on",
        Some(false) => "off",
        None => "not told",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;

    #[test]
    fn a_table_needs_all_three() {
        let good = Table {
            name: "sessions".to_owned(),
            status: Some("ACTIVE".to_owned()),
            point_in_time_recovery: Some(true),
            kms: Some(true),
            key_id: None,
        };
        assert_eq!(table(&good).status, Status::Pass);
        let changes: [fn(&mut Table); 6] = [
            |t| t.status = Some("UPDATING".to_owned()),
            |t| t.status = None,
            |t| t.point_in_time_recovery = Some(false),
            |t| t.point_in_time_recovery = None,
            |t| t.kms = Some(false),
            |t| t.kms = None,
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(table(&bad).status, Status::Fail, "{bad:?}");
        }
    }

    #[test]
    fn a_bucket_needs_all_four_blocks() {
        let good = Bucket {
            name: "logs".to_owned(),
            versioned: Some(true),
            encryption: Some("aws:kms".to_owned()),
            public_access_blocks: PUBLIC_ACCESS_BLOCKS.to_vec(),
        };
        assert_eq!(bucket(&good).status, Status::Pass);
        for at in 0..4 {
            let mut bad = good.clone();
            let removed = bad.public_access_blocks.remove(at);
            let judged = bucket(&bad);
            assert_eq!(judged.status, Status::Fail);
            assert!(judged.observed.contains(removed), "{}", judged.observed);
        }
        let changes: [fn(&mut Bucket); 4] = [
            |b| b.versioned = Some(false),
            |b| b.versioned = None,
            |b| b.encryption = None,
            |b| b.encryption = Some("rot13".to_owned()),
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(bucket(&bad).status, Status::Fail, "{bad:?}");
        }
    }

    #[test]
    fn a_secret_must_rotate_and_a_key_be_enabled() {
        let good = SecretFacts {
            id: "blue".to_owned(),
            rotation: Some(true),
            deleted: false,
            is_object: true,
        };
        assert_eq!(secret(&good).status, Status::Pass);
        let changes: [fn(&mut SecretFacts); 4] = [
            |s| s.rotation = None,
            |s| s.rotation = Some(false),
            |s| s.deleted = true,
            |s| s.is_object = false,
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(secret(&bad).status, Status::Fail, "{bad:?}");
        }
        for (state, status) in [
            (Some("Enabled"), Status::Pass),
            (Some("PendingDeletion"), Status::Fail),
            (Some("Disabled"), Status::Fail),
            (None, Status::Fail),
        ] {
            let judged = key(&Key {
                id: "k".to_owned(),
                state: state.map(str::to_owned),
                customer_managed: Some(true),
            });
            assert_eq!(judged.status, status, "{state:?}");
        }
    }

    #[test]
    fn only_a_completed_point_of_the_last_day_counts() {
        const HOUR: u64 = 3_600_000;
        let now = Timestamp::from_ms(1_800_000_000_000);
        let point = |status: &str, hours: u64| RecoveryPoint {
            resource: "cluster:blue".to_owned(),
            status: status.to_owned(),
            created_ms: now.ms() - hours * HOUR,
        };
        for (points, status) in [
            (vec![], Status::Fail),
            (vec![point("COMPLETED", 23)], Status::Pass),
            (vec![point("COMPLETED", 25)], Status::Fail),
            (
                vec![point("CREATING", 1), point("COMPLETED", 30)],
                Status::Fail,
            ),
            (vec![point("PARTIAL", 1)], Status::Fail),
            (
                vec![point("COMPLETED", 30), point("COMPLETED", 2)],
                Status::Pass,
            ),
        ] {
            assert_eq!(backup("vault", &points, now).status, status, "{points:?}");
        }
    }
}
