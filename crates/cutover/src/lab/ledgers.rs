//! Both ledgers, replicating into each other, and what stands in them at the end.

use std::path::Path;
use std::time::Duration;

use mysql_async::Row;
use mysql_async::prelude::Queryable as _;
use serde_json::Value;

use super::mariadb::{DATABASE, MariaDb};
use super::{Color, LabError};

/// How long replication may take to catch up at the end.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);

/// Blue's and green's database.
#[derive(Debug)]
pub struct Ledgers {
    blue: MariaDb,
    green: MariaDb,
}

/// A row of the table `payments`, as far as a reconciliation compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who pays: the scope of the key.
    pub scope: String,
    /// Unique in its scope, for ever.
    pub idempotency_key: String,
    /// Unique in its scope too.
    pub transaction_id: String,
    /// In the currency's minor unit.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// Who wrote the row.
    pub color: String,
    /// `completed`, or `voided` for a payment that was given up.
    pub status: String,
}

impl Ledgers {
    /// Starts both servers, creates the schema in each and lets them replicate both ways.
    pub async fn start(project: &Path, folder: &Path) -> Result<Self, LabError> {
        let (blue, green) = tokio::try_join!(
            MariaDb::start(Color::Blue, folder),
            MariaDb::start(Color::Green, folder)
        )?;
        let schema = project.join("infra/schema/mysql");
        for server in [&blue, &green] {
            server.create_ledger(&schema).await?;
        }
        blue.replicate_from(&green).await?;
        green.replicate_from(&blue).await?;
        Ok(Self { blue, green })
    }

    /// One of them.
    pub fn get(&self, color: Color) -> &MariaDb {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }

    /// Creates the user that payments are made as, with the password of its secret.
    pub async fn create_user(&self, color: Color, secret: &str) -> Result<(), LabError> {
        let (user, password) = login(color, secret)?;
        self.get(color)
            .create_application_user(&user, &password)
            .await
    }

    /// Creates the user that validates and sets the fence, with the password of its secret.
    pub async fn create_operator(&self, color: Color, secret: &str) -> Result<(), LabError> {
        let (user, password) = login(color, secret)?;
        self.get(color)
            .create_operations_user(&user, &password)
            .await
    }

    /// Waits until each server has what the other wrote.
    pub async fn catch_up(&self) -> Result<(), LabError> {
        for (from, to) in [(&self.blue, &self.green), (&self.green, &self.blue)] {
            to.wait_for(&from.own_position().await?, CATCH_UP_MAX)
                .await?;
        }
        Ok(())
    }

    /// Every row of one ledger.
    pub async fn entries(&self, color: Color) -> Result<Vec<Entry>, LabError> {
        let server = self.get(color);
        let mut connection = server.connect().await?;
        let rows: Vec<Row> = connection
            .query(format!(
                "SELECT scope, idempotency_key, transaction_id, amount, currency, color, status \
                 FROM {DATABASE}.payments"
            ))
            .await
            .map_err(server.failed("read the ledger"))?;
        connection
            .disconnect()
            .await
            .map_err(server.failed("disconnect"))?;
        rows.into_iter().map(entry).collect()
    }

    /// Ends both servers.
    pub async fn stop(self) {
        tokio::join!(self.blue.stop(), self.green.stop());
    }
}

fn entry(row: Row) -> Result<Entry, LabError> {
    let columns: Result<(String, String, String, u64, String, String, String), _> =
        mysql_async::from_row_opt(row);
    let (scope, idempotency_key, transaction_id, amount, currency, color, status) = columns
        .map_err(|error| LabError::Unexpected(format!("a ledger row can't be read: {error}")))?;
    Ok(Entry {
        scope,
        idempotency_key,
        transaction_id,
        amount,
        currency,
        color,
        status,
    })
}

/// User and password of a database secret.
fn login(color: Color, secret: &str) -> Result<(String, String), LabError> {
    let secret: Value = serde_json::from_str(secret)
        .map_err(|_| LabError::Unexpected(format!("{color}'s database secret is no JSON")))?;
    match (secret["username"].as_str(), secret["password"].as_str()) {
        (Some(user), Some(password)) => Ok((user.to_owned(), password.to_owned())),
        _ => Err(LabError::Unexpected(format!(
            "{color}'s database secret lacks its user or password"
        ))),
    }
}
