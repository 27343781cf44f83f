//! Which stored login is tried next, and which ways of changing a password are left.

use super::sql::{Flavour, Server};

/// A stored version whose credentials may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// The version of this rotation.
    Pending,
    /// AWSCURRENT.
    Current,
    /// AWSPREVIOUS.
    Previous,
    /// A version without a label, that a cancelled rotation left: its place in the list, the newest first.
    Stray(usize),
}

/// What to do about a single user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Log in with that version.
    Try(Candidate),
    /// The database has the pending password already.
    AlreadySet,
    /// Change the password as the user itself, logged in by that version.
    ChangeAs(Candidate),
    /// No stored version logs in: the master user changes the password.
    AskMaster,
    /// No stored version logs in, and there is no master user.
    LockedOut,
}

/// Decides from what was tried: `refused` candidates did not log in, `logged_in` did.
///
/// The order is pending (an earlier attempt at this step may have got through), current, previous, and then what a
/// cancelled rotation left: that one may have changed the database before it was cancelled.
#[must_use]
pub fn next(
    stored: &[Candidate],
    refused: &[Candidate],
    logged_in: Option<Candidate>,
    has_master: bool,
) -> Next {
    match logged_in {
        Some(Candidate::Pending) => return Next::AlreadySet,
        Some(other) => return Next::ChangeAs(other),
        None => {}
    }
    match stored.iter().find(|candidate| !refused.contains(candidate)) {
        Some(&candidate) => Next::Try(candidate),
        None if has_master => Next::AskMaster,
        None => Next::LockedOut,
    }
}

/// A way of changing a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the user itself, by hashes, both passwords staying good.
    Both,
    /// As the user itself, by the password's text, both staying good. MySQL takes no hash from a user without CREATE USER;
    /// it writes no password into its logs (MySQL 8.4 manual, 8.1.2.3).
    BothByText,
    /// By the master user, by hashes, both staying good where the engine can.
    Master,
    /// As the user itself, the new password only: whoever has the old one cannot log in until the new one is current.
    OnlyNew,
}

impl Way {
    /// As logged.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both-passwords",
            Self::BothByText => "both-passwords-by-text",
            Self::Master => "by-master",
            Self::OnlyNew => "new-password-only",
        }
    }
}

/// The ways for a user that is logged in, the best first. The next is for when the server denies one.
#[must_use]
pub fn ways(server: Server, has_master: bool) -> Vec<Way> {
    let mut ways = match server.flavour {
        Flavour::MySql if server.has_dual_passwords() => vec![Way::Both, Way::BothByText],
        Flavour::MariaDb if server.has_dual_passwords() => vec![Way::Both],
        // One password is all that these have: a master cannot do better, and is not needed.
        Flavour::Postgres | Flavour::MySql | Flavour::MariaDb => return vec![Way::OnlyNew],
    };
    if has_master {
        ways.push(Way::Master);
    }
    ways.push(Way::OnlyNew);
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: [Candidate; 4] = [
        Candidate::Pending,
        Candidate::Current,
        Candidate::Previous,
        Candidate::Stray(0),
    ];

    #[test]
    fn every_stored_version_is_tried_before_anyone_is_locked_out() {
        let mut refused = Vec::new();
        for candidate in STORED {
            assert_eq!(next(&STORED, &refused, None, true), Next::Try(candidate));
            refused.push(candidate);
        }
        assert_eq!(next(&STORED, &refused, None, true), Next::AskMaster);
        assert_eq!(next(&STORED, &refused, None, false), Next::LockedOut);
    }

    #[test]
    fn a_password_that_is_set_is_not_set_again() {
        // Setting it again would push the current one out of the account's second place.
        let done = next(&STORED, &[], Some(Candidate::Pending), true);
        assert_eq!(done, Next::AlreadySet);
        let other = next(
            &STORED,
            &[Candidate::Pending],
            Some(Candidate::Current),
            false,
        );
        assert_eq!(other, Next::ChangeAs(Candidate::Current));
    }

    #[test]
    fn a_gap_is_the_last_resort() {
        let mysql = Server::new(Flavour::MySql, (8, 0, 36));
        assert_eq!(
            ways(mysql, true),
            [Way::Both, Way::BothByText, Way::Master, Way::OnlyNew]
        );
        assert_eq!(
            ways(mysql, false),
            [Way::Both, Way::BothByText, Way::OnlyNew]
        );
        let mariadb = Server::new(Flavour::MariaDb, (10, 11, 0));
        assert_eq!(ways(mariadb, true), [Way::Both, Way::Master, Way::OnlyNew]);
        for single in [
            Server::new(Flavour::MySql, (5, 7, 44)),
            Server::new(Flavour::MariaDb, (10, 3, 9)),
            Server::new(Flavour::Postgres, (16, 2, 0)),
        ] {
            assert_eq!(ways(single, true), [Way::OnlyNew]);
        }
    }
}
