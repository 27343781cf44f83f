//! The answer to a payment that was made. It can be built from the claim or, for ever, from the ledger's row.

use serde::Serialize;

use super::card::CardSummary;
use super::color::Color;
use super::money;
use super::session::Claim;
use super::timestamp::Timestamp;

/// The HTTP status of a payment that was made, first time or replayed.
pub const STATUS: u16 = 201;

/// What a caller is told of a completed payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The caller's id of the payment.
    pub transaction_id: String,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Decimals of the minor unit at the time of the payment.
    pub exponent: u8,
    /// The environment.
    pub environment: String,
    /// Who executed it: whose ledger has the row.
    pub color: Color,
    /// When it was first claimed.
    pub created_at: Timestamp,
    /// The card, if there was one.
    pub card: Option<CardSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    transaction_id: &'a str,
    status: &'static str,
    amount: i64,
    currency: &'a str,
    exponent: u8,
    amount_decimal: String,
    environment: &'a str,
    color: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<&'a CardSummary>,
}

impl Receipt {
    /// The receipt of a claim that `color` executed.
    #[must_use]
    pub fn of(claim: &Claim, color: Color) -> Self {
        let payment = &claim.payment;
        Self {
            transaction_id: payment.transaction_id.clone(),
            amount: payment.money.minor_units(),
            currency: payment.money.currency().code().to_owned(),
            exponent: payment.money.currency().exponent(),
            environment: claim.environment.clone(),
            color,
            created_at: claim.created_at,
            card: payment.paid_with.card.clone(),
        }
    }

    /// The body of the answer: JSON, the same bytes each time.
    #[must_use]
    pub fn body(&self) -> String {
        let body = Body {
            transaction_id: &self.transaction_id,
            status: "completed",
            amount: self.amount,
            currency: &self.currency,
            exponent: self.exponent,
            amount_decimal: money::decimal(self.amount, self.exponent),
            environment: &self.environment,
            color: self.color.as_str(),
            created_at: self.created_at.to_string(),
            card: self.card.as_ref(),
        };
        // A struct of text and numbers always serializes.
        serde_json::to_string(&body).unwrap_or_default()
    }
}
