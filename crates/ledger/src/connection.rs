//! A connection to either engine. Each thing that can be asked of the ledger is a method here and one in each engine.

use std::path::Path;

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Color, Scope};
use cutover_ports::payment::{Found, Readiness};

use crate::credentials::{Credentials, Engine};
use crate::ledger::Failure;
use crate::mysql::{self, MySql};
use crate::postgres::{self, Postgres};

/// A connection.
pub(crate) enum Connection {
    MySql(MySql),
    Postgres(Postgres),
}

impl Connection {
    /// Resolves the host, connects, logs in, and prepares what a payment needs.
    pub(crate) async fn open(
        credentials: &Credentials,
        ca_bundle: Option<&Path>,
    ) -> Result<Self, Failure> {
        match credentials.engine {
            Engine::Mysql | Engine::Mariadb => mysql::connect(credentials, ca_bundle)
                .await
                .map(Self::MySql),
            Engine::Postgres => postgres::connect(credentials, ca_bundle)
                .await
                .map(Self::Postgres),
        }
    }

    /// Whether it is known to have ended. What is not known to have ended may have nevertheless.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::MySql(_) => false,
            Self::Postgres(postgres) => postgres.has_ended(),
        }
    }

    /// Writes the row of a claim, or says what stands in its place.
    pub(crate) async fn post(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        match self {
            Self::MySql(mysql) => mysql.post(claim, color).await,
            Self::Postgres(postgres) => postgres.post(claim, color).await,
        }
    }

    /// Writes the tombstone of a claim, or says what stands in its place.
    pub(crate) async fn void(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        match self {
            Self::MySql(mysql) => mysql.void(claim, color).await,
            Self::Postgres(postgres) => postgres.void(claim, color).await,
        }
    }

    /// Whether `color` could write now.
    pub(crate) async fn readiness(&mut self, color: Color) -> Result<Readiness, Failure> {
        match self {
            Self::MySql(mysql) => mysql.readiness(color).await,
            Self::Postgres(postgres) => postgres.readiness(color).await,
        }
    }

    /// The row with that transaction id in a scope.
    pub(crate) async fn find(
        &mut self,
        scope: &Scope,
        transaction_id: &str,
    ) -> Result<Option<Found>, Failure> {
        match self {
            Self::MySql(mysql) => mysql.find(scope, transaction_id).await,
            Self::Postgres(postgres) => postgres.find(scope, transaction_id).await,
        }
    }
}
