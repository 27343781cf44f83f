//! One user, whose password changes: both passwords are good until the next rotation, where the engine can.

use cutover_domain::rotation::admission::PREVIOUS;
use cutover_domain::rotation::logins::{next, ways};
use cutover_domain::rotation::names::name_fits_server;
use cutover_domain::rotation::sql::Flavour;
use cutover_domain::rotation::{Candidate, DatabaseSecret, Next, Way};
use cutover_ports::rotation::{Databases, SecretVersions, Session, Which};

use crate::error::RotationError;
use crate::rotation::{Outcome, Pair, Run};
use crate::session::login_for_accounts;
use crate::{mysql_accounts, postgres_roles};

/// Versions of cancelled rotations that are tried.
const STRAYS_MAX: usize = 10;

/// Versions that may log in.
struct Stored(Vec<(Candidate, DatabaseSecret)>);

impl Stored {
    fn names(&self) -> Vec<Candidate> {
        self.0.iter().map(|(candidate, _)| *candidate).collect()
    }

    fn get(&self, wanted: Candidate) -> Option<&DatabaseSecret> {
        let found = self.0.iter().find(|(candidate, _)| *candidate == wanted);
        found.map(|(_, secret)| secret)
    }

    /// Adds a version unless it is for another user or place, or its password is there already.
    fn add(&mut self, candidate: Candidate, secret: DatabaseSecret, current: &DatabaseSecret) {
        let fits = current.elsewhere(&secret).is_empty()
            && (&secret.username, secret.ssl) == (&current.username, current.ssl);
        let known = self
            .0
            .iter()
            .any(|(_, has)| has.password == secret.password);
        if fits && !known {
            self.0.push((candidate, secret));
        }
    }
}

/// Has the database take the pending password.
pub(crate) async fn set<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    pair: &Pair,
) -> Result<Outcome, RotationError> {
    let mut stored = Stored(vec![
        (Candidate::Pending, pair.pending.clone()),
        (Candidate::Current, pair.current.clone()),
    ]);
    if let Some(previous) = other(run, Which::Labelled(PREVIOUS)).await? {
        stored.add(Candidate::Previous, previous, &pair.current);
    }
    let has_master = pair.current.masterarn.is_some();
    let mut refused = Vec::new();
    let mut session = None;
    let mut strays_are_known = false;
    // Bounded: each round refuses a candidate, or adds the strays, or ends.
    loop {
        let logged_in = session.as_ref().map(|(candidate, _)| *candidate);
        match next(&stored.names(), &refused, logged_in, has_master) {
            Next::Try(candidate) => {
                let secret = stored.get(candidate).unwrap_or(&pair.pending);
                let login = login_for_accounts(secret, pair.current.dbname.as_deref());
                match run.try_login(&login).await {
                    Ok(Some(opened)) => session = Some((candidate, opened)),
                    Ok(None) => refused.push(candidate),
                    Err(error) => return Err(RotationError::Login("a stored version", error)),
                }
            }
            Next::AskMaster | Next::LockedOut if !strays_are_known => {
                strays_are_known = true;
                add_strays(run, &mut stored, &pair.current).await?;
            }
            Next::AlreadySet => {
                close(session).await;
                return Ok(Outcome::AlreadySet);
            }
            Next::ChangeAs(_) => break,
            Next::AskMaster => {
                by_master(run, pair).await?;
                return Ok(Outcome::Set);
            }
            Next::LockedOut => return Err(RotationError::LockedOut(stored.0.len())),
        }
    }
    if let Some((_, session)) = session {
        change(run, pair, session, has_master).await?;
    }
    Ok(Outcome::Set)
}

async fn close<S: Session>(session: Option<(Candidate, S)>) {
    if let Some((_, session)) = session {
        session.close().await;
    }
}

/// Changes the password as the user itself, the best way that the server allows.
async fn change<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    pair: &Pair,
    mut session: D::Session,
    has_master: bool,
) -> Result<(), RotationError> {
    let server = session.server();
    name_fits_server(server, &pair.pending.username)?;
    let mut denied = None;
    for way in ways(server, has_master) {
        let done = match (server.flavour, way) {
            (_, Way::Master) => by_master(run, pair).await,
            (Flavour::Postgres, _) => postgres_roles::change_own(run, &mut session, pair).await,
            _ => mysql_accounts::change_own(run, &mut session, pair, way).await,
        };
        match done {
            Err(RotationError::Statement(error)) if error.is_denied() => denied = Some(error),
            Ok(()) => {
                run.report.way = Some(way);
                session.close().await;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    session.close().await;
    Err(denied.map_or(RotationError::NoUser, RotationError::Statement))
}

/// Changes the password as the master user.
async fn by_master<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    pair: &Pair,
) -> Result<(), RotationError> {
    let master = run.master(pair).await?;
    let login = login_for_accounts(&master, pair.current.dbname.as_deref());
    let mut session = run.enter("the master's secret", &login).await?;
    let server = session.server();
    name_fits_server(server, &pair.pending.username)?;
    match server.flavour {
        Flavour::Postgres => postgres_roles::change_own(run, &mut session, pair).await?,
        _ => mysql_accounts::change_every(run, &mut session, pair).await?,
    }
    run.report.way = Some(Way::Master);
    session.close().await;
    Ok(())
}

async fn add_strays<V: SecretVersions, D: Databases>(
    run: &Run<'_, V, D>,
    stored: &mut Stored,
    current: &DatabaseSecret,
) -> Result<(), RotationError> {
    let versions = &run.rotation.versions;
    let ids = versions.unlabelled(run.secret_id, STRAYS_MAX).await?;
    for (place, id) in ids.iter().enumerate() {
        let which = Which::Version { id, label: None };
        if let Some(secret) = other(run, which).await? {
            stored.add(Candidate::Stray(place), secret, current);
        }
    }
    Ok(())
}

/// A version that need not be there, nor make sense.
async fn other<V: SecretVersions, D: Databases>(
    run: &Run<'_, V, D>,
    which: Which<'_>,
) -> Result<Option<DatabaseSecret>, RotationError> {
    let text = run.rotation.versions.value(run.secret_id, which).await?;
    Ok(text.and_then(|text| DatabaseSecret::parse(text.expose()).ok()))
}
