//! What the services were asked, as they saw it: not what a subject says of itself.

use std::cell::RefCell;
use std::time::Instant;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// DynamoDB.
    Sessions,
    /// S3.
    Log,
    /// Secrets Manager.
    Secrets,
    /// MariaDB.
    Ledger,
    /// Lambda.
    Functions,
    /// CloudWatch.
    Alarms,
}

/// A call: a request over HTTPS, or a round trip of the database's protocol.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Who was asked.
    pub place: Place,
    /// When the request had arrived.
    pub begun: Instant,
    /// When the answer was sent.
    pub ended: Instant,
}

/// Calls and connections of a while.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Calls, in the order in which they ended.
    pub calls: Vec<Call>,
    /// Connections that were made.
    pub connections: Vec<Place>,
}

impl Seen {
    /// How many calls there were of a service.
    #[must_use]
    pub fn calls_of(&self, place: Place) -> usize {
        self.calls.iter().filter(|call| call.place == place).count()
    }

    /// The longest chain of calls of which each began after the one before had ended.
    #[must_use]
    pub fn hops(&self) -> usize {
        let mut ordered = self.calls.clone();
        ordered.sort_by_key(|call| call.ended);
        let mut free_at: Option<Instant> = None;
        let mut hops = 0;
        for call in ordered {
            if free_at.is_none_or(|at| call.begun >= at) {
                hops += 1;
                free_at = Some(call.ended);
            }
        }
        hops
    }
}

/// Where the services write what they see.
#[derive(Debug, Default)]
pub struct Journal(RefCell<Seen>);

impl Journal {
    /// What was seen since the last time.
    pub fn take(&self) -> Seen {
        self.0.take()
    }

    pub(crate) fn connected(&self, place: Place) {
        self.0.borrow_mut().connections.push(place);
    }

    /// A call that ends now.
    pub(crate) fn called(&self, place: Place, begun: Instant) {
        let ended = Instant::now();
        self.0.borrow_mut().calls.push(Call {
            place,
            begun,
            ended,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn seen(calls: &[(u64, u64)]) -> Seen {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        Seen {
            calls: calls
                .iter()
                .map(|(begun, ended)| Call {
                    place: Place::Log,
                    begun: at(*begun),
                    ended: at(*ended),
                })
                .collect(),
            connections: Vec::new(),
        }
    }

    #[test]
    fn calls_side_by_side_are_one_hop() {
        assert_eq!(seen(&[]).hops(), 0);
        assert_eq!(seen(&[(0, 3), (4, 7), (4, 8), (9, 12)]).hops(), 3);
        assert_eq!(seen(&[(0, 3), (4, 7), (8, 11), (12, 15)]).hops(), 4);
        // A long call beside two short ones hides neither.
        assert_eq!(seen(&[(0, 10), (0, 3), (4, 7)]).hops(), 2);
    }
}
