//! Creates and upgrades the ledger's schema.
//!
//! The versions are the files of `infra/schema/<engine>`, in order of their numbers. What was applied is recorded in the
//! table `cutover_schema` of the same database. One upgrade at a time, by an advisory lock that ends with its session.
//!
//! MySQL commits each statement that changes a schema: an upgrade may end between any two. Each statement can therefore be
//! repeated, and a version is recorded after its last one: the next upgrade repeats it from its first. On PostgreSQL a
//! version and its record are one transaction.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_domain::parity::upgrade::{Stored, Version, plan};
use cutover_ports::parity::{DatabaseError, SchemaUpgrade, Site, Trouble, UpgradeError, Upgraded};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use super::Databases;
use super::session::{Access, Dialect, Session};
use super::sql;

macro_rules! schema {
    ($engine:literal, $($number:literal: $name:literal),+ $(,)?) => {
        [$((
            Version { number: $number, name: $name },
            include_str!(concat!("../../../../infra/schema/", $engine, "/", $name)),
        )),+]
    };
}

const VERSIONS: usize = 2;
const MYSQL: [(Version, &str); VERSIONS] =
    schema!("mysql", 1: "001-payments.sql", 2: "002-cutover-epoch.sql");
const POSTGRES: [(Version, &str); VERSIONS] =
    schema!("postgres", 1: "001-payments.sql", 2: "002-cutover-epoch.sql");

/// Where versions are recorded. It has no version: it is there before the first.
const RECORD_MYSQL: &str = include_str!("../../../../infra/schema/mysql/000-cutover-schema.sql");
const RECORD_POSTGRES: &str =
    include_str!("../../../../infra/schema/postgres/000-cutover-schema.sql");

/// How long another upgrade is waited for.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often PostgreSQL is asked for the lock.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

const OPERATION: &str = "upgrade the schema";

#[async_trait]
impl SchemaUpgrade for Databases {
    fn newest(&self) -> u32 {
        MYSQL.last().map_or(0, |(version, _)| version.number)
    }

    async fn upgrade(
        &self,
        site: &Site,
        version: Option<u32>,
        budget: Duration,
    ) -> Result<Upgraded, UpgradeError> {
        let until = Instant::now() + budget;
        let ca_bundle = self.ca_bundle.as_deref();
        let mut session = Session::open(site, ca_bundle, Access::Write, until).await?;
        if !lock(&mut session).await? {
            return Err(UpgradeError::Busy {
                site: site.name.clone(),
            });
        }
        let (files, record) = match session.dialect() {
            Dialect::MySql | Dialect::MariaDb => (MYSQL, RECORD_MYSQL),
            Dialect::Postgres => (POSTGRES, RECORD_POSTGRES),
        };
        for statement in statements(record) {
            session.run(OPERATION, &statement).await?;
        }
        let stored = stored(&mut session).await?;
        let built_in = files.map(|(version, file)| (version, digest(file)));
        let steps = plan(&built_in, &stored, version)?;
        let from = stored.iter().map(|stored| stored.number).max().unwrap_or(0);
        for step in &steps {
            let file = files.iter().find(|(version, _)| version == step);
            let file = file.map_or("", |(_, file)| *file);
            apply(&mut session, *step, file).await?;
        }
        let to = steps.last().map_or(from, |last| last.number.max(from));
        Ok(Upgraded {
            from,
            to,
            applied: steps.iter().map(|step| step.name.to_owned()).collect(),
        })
    }
}

/// Takes the lock of upgrades of this database. The server gives it back when the session ends, however it ends.
async fn lock(session: &mut Session) -> Result<bool, DatabaseError> {
    let patience = LOCK_WAIT_MAX.min(session.left() / 2);
    if session.dialect() == Dialect::Postgres {
        let until = Instant::now() + patience;
        loop {
            let ask = "SELECT pg_try_advisory_lock(hashtext('cutover_schema'))::text";
            if session.value(OPERATION, ask).await?.as_deref() == Some("true") {
                return Ok(true);
            }
            if Instant::now() + LOOK_AGAIN >= until {
                return Ok(false);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
    // Locks are the server's, not the database's, and their names have 64 characters at most.
    let seconds = patience.as_secs().max(1);
    let ask = format!("SELECT GET_LOCK(CONCAT('cutover_schema ', MD5(DATABASE())), {seconds})");
    Ok(session.value(OPERATION, &ask).await?.as_deref() == Some("1"))
}

async fn stored(session: &mut Session) -> Result<Vec<Stored>, DatabaseError> {
    let select = "SELECT version, digest FROM cutover_schema ORDER BY version";
    let rows = session.rows(OPERATION, select).await?;
    let read: Option<Vec<Stored>> = rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            Some(Stored {
                number: next()?.parse().ok()?,
                digest: next()?,
            })
        })
        .collect();
    read.ok_or_else(|| session.error(OPERATION, Trouble::Other, "cutover_schema can't be read"))
}

async fn apply(session: &mut Session, version: Version, file: &str) -> Result<(), DatabaseError> {
    let dialect = session.dialect();
    let record = format!(
        "INSERT INTO cutover_schema (version, name, digest) VALUES ({}, {}, {})",
        version.number,
        sql::text(dialect, version.name),
        sql::text(dialect, &digest(file))
    );
    let mut all = statements(file);
    all.push(record);
    if dialect == Dialect::Postgres {
        all.insert(0, "BEGIN".to_owned());
        all.push("COMMIT".to_owned());
    }
    for statement in all {
        session.run(OPERATION, &statement).await?;
    }
    Ok(())
}

/// The statements of a file: each ends with `;` at the end of a line. Lines that begin with `--` are comments.
fn statements(file: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let lines = file.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("--")) {
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(line);
        if let Some(whole) = current.strip_suffix(';') {
            statements.push(whole.to_owned());
            current.clear();
        }
    }
    if !current.is_empty() {
        statements.push(current);
    }
    statements
}

/// SHA-256 of a file's statements: comments and line breaks may change after it was applied, what it does may not.
fn digest(file: &str) -> String {
    let mut hash = Sha256::new();
    for statement in statements(file) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        hash.update(words.join(" "));
        hash.update(";");
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_schema_is_built_in() {
        for (engine, files) in [("mysql", MYSQL), ("postgres", POSTGRES)] {
            let folder = format!("{}/../../infra/schema/{engine}", env!("CARGO_MANIFEST_DIR"));
            let mut present: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            present.sort();
            let mut built_in = vec!["000-cutover-schema.sql".to_owned()];
            built_in.extend(files.map(|(version, _)| version.name.to_owned()));
            assert_eq!(present, built_in);
            let numbers = files.map(|(version, _)| version.number);
            assert_eq!(numbers, [1, 2]);
            for (version, _) in files {
                assert!(version.name.starts_with(&format!("{:03}-", version.number)));
            }
        }
    }

    #[test]
    fn statements_are_told_apart_and_comments_do_not_count() {
        let file = "-- a; comment;\nCREATE TABLE t (\n    -- another;\n    a INT\n);\n\nINSERT INTO t VALUES (1);\n";
        assert_eq!(
            statements(file),
            ["CREATE TABLE t ( a INT )", "INSERT INTO t VALUES (1)"]
        );
        let reworded = file
            .replace("another", "a third")
            .replace("    a INT", "  a   INT");
        assert_eq!(digest(file), digest(&reworded));
        assert_ne!(digest(file), digest(&file.replace("a INT", "a BIGINT")));
        assert_eq!(MYSQL.map(|(_, file)| statements(file).len()), [1, 2]);
        assert_eq!(POSTGRES.map(|(_, file)| statements(file).len()), [2, 2]);
    }
}
