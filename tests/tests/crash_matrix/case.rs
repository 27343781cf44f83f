//! What is struck, where, and how.

use cutover_tests::wire::{Call, Fault, Plan, Point};

/// The remote calls of a first payment, in their order.
pub(crate) const CALLS: [Call; 6] = [
    Call::HashSecret,
    Call::Claim,
    Call::DatabaseSecret,
    Call::Insert,
    Call::Object,
    Call::Complete,
];

/// Those of an attempt that finds a session whose lease is over.
pub(crate) const CALLS_OF_RETRY: [Call; 7] = [
    Call::HashSecret,
    Call::Claim,
    Call::TakeOver,
    Call::DatabaseSecret,
    Call::Insert,
    Call::Object,
    Call::Complete,
];
/// What happens to the attempt that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// kill -9.
    Kill,
    /// Paused until both clients are done: what it still does, it does late.
    PauseLong,
    /// Paused until another attempt takes over: both run at once.
    PauseRace,
    /// An error is answered, once.
    Error,
    /// An error is answered to every such call.
    Errors,
    /// The connection is closed without an answer, once.
    Lost,
    /// The connection is closed at every such call.
    Losses,
}

pub(crate) const BLOWS: [Blow; 7] = [
    Blow::Kill,
    Blow::PauseLong,
    Blow::PauseRace,
    Blow::Error,
    Blow::Errors,
    Blow::Lost,
    Blow::Losses,
];

pub(crate) const BLOWS_OF_RETRY: [Blow; 4] =
    [Blow::Kill, Blow::PauseRace, Blow::Errors, Blow::Losses];

/// Which attempt is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Struck {
    /// The first one.
    First,
    /// One after another that died with its row written: whatever it says, the payment is made.
    Retry,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) struck: Struck,
    pub(crate) call: Call,
    pub(crate) point: Point,
    pub(crate) blow: Blow,
    /// Position in the table: the victim's color alternates with it.
    pub(crate) number: usize,
}

impl Case {
    pub(crate) fn plan(self) -> Plan {
        let (fault, always) = match self.blow {
            Blow::Kill => (Fault::Kill, false),
            Blow::PauseLong | Blow::PauseRace => (Fault::Pause, false),
            Blow::Error => (Fault::Error, false),
            Blow::Errors => (Fault::Error, true),
            Blow::Lost => (Fault::Lost, false),
            Blow::Losses => (Fault::Lost, true),
        };
        Plan {
            call: self.call,
            point: self.point,
            fault,
            always,
        }
    }

    pub(crate) fn key(self) -> String {
        format!("{:?}-{}", self.struck, self.number)
    }

    pub(crate) fn pauses(self) -> bool {
        matches!(self.blow, Blow::PauseLong | Blow::PauseRace)
    }

    /// Whether the first attempt gives no answer in its time.
    pub(crate) fn hangs(self) -> bool {
        self.pauses() || self.blow == Blow::Kill
    }

    /// Whether there is a session before the blow.
    pub(crate) fn claimed(self) -> bool {
        let unclaimed = matches!(
            (self.call, self.point),
            (Call::HashSecret, _) | (Call::Claim, Point::Before)
        );
        self.struck == Struck::Retry || !unclaimed
    }
}

pub(crate) fn cases(struck: Struck) -> Vec<Case> {
    let (calls, blows): (&[Call], &[Blow]) = match struck {
        Struck::First => (&CALLS, &BLOWS),
        Struck::Retry => (&CALLS_OF_RETRY, &BLOWS_OF_RETRY),
    };
    let mut cases = Vec::new();
    for &call in calls {
        for point in [Point::Before, Point::After] {
            for &blow in blows {
                let number = cases.len();
                cases.push(Case {
                    struck,
                    call,
                    point,
                    blow,
                    number,
                });
            }
        }
    }
    cases
}
