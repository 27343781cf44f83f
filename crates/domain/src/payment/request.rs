//! A payment request: read and checked as a whole, every finding at once.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::card::{self, CardNumber, CardSummary, Cvc};
use super::currency::Currency;
use super::fields::{self, Fields, ID, PLAIN, TextRule};
use super::finding::{Finding, Findings};
use super::hash::{Fingerprint, HashKey, KeyedHash};
use super::json::Json;
use super::money::{AMOUNT_MAX, Money};
use super::timestamp::Timestamp;

/// Pairs of metadata.
pub const METADATA_MAX: usize = 20;

const TRANSACTION_ID: TextRule = TextRule {
    min: 1,
    max: 64,
    allowed: ID,
};
const MERCHANT_ID: TextRule = TextRule {
    min: 1,
    max: 64,
    allowed: ID,
};
const USER_ID: TextRule = TextRule {
    min: 1,
    max: 128,
    allowed: PLAIN,
};
const DESCRIPTION: TextRule = TextRule {
    min: 0,
    max: 256,
    allowed: PLAIN,
};
const METADATA_NAME: TextRule = TextRule {
    min: 1,
    max: 64,
    allowed: PLAIN,
};
const METADATA_VALUE: TextRule = TextRule {
    min: 0,
    max: 512,
    allowed: PLAIN,
};
const TOKEN: TextRule = TextRule {
    min: 1,
    max: 256,
    allowed: (is_token_char, "visible ASCII"),
};
const HOLDER_NAME: TextRule = TextRule {
    min: 1,
    max: 128,
    allowed: PLAIN,
};

fn is_token_char(c: char) -> bool {
    c.is_ascii_graphic()
}

/// What an operator may set: the largest amount by currency, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Currency code to largest amount. A currency that is not here has no limit but [`AMOUNT_MAX`].
    pub limits: BTreeMap<&'static str, i64>,
}

/// A request that keeps every rule. It may hold a card number, so it is neither `Debug` nor `Clone` nor `Serialize`.
pub struct Request {
    transaction_id: String,
    user_id: String,
    merchant_id: Option<String>,
    money: Money,
    description: Option<String>,
    metadata: BTreeMap<String, String>,
    method: Method,
}

enum Method {
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
        let request = read(body, rules, now, &mut findings);
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

fn read(body: &Json, rules: &Rules, now: Timestamp, found: &mut Findings) -> Option<Request> {
    const KNOWN: [&str; 8] = [
        "transactionId",
        "userId",
        "amount",
        "currency",
        "merchantId",
        "description",
        "metadata",
        "paymentMethod",
    ];
    let fields = Fields::open("", body, &KNOWN, found);
    let transaction_id = fields.required_text("transactionId", TRANSACTION_ID, found);
    let user_id = fields.required_text("userId", USER_ID, found);
    let amount = read_amount(&fields, found);
    let currency = read_currency(&fields, found);
    let money = read_money(amount, currency, rules, found);
    let merchant_id = fields.optional_text("merchantId", MERCHANT_ID, found);
    let description = fields.optional_text("description", DESCRIPTION, found);
    let metadata = read_metadata(&fields, found);
    let method = read_method(&fields, now, found);
    Some(Request {
        transaction_id: transaction_id?.to_owned(),
        user_id: user_id?.to_owned(),
        merchant_id: merchant_id.map(str::to_owned),
        money: money?,
        description: description.map(str::to_owned),
        metadata,
        method: method?,
    })
}

fn read_amount(fields: &Fields<'_>, found: &mut Findings) -> Option<i64> {
    let (path, value) = fields.required("amount", found)?;
    let Json::Integer(amount) = value else {
        let message = format!(
            "must be a whole number of minor units, from 1 to {AMOUNT_MAX}, without fraction or exponent, not {}",
            value.kind()
        );
        found.add(&path, "amount_not_integer", message);
        return None;
    };
    if *amount <= 0 {
        found.add(&path, "amount_not_positive", "must be above zero");
        return None;
    }
    let amount = i64::try_from(*amount)
        .ok()
        .filter(|&amount| amount <= AMOUNT_MAX);
    if amount.is_none() {
        found.add(
            &path,
            "amount_too_large",
            format!("must be at most {AMOUNT_MAX}"),
        );
    }
    amount
}

fn read_currency(fields: &Fields<'_>, found: &mut Findings) -> Option<Currency> {
    let (path, value) = fields.required("currency", found)?;
    let code = fields::text_of(&path, value, found)?;
    let currency = Currency::find(code);
    if currency.is_none() {
        let message = "must be an upper-case ISO 4217 code of the current list that is tender";
        found.add(&path, "currency_unknown", message);
    }
    currency
}

fn read_money(
    amount: Option<i64>,
    currency: Option<Currency>,
    rules: &Rules,
    found: &mut Findings,
) -> Option<Money> {
    let money = Money::new(amount?, currency?)?;
    let code = money.currency().code();
    match rules.limits.get(code) {
        Some(&limit) if money.minor_units() > limit => {
            let message = format!("must be at most {limit} in {code}");
            found.add("amount", "amount_over_limit", message);
            None
        }
        _ => Some(money),
    }
}

fn read_metadata(fields: &Fields<'_>, found: &mut Findings) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    let Some((path, value)) = fields.get("metadata") else {
        return metadata;
    };
    let Json::Object(members) = value else {
        let message = format!("must be an object, not {}", value.kind());
        found.add(&path, "wrong_type", message);
        return metadata;
    };
    if members.len() > METADATA_MAX {
        let message = format!("must have at most {METADATA_MAX} members");
        found.add(&path, "too_many", message);
    }
    fields::note_duplicates(&path, members, found);
    for (name, value) in members {
        let at = super::finding::path(&path, name);
        fields::keeps_rule(&at, name, METADATA_NAME, found);
        if let Some(value) = fields::checked_text(&at, value, METADATA_VALUE, found) {
            metadata.insert(name.clone(), value.to_owned());
        }
    }
    metadata
}

fn read_method(fields: &Fields<'_>, now: Timestamp, found: &mut Findings) -> Option<Method> {
    let (path, value) = fields.required("paymentMethod", found)?;
    if !matches!(value, Json::Object(_)) {
        let message = format!("must be an object, not {}", value.kind());
        found.add(&path, "wrong_type", message);
        return None;
    }
    match value.member("type").map(Json::text) {
        Some(Some("card")) => read_card(&path, value, now, found),
        Some(Some("token")) => {
            let method = Fields::open(&path, value, &["type", "token"], found);
            let token = method.required_text("token", TOKEN, found)?;
            Some(Method::Token(Zeroizing::new(token.to_owned())))
        }
        Some(_) => {
            let message = "must be \"card\" or \"token\"";
            found.add(&format!("{path}.type"), "payment_method_unknown", message);
            None
        }
        None => {
            found.add(&format!("{path}.type"), "required", "is required");
            None
        }
    }
}

fn read_card(path: &str, value: &Json, now: Timestamp, found: &mut Findings) -> Option<Method> {
    const KNOWN: [&str; 6] = [
        "type",
        "number",
        "expiryMonth",
        "expiryYear",
        "cvc",
        "holderName",
    ];
    let card = Fields::open(path, value, &KNOWN, found);
    let number = read_number(&card, found);
    let expiry = read_expiry(&card, now, found);
    read_cvc(&card, number.as_ref().map(CardNumber::brand), found);
    let holder_name = card.optional_text("holderName", HOLDER_NAME, found);
    Some(Method::Card {
        number: number?,
        expiry: expiry?,
        holder_name: holder_name.map(|name| Zeroizing::new(name.to_owned())),
    })
}

fn read_number(card: &Fields<'_>, found: &mut Findings) -> Option<CardNumber> {
    let (path, value) = card.required("number", found)?;
    CardNumber::parse(fields::text_of(&path, value, found)?)
        .map_err(|error| found.add(&path, error.code(), error.to_string()))
        .ok()
}

fn read_cvc(card: &Fields<'_>, brand: Option<card::Brand>, found: &mut Findings) {
    let Some((path, value)) = card.required("cvc", found) else {
        return;
    };
    let Some(text) = fields::text_of(&path, value, found) else {
        return;
    };
    if Cvc::parse(text, brand).is_none() {
        let message = "must be 3 ASCII digits, 4 for American Express";
        found.add(&path, "card_cvc", message);
    }
}

fn read_expiry(card: &Fields<'_>, now: Timestamp, found: &mut Findings) -> Option<(i32, u8)> {
    let month = read_whole(
        card,
        "expiryMonth",
        1..=12,
        "must be an integer from 1 to 12",
        found,
    );
    let year = read_whole(
        card,
        "expiryYear",
        1000..=9998,
        "must be a four-digit integer",
        found,
    );
    let (month, year) = (u8::try_from(month?).ok()?, i32::try_from(year?).ok()?);
    if card::is_expired(year, month, now)? {
        let (path, _) = card.get("expiryYear")?;
        found.add(&path, "card_expired", "the card is past its expiry");
        return None;
    }
    Some((year, month))
}

fn read_whole(
    fields: &Fields<'_>,
    name: &str,
    range: std::ops::RangeInclusive<i128>,
    rule: &str,
    found: &mut Findings,
) -> Option<i128> {
    let (path, value) = fields.required(name, found)?;
    match value {
        Json::Integer(number) if range.contains(number) => Some(*number),
        Json::Integer(_) => {
            found.add(&path, "out_of_range", rule);
            None
        }
        _ => {
            found.add(&path, "wrong_type", rule);
            None
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
