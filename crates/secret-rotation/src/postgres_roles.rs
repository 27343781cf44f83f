//! What is asked of PostgreSQL, and in which order what was decided is stated.

use cutover_domain::rotation::hash::postgres_scram;
use cutover_domain::rotation::postgres_plan::{
    Pair as Roles, act_as, commit, memberships_query, own_things_query, read_own_things,
    read_roles, roles_query, set_password, settings_query,
};
use cutover_ports::rotation::{Databases, SecretVersions, Session};

use crate::alternating::Names;
use crate::error::RotationError;
use crate::rotation::{Pair, Run};

/// Changes the password of the pending user. A role has one password: from now on the current version does not log in, if
/// it is of the same user.
pub(crate) async fn change_own<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
) -> Result<(), RotationError> {
    let verifier = postgres_scram(&pair.pending.password, &(run.rotation.salt)());
    let statement = set_password(&pair.pending.username, &verifier);
    Ok(run.state(session, &statement).await?)
}

/// Makes the second user act as the first, with the pending password: all in one transaction.
pub(crate) async fn settle<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
    names: &Names,
) -> Result<(), RotationError> {
    let both = [names.original.as_str(), names.alternate.as_str()];
    let roles = roles_query(both);
    let roles = session.query("ask for the roles", &roles).await?;
    let settings = settings_query(both);
    let settings = session
        .query("ask for the roles' settings", &settings)
        .await?;
    let groups = memberships_query(both);
    let groups = session.query("ask for the roles' groups", &groups).await?;
    let roles = read_roles(&roles, &settings, &groups)?;
    let wants = roles.get(&names.original).ok_or(RotationError::NoUser)?;
    if wants.superuser {
        return Err(RotationError::Superuser);
    }
    let has = roles.get(&names.alternate);
    let question = own_things_query(&names.alternate);
    let things = session.query("ask for the user's own rights", &question);
    let things = read_own_things(&things.await?)?;
    let verifier = postgres_scram(&pair.pending.password, &(run.rotation.salt)());
    let roles = Roles {
        original: &names.original,
        wants,
        alternate: &names.alternate,
        has,
    };
    for statement in act_as(session.server(), roles, &things, &verifier) {
        run.state(session, &statement).await?;
    }
    // Revoking what another granted is no error to the server, but no revocation either.
    let left = session.query("ask for the user's own rights", &question);
    let left = read_own_things(&left.await?)?;
    let count = left.rights.len() + usize::from(left.owns);
    if count > 0 {
        // The session ends with the error, and the transaction with it.
        return Err(RotationError::StillDiffers(count));
    }
    Ok(run.state(session, &commit()).await?)
}
