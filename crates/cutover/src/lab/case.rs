//! The requests that the lab sends: a seeded mix of good, bad, repeated and racing payments.

use fastrand::Rng;
use serde_json::{Value, json};

/// Currencies in use, with the largest amount in minor units that the lab pays.
const CURRENCIES: [(&str, u64); 6] = [
    ("USD", 250_000),
    ("EUR", 250_000),
    ("GBP", 90_000),
    ("JPY", 400_000),
    ("KWD", 75_000),
    ("CLP", 900_000),
];

/// Well-known test numbers, one a brand.
const CARDS: [(&str, &str); 4] = [
    ("4242424242424242", "123"),
    ("5555555555554444", "321"),
    ("378282246310005", "1234"),
    ("6011111111111117", "999"),
];

/// A payment as the lab's client means it, whatever happens to its requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// The transaction's id, unique in the lab.
    pub transaction_id: String,
    /// The `Idempotency-Key` header, where one is sent; else the transaction's id is the key.
    pub key: Option<String>,
    /// The request's body.
    pub body: Value,
}

impl Payment {
    /// The idempotency key in force.
    pub fn idempotency_key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.transaction_id)
    }
}

/// What a request is to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Case {
    /// A new payment.
    New(Payment),
    /// A new payment, sent twice at the same moment.
    Race(Payment),
    /// A new payment whose client hangs up before the answer, and then asks again.
    Impatient(Payment),
    /// A payment that was accepted before, sent again.
    Repeat(Payment),
    /// A key that was used before, with another amount.
    Reused(Payment),
    /// A body that must be refused; with the id that must be found nowhere.
    Invalid {
        /// The transaction's id, where the body has one.
        transaction_id: String,
        /// The request's body, which may be no JSON.
        body: String,
    },
}

/// Makes cases from a seed: the same seed gives the same cases.
#[derive(Debug)]
pub struct Cases {
    run: String,
    next: u64,
    rng: Rng,
}

impl Cases {
    /// Cases whose ids start with `run`.
    pub fn new(run: &str, seed: u64) -> Self {
        Self {
            run: run.to_owned(),
            next: 0,
            rng: Rng::with_seed(seed),
        }
    }

    /// The next case. `accepted` is a payment that was answered, if there is one yet.
    pub fn next(&mut self, accepted: Option<Payment>) -> Case {
        let share = self.rng.u8(0..100);
        match (share, accepted) {
            (0..=6, _) => self.invalid(),
            (7..=14, Some(payment)) => Case::Repeat(payment),
            (15..=17, Some(mut payment)) => {
                payment.body["amount"] = json!(self.rng.u64(1..=100) + 1_000_000);
                Case::Reused(payment)
            }
            (18..=20, _) => Case::Race(self.payment()),
            (21..=23, _) => Case::Impatient(self.payment()),
            _ => Case::New(self.payment()),
        }
    }

    /// A payment of its own.
    pub fn payment(&mut self) -> Payment {
        let transaction_id = self.id("tx");
        let (currency, amount_max) = CURRENCIES[self.rng.usize(..CURRENCIES.len())];
        let method = if self.rng.bool() {
            let (number, cvc) = CARDS[self.rng.usize(..CARDS.len())];
            json!({"type": "card", "number": number, "expiryMonth": 12, "expiryYear": 2049, "cvc": cvc})
        } else {
            json!({"type": "token", "token": format!("tok_{:016x}", self.rng.u64(..))})
        };
        let key = (self.rng.u8(0..4) == 0).then(|| format!("key-{transaction_id}"));
        let body = json!({
            "transactionId": transaction_id,
            "userId": format!("user-{}", self.rng.u32(0..500)),
            "amount": self.rng.u64(1..=amount_max),
            "currency": currency,
            "merchantId": "lab-shop",
            "paymentMethod": method,
        });
        Payment {
            transaction_id,
            key,
            body,
        }
    }

    fn invalid(&mut self) -> Case {
        let mut payment = self.payment();
        let body = &mut payment.body;
        let text = match self.rng.u8(0..7) {
            0 => "{\"transactionId\": ".to_owned(),
            1 => {
                body["amount"] = json!(10.5);
                body.to_string()
            }
            2 => {
                body["currency"] = json!("EURO");
                body.to_string()
            }
            3 => {
                body["surprise"] = json!(true);
                body.to_string()
            }
            4 => {
                body["amount"] = json!(-5);
                body.to_string()
            }
            5 => {
                body["paymentMethod"] = json!({"type": "card", "number": "4242424242424241",
                    "expiryMonth": 12, "expiryYear": 2049, "cvc": "123"});
                body.to_string()
            }
            _ => {
                body["paymentMethod"] = json!({"type": "card", "number": "4242424242424242",
                    "expiryMonth": 1, "expiryYear": 2020, "cvc": "123"});
                body.to_string()
            }
        };
        Case::Invalid {
            transaction_id: payment.transaction_id,
            body: text,
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{}-{kind}-{:06}", self.run, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_cases_again() {
        let make = || {
            let mut cases = Cases::new("t", 7);
            let accepted = cases.payment();
            (0..200)
                .map(|_| cases.next(Some(accepted.clone())))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn every_kind_comes_up_and_no_id_twice() {
        let mut cases = Cases::new("t", 1);
        let accepted = cases.payment();
        let mut ids = std::collections::BTreeSet::from([accepted.transaction_id.clone()]);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let (kind, id) = match cases.next(Some(accepted.clone())) {
                Case::New(p) => ("new", Some(p.transaction_id)),
                Case::Race(p) => ("race", Some(p.transaction_id)),
                Case::Impatient(p) => ("impatient", Some(p.transaction_id)),
                Case::Invalid { transaction_id, .. } => ("invalid", Some(transaction_id)),
                Case::Repeat(_) => ("repeat", None),
                Case::Reused(_) => ("reused", None),
            };
            kinds.insert(kind);
            if let Some(id) = id {
                assert!(ids.insert(id.clone()), "{id} came twice");
            }
        }
        assert_eq!(kinds.len(), 6);
    }
}
