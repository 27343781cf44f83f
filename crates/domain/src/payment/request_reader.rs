//! Reading a payment request field by field, every finding noted.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::card::{self, CardNumber, Cvc};
use super::currency::Currency;
use super::fields::{self, Fields, ID, PLAIN, TextRule};
use super::finding::{self, Findings};
use super::json::Json;
use super::money::{AMOUNT_MAX, Money};
use super::request::{Method, Request, Rules};
use super::timestamp::Timestamp;

/// Pairs of metadata.
const METADATA_MAX: usize = 20;

/// Transaction ids.
pub(super) const TRANSACTION_ID: TextRule = TextRule {
    min: 1,
    max: 64,
    allowed: ID,
};
/// Merchant ids.
pub(super) const MERCHANT_ID: TextRule = TextRule {
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

/// Reads a body: the request if every field could be read, findings or not.
pub(super) fn read(
    body: &Json,
    rules: &Rules,
    now: Timestamp,
    found: &mut Findings,
) -> Option<Request> {
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
        let at = finding::path(&path, name);
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
        1000..=9999,
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
