//! A crash at every call and every statement, for each engine and strategy: what is true at that moment, and what becomes
//! of it.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cutover_domain::rotation::admission::{CURRENT, PREVIOUS};
use cutover_domain::rotation::{Step, Strategy};
use cutover_ports::rotation::Databases;
use cutover_ports::rotation::fakes::FakeSecretVersions;
use secret_rotation::rotation::Report;

use crate::crash::{Mortal, Points, When};
use crate::mysql8::Model;
use crate::world::{Kind, SECRET, World, request, rotation_of};

const TIME: Duration = Duration::from_secs(30);

/// What a sweep needs of a user and its database.
pub(crate) trait Subject {
    type Databases: Databases;
    fn versions(&self) -> &FakeSecretVersions;
    fn databases(&self) -> Self::Databases;
    fn strategy(&self) -> Strategy;
    fn logs_in(&self, label: &str) -> impl Future<Output = bool>;
    fn any_logs_in(&self) -> impl Future<Output = bool>;
    /// What is wrong with the rights of an alternating user.
    fn rights_differ(&self) -> Option<String>;
}

impl Subject for World {
    type Databases = cutover_ledger::accounts::SqlDatabases;

    fn versions(&self) -> &FakeSecretVersions {
        &self.versions
    }

    fn databases(&self) -> Self::Databases {
        World::databases(self)
    }

    fn strategy(&self) -> Strategy {
        self.strategy
    }

    async fn logs_in(&self, label: &str) -> bool {
        World::logs_in(self, label).await
    }

    async fn any_logs_in(&self) -> bool {
        World::any_logs_in(self).await
    }

    fn rights_differ(&self) -> Option<String> {
        crate::alternating::difference(self)
    }
}

/// The whole rotation by one process, which may die on the way. Whether it did.
async fn run<S: Subject>(subject: &S, token: &str, points: &Rc<Points>) -> bool {
    let mortal = Mortal {
        inner: subject.versions(),
        points: Rc::clone(points),
    };
    let databases = Mortal {
        inner: subject.databases(),
        points: Rc::clone(points),
    };
    let rotation = rotation_of(mortal, databases, subject.strategy());
    let steps = async {
        for step in Step::ALL {
            let mut report = Report::default();
            let until = Instant::now() + TIME;
            let done = rotation
                .run(&request(step, token), until, &mut report)
                .await;
            if let Err(error) = done {
                panic!("{step:?}: {}", secret_rotation::error::in_words(&error));
            }
        }
    };
    tokio::select! {
        () = steps => false,
        () = points.died.notified() => true,
    }
}

#[derive(Default)]
struct Tally {
    calls: usize,
    crashes: u32,
    resumed: u32,
    begun_anew: u32,
    current_failed: u32,
    locked_out: u32,
}

/// Crashes everywhere. After each, once the same token is used again, and once the rotation is cancelled and another begun.
async fn sweep<S: Subject>(make: impl AsyncFn() -> S, keeps_current: bool) -> Tally {
    let dry = Points::die_at(None);
    let subject = make().await;
    subject.versions().begin(SECRET, "t1");
    assert!(!run(&subject, "t1", &dry).await);
    let met = dry.met.borrow().clone();
    let mut tally = Tally {
        calls: met.len(),
        ..Tally::default()
    };
    for (number, (what, changes)) in met.into_iter().enumerate() {
        // The answer of a call that changes nothing may as well not have been asked for.
        let whens: &[When] = if changes {
            &[When::Before, When::After]
        } else {
            &[When::Before]
        };
        // What a cancelled rotation leaves differs only around calls that change something.
        let ends: &[bool] = if changes { &[false, true] } else { &[false] };
        for &when in whens {
            for &cancelled in ends {
                let place = format!("{when:?} {what} ({number}), cancelled: {cancelled}");
                let subject = make().await;
                subject.versions().begin(SECRET, "t1");
                let points = Points::die_at(Some((number, when)));
                assert!(run(&subject, "t1", &points).await, "{place}: it dies");
                tally.crashes += 1;
                tally.locked_out += u32::from(!subject.any_logs_in().await);
                let current = subject.logs_in(CURRENT).await;
                tally.current_failed += u32::from(!current);
                assert!(
                    current || !keeps_current,
                    "{place}: the current version logs in"
                );
                let token = if cancelled {
                    subject.versions().cancel(SECRET);
                    subject.versions().begin(SECRET, "t2");
                    "t2"
                } else {
                    "t1"
                };
                assert!(!run(&subject, token, &Points::die_at(None)).await);
                settled(&subject, token, keeps_current, &place).await;
                if cancelled {
                    tally.begun_anew += 1;
                } else {
                    tally.resumed += 1;
                }
            }
        }
    }
    tally
}

async fn settled<S: Subject>(subject: &S, token: &str, keeps_current: bool, place: &str) {
    let (current, _) = subject.versions().labelled(SECRET, CURRENT).unwrap();
    assert_eq!(current, token, "{place}: the new version is current");
    assert!(subject.logs_in(CURRENT).await, "{place}: it logs in");
    let previous = subject.logs_in(PREVIOUS).await;
    // After a crash behind the promotion the version before a second rotation is the first one's.
    assert!(
        previous || !keeps_current,
        "{place}: the previous version logs in"
    );
    assert_eq!(subject.rights_differ(), None, "{place}");
}

fn print(engine: &str, strategy: &str, tally: &Tally) {
    println!(
        "| {engine:<20} | {strategy:<40} | {:>5} | {:>7} | {:>7} | {:>9} | {:>14} | {:>10} |",
        tally.calls,
        tally.crashes,
        tally.resumed,
        tally.begun_anew,
        tally.current_failed,
        tally.locked_out
    );
    assert_eq!(tally.locked_out, 0);
    assert_eq!(tally.crashes, tally.resumed + tally.begun_anew);
}

/// The head of the table, once for all rows.
fn head() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        println!(
            "| engine               | strategy                                 | calls | crashes | resumed | new token | current failed | locked out |\n\
             | -------------------- | ---------------------------------------- | ----- | ------- | ------- | --------- | -------------- | ---------- |"
        );
    });
}

async fn single(kind: Kind, engine: &str, keeps_current: bool) {
    head();
    let make = async || World::new(kind, Strategy::SingleUser);
    let tally = sweep(make, keeps_current).await;
    print(engine, "single user", &tally);
}

async fn alternating(kind: Kind, engine: &str) {
    head();
    let first = async || crate::alternating::world(kind);
    let tally = sweep(first, true).await;
    print(engine, "alternating: second user made", &tally);
    let back = async || {
        let world = crate::alternating::world(kind);
        world.rotate("t0").await;
        world
    };
    let tally = sweep(back, true).await;
    print(engine, "alternating: back to the first", &tally);
    let again = async || {
        let world = crate::alternating::world(kind);
        world.rotate("t00").await;
        world.rotate("t0").await;
        crate::alternating::change_rights(&world);
        world
    };
    let tally = sweep(again, true).await;
    print(engine, "alternating: second user, rights changed", &tally);
}

#[tokio::test]
async fn mariadb_single_user_survives_a_crash_anywhere() {
    single(Kind::MariaDb, "MariaDB 10.11", true).await;
}

/// A role has one password: between the change and the promotion the current version does not log in, and the pending one
/// does.
#[tokio::test]
async fn postgres_single_user_survives_a_crash_anywhere() {
    single(Kind::Postgres, "PostgreSQL 15", false).await;
}

#[tokio::test]
async fn mariadb_alternating_users_survive_a_crash_anywhere() {
    alternating(Kind::MariaDb, "MariaDB 10.11").await;
}

#[tokio::test]
async fn postgres_alternating_users_survive_a_crash_anywhere() {
    alternating(Kind::Postgres, "PostgreSQL 15").await;
}

#[tokio::test]
async fn mysql_8_single_user_survives_a_crash_anywhere_in_a_model() {
    head();
    for (way, name) in [
        (crate::mysql8::May::CreateUser, "single user, by hash"),
        (crate::mysql8::May::PasswordAdmin, "single user, by text"),
    ] {
        let make = async || Model::new(way);
        let tally = sweep(make, true).await;
        print("MySQL 8 (a model)", name, &tally);
    }
}
