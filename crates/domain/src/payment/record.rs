//! The transaction log: one object a payment, whose key and bytes depend on the claim alone. So every attempt of either
//! color writes the same object, and "already there" can be verified byte by byte.

use std::collections::BTreeMap;

use serde::Serialize;

use super::card::CardSummary;
use super::money;
use super::scope::SessionId;
use super::session::Claim;
use super::timestamp::Timestamp;

/// The key of a payment's log object.
#[must_use]
pub fn key(created_at: Timestamp, transaction_id: &str, session: &SessionId) -> String {
    let day = day_prefix(created_at);
    format!("{day}{transaction_id}.{}.json", session.short_hash())
}

/// What the keys of all log objects of a day begin with.
#[must_use]
pub fn day_prefix(day: Timestamp) -> String {
    let date = day.date();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("transactions/{year:04}/{month:02}/{day:02}/")
}

/// An object of the transaction log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogObject {
    /// `transactions/<yyyy>/<mm>/<dd>/<transactionId>.<h>.json`
    pub key: String,
    /// JSON.
    pub bytes: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    transaction_id: &'a str,
    timestamp: String,
    status: &'static str,
    amount: i64,
    currency: &'static str,
    exponent: u8,
    amount_decimal: String,
    environment: &'a str,
    scope: &'a str,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<&'a CardSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

impl LogObject {
    /// The log object of a claim.
    #[must_use]
    pub fn of(claim: &Claim) -> Self {
        Self::created_at(claim, claim.created_at)
    }

    /// The log object of a claim that the ledger knows since `created_at`.
    #[must_use]
    pub fn created_at(claim: &Claim, created_at: Timestamp) -> Self {
        let payment = &claim.payment;
        let content = Content {
            transaction_id: &payment.transaction_id,
            timestamp: created_at.to_string(),
            status: "completed",
            amount: payment.money.minor_units(),
            currency: payment.money.currency().code(),
            exponent: payment.money.currency().exponent(),
            amount_decimal: money::decimal(
                payment.money.minor_units(),
                payment.money.currency().exponent(),
            ),
            environment: &claim.environment,
            scope: claim.scope.as_str(),
            user_id: &payment.user_id,
            merchant_id: payment.merchant_id.as_deref(),
            card: payment.paid_with.card.as_ref(),
            description: payment.description.as_deref(),
            metadata: &payment.metadata,
        };
        Self {
            key: key(created_at, &payment.transaction_id, &claim.session_id()),
            // A struct of text and numbers always serializes.
            bytes: serde_json::to_vec(&content).unwrap_or_default(),
        }
    }

    /// The sibling that marks this object as one without a ledger row.
    #[must_use]
    pub fn voided(&self) -> Self {
        Self {
            key: format!("{}.voided", self.key),
            bytes: br#"{"status":"voided"}"#.to_vec(),
        }
    }
}
