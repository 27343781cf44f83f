//! What is asked of MySQL and MariaDB, and in which order what was decided is stated.

use cutover_domain::rotation::mysql_account::{Account, Attributes};
use cutover_domain::rotation::mysql_grants::Grants;
use cutover_domain::rotation::mysql_plan::{
    self, Description, Passwords, Plugin, become_like, both, both_by_text, hosts_query, lock,
    only_new,
};
use cutover_domain::rotation::mysql_text::Unreadable;
use cutover_domain::rotation::{Statement, Way};
use cutover_ports::rotation::{Databases, SecretVersions, Session};

use crate::alternating::Names;
use crate::error::RotationError;
use crate::rotation::{Pair, Run};
use crate::session::column;

/// Accounts that one user name may have, one a host part.
const HOSTS_MAX: usize = 32;

/// Changes the password of the account that the session is of.
pub(crate) async fn change_own<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
    way: Way,
) -> Result<(), RotationError> {
    let said = session.query("ask whose session it is", "SELECT CURRENT_USER()");
    let said = column(said.await?);
    let account = said.first().and_then(|said| Account::of_current_user(said));
    let account = account.filter(|account| account.user == pair.pending.username);
    let account = account.ok_or(RotationError::Shadowed)?;
    let statements = match way {
        Way::BothByText => both_by_text(passwords(pair)),
        Way::OnlyNew => vec![only_new(session.server(), &pair.pending.password)],
        Way::Both | Way::Master => {
            let question = "SHOW CREATE USER CURRENT_USER()";
            let attributes = attributes(session, question).await?;
            both_for(run, session, &account, &attributes, pair)?
        }
    };
    for statement in &statements {
        run.state(session, statement).await?;
    }
    Ok(())
}

/// Changes the password of every account of the user, as the master: both passwords are good afterwards.
pub(crate) async fn change_every<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
) -> Result<(), RotationError> {
    for account in accounts_that_must_be(session, &pair.pending.username).await? {
        let attributes = attributes(session, &show_create(&account)).await?;
        for statement in both_for(run, session, &account, &attributes, pair)? {
            run.state(session, &statement).await?;
        }
    }
    Ok(())
}

fn both_for<V, D: Databases>(
    run: &Run<'_, V, D>,
    session: &D::Session,
    account: &Account,
    attributes: &Attributes,
    pair: &Pair,
) -> Result<Vec<Statement>, RotationError> {
    let server = session.server();
    let plugin = Plugin::of(server, attributes)?;
    let salts = [(run.rotation.salt)(), (run.rotation.salt)()];
    if server.has_dual_passwords() {
        return Ok(both(server, account, plugin, passwords(pair), &salts));
    }
    let [salt, _] = salts;
    let new = &pair.pending.password;
    Ok(vec![mysql_plan::replace(
        account, plugin, new, server, &salt,
    )])
}

fn passwords(pair: &Pair) -> Passwords<'_> {
    Passwords {
        new: &pair.pending.password,
        old: &pair.current.password,
    }
}

/// Gives every account of the pending user the pending password, and no other.
pub(crate) async fn replace_every<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
) -> Result<(), RotationError> {
    for account in accounts_that_must_be(session, &pair.pending.username).await? {
        let attributes = attributes(session, &show_create(&account)).await?;
        replace(run, session, &account, &attributes, pair).await?;
    }
    Ok(())
}

async fn replace<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    account: &Account,
    attributes: &Attributes,
    pair: &Pair,
) -> Result<(), RotationError> {
    let server = session.server();
    let plugin = Plugin::of(server, attributes)?;
    let salt = (run.rotation.salt)();
    let new = &pair.pending.password;
    let statement = mysql_plan::replace(account, plugin, new, server, &salt);
    Ok(run.state(session, &statement).await?)
}

/// Makes the alternating user like the original, host part by host part, with the pending password.
pub(crate) async fn settle<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    pair: &Pair,
    names: &Names,
) -> Result<(), RotationError> {
    let originals = accounts_that_must_be(session, &names.original).await?;
    let present = accounts(session, &names.alternate).await?;
    for original in &originals {
        let alternate = Account {
            user: names.alternate.clone(),
            host: original.host.clone(),
        };
        if present.contains(&alternate) {
            let attributes = attributes(session, &show_create(&alternate)).await?;
            replace(run, session, &alternate, &attributes, pair).await?;
        } else {
            let salt = (run.rotation.salt)();
            let new = &pair.pending.password;
            let statement = mysql_plan::create(&alternate, new, session.server(), &salt);
            run.state(session, &statement).await?;
        }
        settle_one(run, session, original, &alternate).await?;
    }
    let counterpart = |account: &Account| originals.iter().any(|o| o.host == account.host);
    for account in present.iter().filter(|account| !counterpart(account)) {
        run.state(session, &lock(account)).await?;
    }
    Ok(())
}

/// Settles the difference, and looks whether it is settled: a server may grant less than it is asked to.
async fn settle_one<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    session: &mut D::Session,
    original: &Account,
    alternate: &Account,
) -> Result<(), RotationError> {
    let server = session.server();
    let wants = describe(session, original).await?;
    let has = describe(session, alternate).await?;
    for statement in become_like(server, alternate, &has, &wants) {
        run.state(session, &statement).await?;
    }
    let after = describe(session, alternate).await?;
    match become_like(server, alternate, &after, &wants).len() {
        0 => Ok(()),
        left => Err(RotationError::StillDiffers(left)),
    }
}

async fn describe<S: Session>(
    session: &mut S,
    account: &Account,
) -> Result<Description, RotationError> {
    let attributes = attributes(session, &show_create(account)).await?;
    let question = format!("SHOW GRANTS FOR {}", account.quoted());
    let rows = session.query("ask for an account's rights", &question);
    let rows = column(rows.await?);
    Ok(Description {
        attributes,
        grants: Grants::parse(rows.iter().map(String::as_str))?,
    })
}

fn show_create(account: &Account) -> String {
    format!("SHOW CREATE USER {}", account.quoted())
}

async fn attributes<S: Session>(
    session: &mut S,
    question: &str,
) -> Result<Attributes, RotationError> {
    let rows = session.query("ask for an account's attributes", question);
    let rows = column(rows.await?);
    let printed = rows.first().ok_or(Unreadable("an account"))?;
    Ok(Attributes::parse(printed, session.server().flavour)?)
}

async fn accounts_that_must_be<S: Session>(
    session: &mut S,
    user: &str,
) -> Result<Vec<Account>, RotationError> {
    let accounts = accounts(session, user).await?;
    if accounts.is_empty() {
        return Err(RotationError::NoUser);
    }
    Ok(accounts)
}

async fn accounts<S: Session>(session: &mut S, user: &str) -> Result<Vec<Account>, RotationError> {
    let question = hosts_query(session.server(), user);
    let hosts = session.query("ask for a user's accounts", &question);
    let hosts = column(hosts.await?);
    if hosts.len() > HOSTS_MAX {
        return Err(Unreadable("more than 32 accounts of one user").into());
    }
    let account = |host| Account {
        user: user.to_owned(),
        host,
    };
    Ok(hosts.into_iter().map(account).collect())
}
