//! Two users that take turns: the one whose turn it is not gets the new password, and the rights of the original.

use cutover_domain::rotation::names::name_fits_server;
use cutover_domain::rotation::secret::ALTERNATE_SUFFIX;
use cutover_domain::rotation::sql::Flavour;
use cutover_ports::rotation::{Databases, SecretVersions, Session};

use crate::error::RotationError;
use crate::rotation::{Outcome, Pair, Run};
use crate::session::login_for_accounts;
use crate::{mysql_accounts, postgres_roles};

/// The names of the two.
pub(crate) struct Names {
    pub(crate) original: String,
    pub(crate) alternate: String,
}

impl Names {
    fn of(pair: &Pair) -> Self {
        let original = pair.pending.original_username().to_owned();
        let alternate = format!("{original}{ALTERNATE_SUFFIX}");
        Self {
            original,
            alternate,
        }
    }
}

/// Has the database take the pending password.
///
/// The rights are compared each time, even if the pending password logs in: an earlier attempt may have died between the
/// two.
pub(crate) async fn set<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    pair: &Pair,
) -> Result<Outcome, RotationError> {
    let names = Names::of(pair);
    let master = run.master(pair).await?;
    let login = login_for_accounts(&master, pair.pending.dbname.as_deref());
    let mut session = run.enter("the master's secret", &login).await?;
    let server = session.server();
    name_fits_server(server, &names.alternate)?;
    // Nothing of the original changes but its password.
    let is_original = pair.pending.username == names.original;
    match (server.flavour, is_original) {
        (Flavour::Postgres, true) => {
            postgres_roles::change_own(run, &mut session, pair).await?;
        }
        (Flavour::Postgres, false) => {
            postgres_roles::settle(run, &mut session, pair, &names).await?;
        }
        (_, true) => mysql_accounts::replace_every(run, &mut session, pair).await?,
        (_, false) => mysql_accounts::settle(run, &mut session, pair, &names).await?,
    }
    session.close().await;
    Ok(Outcome::Set)
}
