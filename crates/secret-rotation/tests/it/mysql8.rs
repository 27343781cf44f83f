//! A model of one MySQL 8 account with its two passwords. It is no server: it shows what our statements do if MySQL keeps to
//! its manual (8.0, 6.2.15 "Dual Password Support"), and refuses every statement that it does not expect.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use cutover_domain::rotation::admission::{CURRENT, PENDING, PREVIOUS};
use cutover_domain::rotation::hash::mysql_caching_sha2;
use cutover_domain::rotation::sql::Flavour;
use cutover_domain::rotation::{Password, Server, Statement, Step, Strategy};
use cutover_ports::rotation::fakes::FakeSecretVersions;
use cutover_ports::rotation::{
    Databases, Login, LoginError, LoginFault, Row, Session, StatementError, StatementFault,
};
use secret_rotation::rotation::Report;
use serde_json::{Value, json};

use crate::sweep::Subject;
use crate::world::{SECRET, request, rotation_of};

const RETAIN: &str = " RETAIN CURRENT PASSWORD";
const AS: &str = "ALTER USER `app`@`%` IDENTIFIED WITH caching_sha2_password AS 0x";
const BY: &str = "ALTER USER USER() IDENTIFIED BY '";

/// What the account may do to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    CreateUser,
    PasswordAdmin,
    Nothing,
}

#[derive(Debug, Clone)]
struct Account {
    may: May,
    /// Stored forms, as `$A$005$...`.
    first: String,
    second: Option<String>,
    statements: Vec<String>,
}

pub(crate) struct Model {
    versions: FakeSecretVersions,
    account: Rc<RefCell<Account>>,
}

pub(crate) struct ModelDatabases(Rc<RefCell<Account>>);
pub(crate) struct ModelSession(Rc<RefCell<Account>>);

impl Model {
    pub(crate) fn new(may: May) -> Self {
        let versions = FakeSecretVersions::default();
        versions.store(SECRET, "v0", fields("first").to_string());
        let first = mysql_caching_sha2(&Password::new("first".to_owned()), &[9; 20]);
        Self {
            versions,
            account: Rc::new(RefCell::new(Account {
                may,
                first,
                second: None,
                statements: Vec::new(),
            })),
        }
    }

    fn takes(&self, label: &str) -> bool {
        let Some((_, Some(value))) = self.versions.labelled(SECRET, label) else {
            return false;
        };
        let fields: Value = serde_json::from_str(&value).unwrap();
        self.account
            .borrow()
            .takes(fields["password"].as_str().unwrap())
    }

    async fn rotate(&self, token: &str) -> Report {
        self.versions.begin(SECRET, token);
        let databases = ModelDatabases(Rc::clone(&self.account));
        let rotation = rotation_of(&self.versions, databases, Strategy::SingleUser);
        let mut set = Report::default();
        for step in Step::ALL {
            let mut report = Report::default();
            let until = Instant::now() + std::time::Duration::from_secs(9);
            rotation
                .run(&request(step, token), until, &mut report)
                .await
                .unwrap();
            if step == Step::Set {
                set = report;
            }
        }
        set
    }
}

fn fields(password: &str) -> Value {
    json!({"engine": "mysql", "host": "model", "username": "app", "password": password})
}

impl Account {
    fn takes(&self, password: &str) -> bool {
        let matches = |stored: &str| {
            let letters = &stored.as_bytes()[7..27];
            let alphabet = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            let mut salt = [0; 20];
            for (place, letter) in salt.iter_mut().zip(letters) {
                let at = alphabet.iter().position(|has| has == letter).unwrap();
                *place = u8::try_from(at).unwrap();
            }
            mysql_caching_sha2(&Password::new(password.to_owned()), &salt) == stored
        };
        matches(&self.first) || self.second.as_deref().is_some_and(matches)
    }

    fn execute(&mut self, statement: &str) -> Result<(), StatementFault> {
        let denied = || Err(StatementFault::Denied("1227".to_owned()));
        let (body, retain) = match statement.strip_suffix(RETAIN) {
            Some(body) => (body, true),
            None => (statement, false),
        };
        let new = if let Some(hash) = body.strip_prefix(AS) {
            if self.may != May::CreateUser {
                return denied();
            }
            let bytes: Vec<u8> = (0..hash.len() / 2)
                .map(|i| u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            String::from_utf8(bytes).unwrap()
        } else if let Some(text) = body
            .strip_prefix(BY)
            .and_then(|text| text.strip_suffix('\''))
        {
            if retain && self.may == May::Nothing {
                return denied();
            }
            let password = Password::new(text.replace("''", "'"));
            mysql_caching_sha2(&password, &[5; 20])
        } else {
            return Err(StatementFault::Server("1064".to_owned()));
        };
        let old = std::mem::replace(&mut self.first, new);
        self.second = retain.then_some(old);
        self.statements.push(statement.to_owned());
        Ok(())
    }
}

impl Databases for ModelDatabases {
    type Session = ModelSession;

    async fn log_in(&self, login: &Login, _until: Instant) -> Result<ModelSession, LoginError> {
        if login.username == "app" && self.0.borrow().takes(login.password.expose()) {
            return Ok(ModelSession(Rc::clone(&self.0)));
        }
        Err(LoginError {
            fault: LoginFault::Password,
            source: "1045".into(),
        })
    }
}

impl Session for ModelSession {
    fn server(&self) -> Server {
        Server::new(Flavour::MySql, (8, 0, 36))
    }

    async fn query(&mut self, what: &'static str, sql: &str) -> Result<Vec<Row>, StatementError> {
        let answer = match sql {
            "SELECT CURRENT_USER()" => "app@%",
            "SHOW CREATE USER CURRENT_USER()" => {
                "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 REQUIRE NONE PASSWORD EXPIRE \
                 DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT"
            }
            _ if what == "ask whose session it is" => "app",
            _ if what == "ask for replicas" => "0",
            _ => panic!("{sql}"),
        };
        Ok(vec![vec![Some(answer.to_owned())]])
    }

    async fn execute(&mut self, statement: &Statement) -> Result<(), StatementError> {
        let done = self.0.borrow_mut().execute(statement.expose());
        done.map_err(|fault| StatementError {
            what: statement.what,
            fault,
        })
    }

    async fn close(self) {}
}

impl Subject for Model {
    type Databases = ModelDatabases;

    fn versions(&self) -> &FakeSecretVersions {
        &self.versions
    }

    fn databases(&self) -> ModelDatabases {
        ModelDatabases(Rc::clone(&self.account))
    }

    fn strategy(&self) -> Strategy {
        Strategy::SingleUser
    }

    async fn logs_in(&self, label: &str) -> bool {
        self.takes(label)
    }

    async fn any_logs_in(&self) -> bool {
        [CURRENT, PENDING, PREVIOUS]
            .iter()
            .any(|label| self.takes(label))
    }

    fn rights_differ(&self) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn two_passwords_are_good_after_each_rotation() {
    for (may, way) in [
        (May::CreateUser, "both-passwords"),
        (May::PasswordAdmin, "both-passwords-by-text"),
    ] {
        let model = Model::new(may);
        for token in ["t1", "t2", "t3"] {
            let report = model.rotate(token).await;
            assert_eq!(report.way.unwrap().as_str(), way);
            assert_eq!(report.gap, Some(false));
            assert!(model.takes(CURRENT) && model.takes(PREVIOUS), "{token}");
        }
        assert!(
            !model.account.borrow().takes("first"),
            "the one before is gone"
        );
    }
}

#[tokio::test]
async fn an_account_without_the_privilege_has_a_gap_that_is_counted() {
    let model = Model::new(May::Nothing);
    let report = model.rotate("t1").await;
    assert_eq!(report.way.unwrap().as_str(), "new-password-only");
    assert_eq!(report.gap, Some(true));
    assert!(model.takes(CURRENT) && !model.takes(PREVIOUS));
}

#[tokio::test]
async fn no_hash_is_refused_for_its_form_and_no_password_is_in_it() {
    let model = Model::new(May::CreateUser);
    model.rotate("t1").await;
    let value = model.versions.labelled(SECRET, CURRENT).unwrap().1.unwrap();
    let fields: Value = serde_json::from_str(&value).unwrap();
    let password = fields["password"].as_str().unwrap();
    for statement in &model.account.borrow().statements {
        assert!(!statement.contains(password) && !statement.contains("first"));
    }
}
