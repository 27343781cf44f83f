use super::*;
use crate::payment::session::State;
use crate::payment::session::tests::{at, attempt, claim, hash};

fn session(colors: &[Color]) -> Session {
    let mut session = Session::begin(claim(), &attempt("a", Color::Blue, 1_000));
    session.attempted = colors.iter().copied().collect();
    session
}

fn settled(colors: &[Color], footing: Footing, posting: Posting, logged: bool) -> Settlement {
    settle(
        &session(colors),
        footing,
        Color::Blue,
        posting,
        logged,
        at(1_001),
    )
}

fn receipt() -> Receipt {
    Receipt::of(&claim(), Color::Blue)
}

/// Effect, whether it hangs on the session's write, and the state that is written.
fn told(settlement: Settlement) -> (Code, Effect, bool, State) {
    match settlement {
        Settlement::Complete(_) => panic!("not complete"),
        Settlement::Close(session, problem) => (problem.code, problem.effect, false, session.state),
        Settlement::Release(session, problem) => {
            (problem.code, problem.effect, true, session.state)
        }
    }
}

const BLUE: &[Color] = &[Color::Blue];
const BOTH: &[Color] = &[Color::Blue, Color::Green];

#[test]
fn row_and_log_make_a_completed_payment() {
    let settlement = settled(BLUE, Footing::Fresh, Posting::Recorded(receipt()), true);
    let Settlement::Complete(session) = settlement else {
        panic!("complete");
    };
    let State::Completed(response) = session.state else {
        panic!("completed");
    };
    assert_eq!(response.body, receipt().body());
}

#[test]
fn a_row_without_a_log_is_committed_and_may_be_finished_soon() {
    let told = told(settled(
        BLUE,
        Footing::Fresh,
        Posting::Recorded(receipt()),
        false,
    ));
    let soon = State::Processing {
        lease_until: at(1_006),
    };
    assert_eq!(
        told,
        (
            Code::TransactionLogUnavailable,
            Effect::Committed,
            false,
            soon
        )
    );
}

#[test]
fn a_fenced_color_gives_the_claim_back() {
    for footing in [Footing::Fresh, Footing::TakenOver] {
        let told = told(settled(BLUE, footing, Posting::Fenced, true));
        assert_eq!(
            told,
            (Code::ColorFenced, Effect::None, true, State::Released)
        );
    }
}

#[test]
fn a_fenced_color_knows_nothing_of_the_other_s_ledger() {
    let told = told(settled(BOTH, Footing::TakenOver, Posting::Fenced, true));
    let soon = State::Processing {
        lease_until: at(1_006),
    };
    assert_eq!(told, (Code::ColorFenced, Effect::Unknown, false, soon));
}

#[test]
fn a_ledger_that_wrote_nothing_frees_only_a_fresh_claim() {
    let fresh = told(settled(BLUE, Footing::Fresh, Posting::NotApplied, true));
    assert_eq!(
        fresh,
        (Code::LedgerUnavailable, Effect::None, true, State::Released)
    );
    let (code, effect, release, _) =
        told(settled(BLUE, Footing::TakenOver, Posting::NotApplied, true));
    assert_eq!(
        (code, effect, release),
        (Code::LedgerUnavailable, Effect::Unknown, false)
    );
}

#[test]
fn a_ledger_that_may_have_written_is_unknown() {
    let (code, effect, release, _) = told(settled(BLUE, Footing::Fresh, Posting::Unknown, true));
    assert_eq!(
        (code, effect, release),
        (Code::LedgerUnavailable, Effect::Unknown, false)
    );
}

#[test]
fn voids_and_conflicts_are_told() {
    let (code, effect, _, state) = told(settled(BLUE, Footing::Fresh, Posting::Voided, true));
    assert_eq!(
        (code, effect, state),
        (Code::PaymentVoided, Effect::None, State::Voided)
    );
    let (code, effect, release, _) = told(settled(
        BLUE,
        Footing::Fresh,
        Posting::TransactionExists,
        true,
    ));
    assert_eq!(
        (code, effect, release),
        (Code::TransactionExists, Effect::None, true)
    );
    let reused = Posting::KeyReused {
        receipt: receipt(),
        fingerprint: hash(7),
    };
    let (code, effect, _, state) = told(settled(BLUE, Footing::Fresh, reused, true));
    assert_eq!((code, effect), (Code::IdempotencyKeyReused, Effect::None));
    assert!(matches!(state, State::Completed(_)));
}
