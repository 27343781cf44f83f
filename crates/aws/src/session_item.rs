//! A session as a DynamoDB item, and back.
//!
//! | attribute | type | content |
//! | --- | --- | --- |
//! | `sessionId` | S | `<scope>#<key>`, the table's key |
//! | `status` | S | `processing`, `completed`, `failed` |
//! | `reason` | S | with `failed`: `released` or `voided` |
//! | `owner`, `leaseUntil` | S, N | the running attempt, and when its lease ends (ms since the epoch) |
//! | `leaseShard` | S | only while `processing`: key of a sparse index for the sweeper, with `leaseUntil` as sort key |
//! | `attempted` | SS | colors that may have written to their ledger |
//! | `fingerprint`, `paidWithHash` | S | keyed hashes, hex |
//! | `scope`, `idempotencyKey`, `transactionId`, `userId`, `merchantId`, `environment`, `color`, `currency` | S | |
//! | `amount` | N | minor units |
//! | `cardBrand`, `cardLast4`, `description` | S | where there is one |
//! | `metadata` | M | where there is any |
//! | `createdAt`, `updatedAt` | S | RFC 3339 with milliseconds |
//! | `responseStatus`, `responseBody` | N, S | with `completed`: the answer |
//! | `transactionKey` | S | on the item named after a transaction id: the key that has it, where that is another one |
//! | `expiresAt` | N | seconds since the epoch, for the table's time to live |

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::request::PaidWith;
use cutover_domain::payment::session::{Response, State};
use cutover_domain::payment::{
    Brand, CardSummary, Claim, Color, IdempotencyKey, KeyedHash, Money, Payment, Scope, Session,
    Timestamp,
};

/// An item: attributes by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table's key.
pub(crate) const KEY: &str = "sessionId";

/// Attributes that come and go with the state.
pub(crate) const OF_STATE: [&str; 5] = [
    "leaseUntil",
    "leaseShard",
    "reason",
    "responseStatus",
    "responseBody",
];

/// An item that is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attribute {0} is missing or not valid")]
pub(crate) struct NoSession(&'static str);

/// The session as an item, key included.
#[must_use]
pub(crate) fn to_item(session: &Session) -> Item {
    let claim = &session.claim;
    let payment = &claim.payment;
    let mut item = Item::new();
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set(KEY, text(claim.session_id().as_str()));
    set("scope", text(claim.scope.as_str()));
    set("idempotencyKey", text(claim.key.as_str()));
    set("transactionId", text(&payment.transaction_id));
    set("userId", text(&payment.user_id));
    set("amount", number(payment.money.minor_units()));
    set("currency", text(payment.money.currency().code()));
    set("paidWithHash", text(&payment.paid_with.hash.to_string()));
    set("fingerprint", text(&claim.fingerprint.to_string()));
    set("environment", text(&claim.environment));
    set("createdAt", text(&claim.created_at.to_string()));
    set("updatedAt", text(&session.updated_at.to_string()));
    set("color", text(session.color.as_str()));
    set("owner", text(&session.owner));
    set("expiresAt", number(session.expires_at.seconds()));
    let attempted = session.attempted.iter().map(ToString::to_string).collect();
    set("attempted", AttributeValue::Ss(attempted));
    if let Some(merchant_id) = &payment.merchant_id {
        set("merchantId", text(merchant_id));
    }
    if let Some(description) = &payment.description {
        set("description", text(description));
    }
    if !payment.metadata.is_empty() {
        let pairs = payment.metadata.iter();
        let pairs = pairs.map(|(name, value)| (name.clone(), text(value)));
        set("metadata", AttributeValue::M(pairs.collect()));
    }
    if let Some(card) = &payment.paid_with.card {
        set("cardBrand", text(card.brand.as_str()));
        set("cardLast4", text(&card.last4));
    }
    state_to_item(session, &mut item);
    item
}

fn state_to_item(session: &Session, item: &mut Item) {
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set("status", text(status(&session.state)));
    match &session.state {
        State::Processing { lease_until } => {
            let shard = session.claim.session_id().short_hash();
            set("leaseUntil", number(lease_until.ms()));
            set("leaseShard", text(shard.get(..1).unwrap_or("0")));
        }
        State::Completed(response) => {
            set("responseStatus", number(response.status));
            set("responseBody", text(&response.body));
        }
        State::Released => {
            set("reason", text("released"));
        }
        State::Voided => {
            set("reason", text("voided"));
        }
    }
}

/// The `status` attribute of a state.
#[must_use]
pub(crate) fn status(state: &State) -> &'static str {
    match state {
        State::Processing { .. } => "processing",
        State::Completed(_) => "completed",
        State::Released | State::Voided => "failed",
    }
}

/// The session of an item.
///
/// # Errors
/// The first attribute that is missing or wrong.
pub(crate) fn from_item(item: &Item) -> Result<Session, NoSession> {
    let attributes = Attributes(item);
    let attempted = item
        .get("attempted")
        .and_then(|value| value.as_ss().ok())
        .and_then(|colors| colors.iter().map(|c| c.parse().ok()).collect())
        .ok_or(NoSession("attempted"))?;
    Ok(Session {
        claim: claim_of(&attributes)?,
        updated_at: attributes.parsed("updatedAt")?,
        color: attributes.parsed("color")?,
        owner: attributes.text("owner")?.to_owned(),
        attempted: BTreeSet::<Color>::from_iter::<Vec<Color>>(attempted),
        state: state_of(&attributes)?,
        expires_at: Timestamp::from_ms(attributes.number::<u64>("expiresAt")?.saturating_mul(1000)),
    })
}

fn claim_of(item: &Attributes<'_>) -> Result<Claim, NoSession> {
    let currency = Currency::find(item.text("currency")?).ok_or(NoSession("currency"))?;
    let money = Money::new(item.number("amount")?, currency).ok_or(NoSession("amount"))?;
    Ok(Claim {
        scope: Scope::from_stored(item.text("scope")?.to_owned()),
        key: IdempotencyKey::from_stored(item.text("idempotencyKey")?.to_owned()),
        payment: Payment {
            transaction_id: item.text("transactionId")?.to_owned(),
            user_id: item.text("userId")?.to_owned(),
            merchant_id: item.optional("merchantId"),
            money,
            description: item.optional("description"),
            metadata: metadata_of(item)?,
            paid_with: PaidWith {
                card: card_of(item)?,
                hash: item.parsed::<KeyedHash>("paidWithHash")?,
            },
        },
        fingerprint: item.parsed("fingerprint")?,
        environment: item.text("environment")?.to_owned(),
        created_at: item.parsed("createdAt")?,
    })
}

fn metadata_of(item: &Attributes<'_>) -> Result<BTreeMap<String, String>, NoSession> {
    let error = NoSession("metadata");
    let Some(value) = item.0.get("metadata") else {
        return Ok(BTreeMap::new());
    };
    let pairs = value.as_m().map_err(|_| error)?;
    pairs
        .iter()
        .map(|(name, value)| Ok((name.clone(), value.as_s().map_err(|_| error)?.clone())))
        .collect()
}

fn card_of(item: &Attributes<'_>) -> Result<Option<CardSummary>, NoSession> {
    let Some(brand) = item.optional("cardBrand") else {
        return Ok(None);
    };
    Ok(Some(CardSummary {
        brand: Brand::named(&brand).ok_or(NoSession("cardBrand"))?,
        last4: item.text("cardLast4")?.to_owned(),
    }))
}

fn state_of(item: &Attributes<'_>) -> Result<State, NoSession> {
    Ok(match item.text("status")? {
        "processing" => State::Processing {
            lease_until: Timestamp::from_ms(item.number("leaseUntil")?),
        },
        "completed" => State::Completed(Response {
            status: item.number("responseStatus")?,
            body: item.text("responseBody")?.to_owned(),
        }),
        "failed" => match item.text("reason")? {
            "released" => State::Released,
            "voided" => State::Voided,
            _ => return Err(NoSession("reason")),
        },
        _ => return Err(NoSession("status")),
    })
}

struct Attributes<'a>(&'a Item);

impl Attributes<'_> {
    fn text(&self, name: &'static str) -> Result<&str, NoSession> {
        self.0
            .get(name)
            .and_then(|value| value.as_s().ok())
            .map(String::as_str)
            .ok_or(NoSession(name))
    }

    fn optional(&self, name: &'static str) -> Option<String> {
        self.text(name).ok().map(str::to_owned)
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, NoSession> {
        self.text(name)?.parse().map_err(|_| NoSession(name))
    }

    fn number<T: FromStr>(&self, name: &'static str) -> Result<T, NoSession> {
        self.0
            .get(name)
            .and_then(|value| value.as_n().ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or(NoSession(name))
    }
}

/// A text attribute.
#[must_use]
pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A number attribute.
#[must_use]
pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_domain::payment::Receipt;
    use cutover_domain::payment::session::Attempt;

    fn session() -> Session {
        let claim = Claim {
            scope: Scope::new(Some("alice"), None),
            key: IdempotencyKey::parse("k 1 ").unwrap(),
            payment: Payment {
                transaction_id: "t-1".to_owned(),
                user_id: "u-1".to_owned(),
                merchant_id: Some("shop".to_owned()),
                money: Money::new(1250, Currency::find("JPY").unwrap()).unwrap(),
                description: Some(String::new()),
                metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                paid_with: PaidWith {
                    card: Some(CardSummary {
                        brand: Brand::Visa,
                        last4: "4242".to_owned(),
                    }),
                    hash: KeyedHash::from_bytes(&[1; 32]).unwrap(),
                },
            },
            fingerprint: KeyedHash::from_bytes(&[2; 32]).unwrap(),
            environment: "dev-payment-ab12cd34".to_owned(),
            created_at: Timestamp::from_ms(1_700_000_000_123),
        };
        let attempt = Attempt {
            owner: "o-1".to_owned(),
            color: Color::Green,
            now: Timestamp::from_ms(1_700_000_000_000),
            deadline: Timestamp::from_ms(1_700_000_010_000),
        };
        Session::begin(claim, &attempt)
    }

    #[test]
    fn a_session_survives_the_table_in_every_state() {
        let begun = session();
        let at = Timestamp::from_ms(1_700_000_001_000);
        let receipt = Receipt::of(&begun.claim, Color::Green);
        for session in [
            begun.clone(),
            begun.completed(&receipt, at),
            begun.released(at),
            begun.voided(at),
            begun.yielded(at),
        ] {
            assert_eq!(from_item(&to_item(&session)), Ok(session));
        }
    }

    #[test]
    fn only_a_processing_session_is_in_the_lease_index() {
        let begun = session();
        assert!(to_item(&begun).contains_key("leaseShard"));
        let released = to_item(&begun.released(begun.updated_at));
        assert!(!released.contains_key("leaseShard") && !released.contains_key("leaseUntil"));
    }

    #[test]
    fn an_item_that_lacks_something_is_no_session() {
        let mut item = to_item(&session());
        item.remove("fingerprint");
        assert_eq!(from_item(&item), Err(NoSession("fingerprint")));
    }
}
