use super::*;
use crate::payment::KeyedHash;
use crate::payment::request::PaidWith;
use std::collections::BTreeMap;

pub(crate) fn hash(seed: u8) -> KeyedHash {
    KeyedHash::from_bytes(&[seed; 32]).unwrap()
}

pub(crate) fn claim() -> Claim {
    Claim {
        scope: Scope::new(None, Some("shop")),
        key: IdempotencyKey::parse("k-1").unwrap(),
        payment: Payment {
            transaction_id: "t-1".to_owned(),
            user_id: "u-1".to_owned(),
            merchant_id: Some("shop".to_owned()),
            money: Money::new(1250, Currency::find("EUR").unwrap()).unwrap(),
            description: None,
            metadata: BTreeMap::new(),
            paid_with: PaidWith {
                card: None,
                hash: hash(9),
            },
        },
        fingerprint: hash(1),
        environment: "dev-payment-ab12cd34".to_owned(),
        created_at: at(1_000),
    }
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

pub(crate) fn attempt(owner: &str, color: Color, second: u64) -> Attempt {
    Attempt {
        owner: owner.to_owned(),
        color,
        now: at(second),
        deadline: at(second + 10),
    }
}

fn first() -> Session {
    Session::begin(claim(), &attempt("a", Color::Blue, 1_000))
}

#[test]
fn the_lease_is_the_deadline_and_a_slack() {
    assert_eq!(
        first().state,
        State::Processing {
            lease_until: at(1_015)
        }
    );
    assert!(LEASE_SLACK <= Duration::from_secs(10));
}

#[test]
fn while_the_lease_lasts_others_wait_and_the_owner_goes_on() {
    let other = attempt("b", Color::Green, 1_014);
    assert_eq!(
        decide(&first(), &hash(1), &other),
        Decision::InFlight {
            retry_after_seconds: 1
        }
    );
    assert_eq!(
        decide(&first(), &hash(1), &attempt("a", Color::Blue, 1_014)),
        Decision::Mine
    );
}

#[test]
fn after_the_lease_another_takes_over_with_the_same_claim() {
    let other = attempt("b", Color::Green, 1_015);
    let Decision::TakeOver { session, footing } = decide(&first(), &hash(1), &other) else {
        panic!("a takeover");
    };
    assert_eq!(footing, Footing::TakenOver);
    assert_eq!(session.claim, claim());
    assert_eq!(session.owner, "b");
    assert_eq!(
        session.attempted,
        BTreeSet::from([Color::Blue, Color::Green])
    );
    assert!(!session.only_attempted_by(Color::Green));
}

#[test]
fn a_released_session_is_free_at_once_and_its_past_is_forgotten() {
    let released = first().released(at(1_001));
    let other = attempt("b", Color::Green, 1_001);
    let Decision::TakeOver { session, footing } = decide(&released, &hash(1), &other) else {
        panic!("a takeover");
    };
    assert_eq!(footing, Footing::Fresh);
    assert_eq!(session.claim.created_at, at(1_000));
    assert!(session.only_attempted_by(Color::Green));
}

#[test]
fn a_yielded_session_is_free_soon_but_its_past_is_not_forgotten() {
    let yielded = first().yielded(at(1_001));
    let early = decide(&yielded, &hash(1), &attempt("b", Color::Green, 1_005));
    assert_eq!(
        early,
        Decision::InFlight {
            retry_after_seconds: 1
        }
    );
    let decision = decide(&yielded, &hash(1), &attempt("b", Color::Green, 1_006));
    assert!(matches!(
        decision,
        Decision::TakeOver {
            footing: Footing::TakenOver,
            ..
        }
    ));
}

#[test]
fn the_fingerprint_comes_before_the_status() {
    let receipt = Receipt::of(&claim(), Color::Blue);
    let session = first();
    for existing in [
        session.clone(),
        session.completed(&receipt, at(1_001)),
        session.released(at(1_001)),
        session.voided(at(1_001)),
    ] {
        let decision = decide(&existing, &hash(2), &attempt("b", Color::Green, 9_000));
        assert_eq!(decision, Decision::Mismatch);
    }
}

#[test]
fn completed_and_voided_sessions_stay_so() {
    let receipt = Receipt::of(&claim(), Color::Blue);
    let response = Response {
        status: 201,
        body: receipt.body(),
    };
    let late = attempt("b", Color::Green, 9_000_000);
    assert_eq!(
        decide(&first().completed(&receipt, at(1_001)), &hash(1), &late),
        Decision::Replay(response)
    );
    assert_eq!(
        decide(&first().voided(at(1_001)), &hash(1), &late),
        Decision::Voided
    );
}

#[test]
fn a_superseded_session_belongs_to_the_request_that_the_ledger_knows() {
    let mut receipt = Receipt::of(&claim(), Color::Green);
    receipt.amount = 7;
    let session = first().superseded(&receipt, hash(3), at(1_001));
    assert_eq!(session.claim.payment.money.minor_units(), 7);
    let late = attempt("b", Color::Blue, 9_000);
    assert!(matches!(
        decide(&session, &hash(3), &late),
        Decision::Replay(_)
    ));
    assert_eq!(decide(&session, &hash(1), &late), Decision::Mismatch);
}

#[test]
fn a_session_is_its_own_guard_unless_it_has_a_key_of_its_own() {
    let mut session = first();
    let guard = session.guard_id().unwrap();
    assert_eq!(guard.as_str(), "m:shop#t-1");
    session.claim.key = IdempotencyKey::from_stored("t-1".to_owned());
    assert_eq!(session.guard_id(), None);
    assert_eq!(session.claim.session_id(), guard);
}
