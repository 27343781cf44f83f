//! Checks that ask the databases themselves.

use std::time::Duration;

use cutover_domain::parity::{Limits, Progress, Verdict};
use cutover_domain::validation::Judgement;
use cutover_domain::validation::replication;
use cutover_domain::validation::text::listed;
use cutover_ports::parity::{
    DatabaseError, LinkState, Pair, ParityRequest, ReplicaLink, Site, Trouble,
};

use crate::checks::{Look, Looked, in_words};

/// A login, TLS included.
const LOGIN_TIME: Duration = Duration::from_secs(15);
/// A look at the streams of replication.
const STATUS_TIME: Duration = Duration::from_secs(15);
/// A comparison of two schemas.
const SCHEMA_TIME: Duration = Duration::from_secs(60);
/// Kept free after a comparison of rows, to tell where it stopped.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// Schema differences that are named.
const NAMED_MAX: usize = 20;

const LOGIN_EXPECTED: &str =
    "a login over TLS with the secret's user, to a server that takes writes";
const SCHEMA_EXPECTED: &str = "the same tables, columns, keys and rules in both databases";
const ROWS_EXPECTED: &str = "the same rows in both databases, for every table that was asked for";

impl Look {
    /// A database by its secret.
    ///
    /// # Errors
    /// What a check makes of it that the secret can't be read.
    pub async fn site(&self, name: &str, secret_id: &str) -> Result<Site, Judgement> {
        Ok(Site {
            name: name.to_owned(),
            secret: self.secret_text(secret_id).await?,
        })
    }

    /// Both databases.
    ///
    /// # Errors
    /// What a check makes of it that a secret can't be read.
    pub async fn pair(&self) -> Result<Pair, Judgement> {
        let p = &self.properties;
        let (blue, green) = tokio::join!(
            self.site("blue", p.blue_secret.as_deref().unwrap_or_default()),
            self.site("green", p.green_secret.as_deref().unwrap_or_default())
        );
        Ok(Pair {
            blue: blue?,
            green: green?,
        })
    }

    fn within(&self, most: Duration) -> Duration {
        most.min(self.until.remaining())
    }
}

/// A login to a color's database.
pub async fn login(look: &Look, color: &str, secret_id: &str) -> Judgement {
    let site = match look.site(color, secret_id).await {
        Ok(site) => site,
        Err(judgement) => return judgement,
    };
    let login = look
        .estate
        .databases
        .log_in(&site, look.within(LOGIN_TIME))
        .await;
    let login = match login {
        Ok(login) => login,
        // Here the login is what is checked: that it is refused was seen, and is no blind spot.
        Err(error) if !error.trouble.may_pass() || error.trouble == Trouble::Tcp => {
            let advice = error.trouble.advice();
            return Judgement::fail(in_words(&error), LOGIN_EXPECTED, advice);
        }
        Err(error) => return database_blind(&error, LOGIN_EXPECTED),
    };
    let observed = format!(
        "{}, {}, {}; {}",
        login.server,
        if login.tls { "over TLS" } else { "without TLS" },
        if login.writable {
            "takes writes"
        } else {
            "takes no writes"
        },
        login.change_log.observed
    );
    if !login.tls {
        let advice = "take \"ssl\": false out of the secret, and let the server offer TLS";
        return Judgement::fail(observed, LOGIN_EXPECTED, advice);
    }
    if !login.writable {
        return Judgement::fail(observed, LOGIN_EXPECTED, Trouble::ReadOnly.advice());
    }
    Judgement::pass(observed, LOGIN_EXPECTED)
}

/// Replication as the databases themselves see it.
pub async fn replica_status(look: &Look) -> Judgement {
    let expected = replication::expected(look.properties.lag_seconds_max);
    let pair = match look.pair().await {
        Ok(pair) => pair,
        Err(judgement) => return judgement,
    };
    let (databases, time) = (&look.estate.databases, look.within(STATUS_TIME));
    let (blue, green) = tokio::join!(
        databases.links(&pair.blue, time),
        databases.links(&pair.green, time)
    );
    let green = match green {
        Ok(links) if links.is_empty() => Judgement::fail(
            "green's database replicates from nowhere",
            expected.clone(),
            "set replication from blue to green up, or give ReplicationTaskArn where a service replicates",
        ),
        Ok(links) => streams("green", &links, look.properties.lag_seconds_max),
        Err(error) => database_blind(&error, &expected),
    };
    let blue = match blue {
        Ok(links) if links.is_empty() => {
            Judgement::pass("blue's database replicates from nowhere", expected)
        }
        Ok(links) => streams("blue", &links, look.properties.lag_seconds_max),
        Err(error) => database_blind(&error, &expected),
    };
    Judgement::all(vec![green, blue])
}

fn streams(side: &str, links: &[ReplicaLink], lag_max: u32) -> Judgement {
    let expected = replication::expected(lag_max);
    let parts = links.iter().map(|link| {
        let name = format!("{side}'s stream {}", link.name);
        match &link.state {
            LinkState::Running { lag_seconds } => {
                // Lags are seconds of minutes: a float holds them exactly.
                let seconds = u32::try_from(*lag_seconds)
                    .map(f64::from)
                    .unwrap_or(f64::MAX);
                replication::lag(Some(seconds), &name, lag_max)
            }
            LinkState::Stopped(why) => Judgement::fail(
                format!("{name} does not run ({why})"),
                expected.clone(),
                "start replication, and look the number up in the server's manual",
            ),
            LinkState::Unknown(why) => Judgement::unknown(
                format!("{name}: {why}"),
                expected.clone(),
                "grant the secret's user what SHOW REPLICA STATUS or pg_stat_subscription needs",
            ),
        }
    });
    Judgement::all(parts.collect())
}

/// Both schemas.
pub async fn schema_parity(look: &Look) -> Judgement {
    let pair = match look.pair().await {
        Ok(pair) => pair,
        Err(judgement) => return judgement,
    };
    let tables = &look.properties.parity_tables;
    let time = look.within(SCHEMA_TIME);
    let compared = look
        .estate
        .databases
        .compare_schemas(&pair, tables, time)
        .await;
    let findings = match compared {
        Ok(findings) => findings,
        Err(error) => return database_blind(&error, SCHEMA_EXPECTED),
    };
    if findings.is_parity() {
        let tables = listed(&findings.tables, NAMED_MAX);
        return Judgement::pass(format!("the same in both: {tables}"), SCHEMA_EXPECTED);
    }
    if findings.differences.is_empty() {
        return Judgement::unknown(
            "no table was found to compare",
            SCHEMA_EXPECTED,
            "create the ledger's schema in both databases (Custom::DatabaseSchema)",
        );
    }
    let differences: Vec<String> = findings
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    Judgement::fail(
        format!(
            "{} differences: {}",
            differences.len(),
            listed(&differences, NAMED_MAX)
        ),
        SCHEMA_EXPECTED,
        "bring both schemas to one version (Custom::DatabaseSchema), and take away what is in one only",
    )
}

/// The rows of both, as far as the time reaches.
pub async fn data_parity(look: &Look, token: Option<String>) -> Looked {
    let pair = match look.pair().await {
        Ok(pair) => pair,
        Err(judgement) => return judgement.into(),
    };
    let p = &look.properties;
    let lag_max = u64::from(p.lag_seconds_max);
    let request = ParityRequest {
        tables: p.row_tables(),
        lag_outside: p
            .replication_task
            .is_some()
            .then(|| Duration::from_secs(lag_max)),
        limits: Limits {
            lag_seconds_max: lag_max,
            ..Limits::default()
        },
    };
    // A token of another form is of another version of this function: the comparison begins anew.
    let progress = token
        .and_then(|token| serde_json::from_str::<Progress>(&token).ok())
        .filter(Progress::can_go_on);
    let budget = look.until.remaining().saturating_sub(AFTERWARDS);
    let compared = look
        .estate
        .databases
        .compare_rows(&pair, &request, progress, budget)
        .await;
    match compared {
        Err(error) => database_blind(&error, ROWS_EXPECTED).into(),
        Ok(progress) if progress.is_finished() => rows(&progress).into(),
        Ok(progress) => match serde_json::to_string(&progress) {
            Ok(token) => Looked::Unfinished {
                token,
                so_far: rows(&progress),
            },
            Err(_never_for_text_and_numbers) => rows(&progress).into(),
        },
    }
}

fn rows(progress: &Progress) -> Judgement {
    let told: Vec<String> = progress
        .tables
        .iter()
        .map(|table| table.summary())
        .collect();
    let observed = told.join("; ");
    match progress.verdict() {
        Verdict::Equal => Judgement::pass(observed, ROWS_EXPECTED),
        Verdict::Differs => Judgement::fail(
            observed,
            ROWS_EXPECTED,
            "look each key up in both databases: what differs was not replicated, or was changed by hand",
        ),
        Verdict::Unknown => Judgement::unknown(
            observed,
            ROWS_EXPECTED,
            "look at what kept each table from being compared: nothing is known of its rows",
        ),
    }
}

/// What a check makes of a database that could not be asked.
#[must_use]
pub fn database_blind(error: &DatabaseError, expected: &str) -> Judgement {
    let (seen, advice) = (in_words(error), error.trouble.advice());
    match error.trouble {
        Trouble::Missing => Judgement::fail(seen, expected, advice),
        _ => Judgement::unknown(seen, expected, advice),
    }
}
