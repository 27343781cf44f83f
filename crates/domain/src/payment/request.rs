//! A payment request: read and checked as a whole, every finding at once.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::card::{CardNumber, CardSummary};
use super::finding::{Finding, Findings};
use super::hash::{Fingerprint, HashKey, KeyedHash};
use super::json::Json;
use super::money::Money;
use super::request_reader;
use super::timestamp::Timestamp;

/// What an operator may set: the largest amount by currency, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Currency code to largest amount. A currency that is not here has no limit but
    /// [`AMOUNT_MAX`](super::money::AMOUNT_MAX).
    pub limits: BTreeMap<&'static str, i64>,
}

/// A request that keeps every rule. It may hold a card number, so it is neither `Debug` nor `Clone` nor `Serialize`.
pub struct Request {
    pub(super) transaction_id: String,
    pub(super) user_id: String,
    pub(super) merchant_id: Option<String>,
    pub(super) money: Money,
    pub(super) description: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) method: Method,
}

pub(super) enum Method {
    Card {
        number: CardNumber,
        expiry: (i32, u8),
        holder_name: Option<Zeroizing<String>>,
    },
    Token(Zeroizing<String>),
}

/// How a payment was paid, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidWith {
    /// Brand and last four, if it was a card.
    pub card: Option<CardSummary>,
    /// Keyed hash of the card number or token: equal for equal ones.
    pub hash: KeyedHash,
}

/// A payment without anything secret: may be stored, logged and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The caller's id of it, unique in its scope.
    pub transaction_id: String,
    /// Who pays.
    pub user_id: String,
    /// Who is paid.
    pub merchant_id: Option<String>,
    /// How much.
    pub money: Money,
    /// Free text.
    pub description: Option<String>,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
    /// With what.
    pub paid_with: PaidWith,
}

impl Request {
    /// Reads the body of a payment.
    ///
    /// # Errors
    /// Every finding, in the order of the fields of the contract.
    pub fn read(body: &Json, rules: &Rules, now: Timestamp) -> Result<Self, Vec<Finding>> {
        let mut findings = Findings::default();
        let request = request_reader::read(body, rules, now, &mut findings);
        match request {
            Some(request) if findings.is_empty() => Ok(request),
            _ => Err(findings.into_vec()),
        }
    }

    /// The merchant, which names the scope of a caller who is not authenticated.
    #[must_use]
    pub fn merchant_id(&self) -> Option<&str> {
        self.merchant_id.as_deref()
    }

    /// The transaction id, which is the idempotency key where no other is given.
    #[must_use]
    pub fn transaction_id(&self) -> &str {
        &self.transaction_id
    }

    /// The amount.
    #[must_use]
    pub fn money(&self) -> Money {
        self.money
    }

    /// Brand and last four, if it is a card.
    #[must_use]
    pub fn card(&self) -> Option<CardSummary> {
        match &self.method {
            Method::Card { number, .. } => Some(number.summary()),
            Method::Token(_) => None,
        }
    }

    /// Takes the secrets out: what is left may be stored. The card number is wiped before this returns.
    #[must_use]
    pub fn seal(self, key: &HashKey) -> (Payment, Fingerprint) {
        let paid_with = PaidWith {
            card: self.card(),
            hash: self.method.hash(key),
        };
        let fingerprint = self.fingerprint(key, paid_with.hash);
        let payment = Payment {
            transaction_id: self.transaction_id,
            user_id: self.user_id,
            merchant_id: self.merchant_id,
            money: self.money,
            description: self.description,
            metadata: self.metadata,
            paid_with,
        };
        (payment, fingerprint)
    }

    /// The keyed hash of the canonical request: every field that says what is paid, in a fixed order, an absent one told
    /// from an empty one, metadata by name. Spelling does not count: white space, order of members, spaces in a number.
    ///
    /// The security code is left out: a hash of it would be kept, which PCI DSS 3.3.1 forbids.
    fn fingerprint(&self, key: &HashKey, method: KeyedHash) -> Fingerprint {
        let amount = self.money.minor_units().to_be_bytes();
        let expiry = self.method.expiry();
        let holder = self.method.holder_name();
        let mut parts: Vec<&[u8]> = vec![
            self.transaction_id.as_bytes(),
            self.user_id.as_bytes(),
            &amount,
            self.money.currency().code().as_bytes(),
            method.as_bytes(),
            &expiry,
        ];
        for optional in [
            self.merchant_id.as_deref(),
            self.description.as_deref(),
            holder,
        ] {
            parts.push(if optional.is_some() { b"1" } else { b"0" });
            parts.push(optional.unwrap_or_default().as_bytes());
        }
        for (name, value) in &self.metadata {
            parts.push(name.as_bytes());
            parts.push(value.as_bytes());
        }
        key.hash("cutover payment request v1", parts)
    }
}

impl Method {
    fn hash(&self, key: &HashKey) -> KeyedHash {
        match self {
            Self::Card { number, .. } => key.hash("cutover card number v1", [number.digits()]),
            Self::Token(token) => key.hash("cutover payment token v1", [token.as_bytes()]),
        }
    }

    fn expiry(&self) -> [u8; 5] {
        let (year, month) = match self {
            Self::Card { expiry, .. } => *expiry,
            Self::Token(_) => (0, 0),
        };
        let [a, b, c, d] = year.to_be_bytes();
        [a, b, c, d, month]
    }

    fn holder_name(&self) -> Option<&str> {
        match self {
            Self::Card { holder_name, .. } => holder_name.as_ref().map(|name| name.as_str()),
            Self::Token(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
