//! Payment cards: the number and the security code in fixed buffers that are wiped, and the little that may be kept.
//!
//! Lengths and issuer ranges (IIN, ISO/IEC 7812) are those that the brands publish for acceptance.

use serde::Serialize;
use time::Month;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::timestamp::{self, Timestamp};

/// The fewest digits of a card number.
pub const DIGITS_MIN: usize = 12;
/// The most digits of a card number (ISO/IEC 7812-1).
pub const DIGITS_MAX: usize = 19;

/// A card is good through the last day of its month, and one day more: that day has not ended everywhere.
const EXPIRY_GRACE: std::time::Duration = std::time::Duration::from_hours(24);

/// The first year that a moment may be in.
const YEAR_FIRST: i32 = 1970;

/// The brands taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Brand {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
    /// American Express.
    Amex,
    /// Discover.
    Discover,
    /// Diners Club.
    Diners,
    /// JCB.
    Jcb,
    /// UnionPay. 622126 to 622925, shared with Discover, count as UnionPay.
    Unionpay,
}

impl Brand {
    const ALL: [Self; 7] = [
        Self::Visa,
        Self::Mastercard,
        Self::Amex,
        Self::Discover,
        Self::Diners,
        Self::Jcb,
        Self::Unionpay,
    ];

    /// The name used in answers and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Amex => "amex",
            Self::Discover => "discover",
            Self::Diners => "diners",
            Self::Jcb => "jcb",
            Self::Unionpay => "unionpay",
        }
    }

    /// The brand with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|brand| brand.as_str() == name)
    }

    /// The brand of a number, by its first four digits.
    fn of(digits: &[u8]) -> Option<Self> {
        let iin = digits
            .get(..4)?
            .iter()
            .fold(0_u16, |iin, &digit| iin * 10 + u16::from(digit));
        Some(match iin {
            4000..=4999 => Self::Visa,
            2221..=2720 | 5100..=5599 => Self::Mastercard,
            3400..=3499 | 3700..=3799 => Self::Amex,
            6011 | 6440..=6599 => Self::Discover,
            3000..=3059 | 3090..=3099 | 3600..=3699 | 3800..=3999 => Self::Diners,
            3528..=3589 => Self::Jcb,
            6200..=6299 => Self::Unionpay,
            _ => return None,
        })
    }

    fn allows_length(self, digits: usize) -> bool {
        match self {
            Self::Visa => matches!(digits, 13 | 16 | 19),
            Self::Mastercard => digits == 16,
            Self::Amex => digits == 15,
            Self::Diners => (14..=19).contains(&digits),
            Self::Discover | Self::Jcb | Self::Unionpay => (16..=19).contains(&digits),
        }
    }

    /// Digits of the security code.
    #[must_use]
    pub fn cvc_digits(self) -> usize {
        if self == Self::Amex { 4 } else { 3 }
    }
}

/// What may be stored, logged and answered of a card (PCI DSS 3.4.1 would allow the first six digits too).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardSummary {
    /// The brand.
    pub brand: Brand,
    /// The last four digits.
    pub last4: String,
}

/// A card number that passed every rule. Neither `Debug` nor `Serialize`; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CardNumber {
    digits: [u8; DIGITS_MAX],
    len: usize,
    #[zeroize(skip)]
    brand: Brand,
}

/// Why a card number is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Other characters than digits, or separators where none may stand.
    #[error("must be ASCII digits, with single spaces or hyphens between groups")]
    Format,
    /// Not 12 to 19 digits.
    #[error("must have {DIGITS_MIN} to {DIGITS_MAX} digits")]
    Length,
    /// Nothing but zeros, which passes Luhn.
    #[error("must not be all zeros")]
    AllZero,
    /// The check digit is wrong (ISO/IEC 7812-1, annex B).
    #[error("fails the check digit (Luhn)")]
    Luhn,
    /// Of no brand taken.
    #[error("is of no supported brand")]
    Brand,
    /// The brand has no numbers of that length.
    #[error("has a length that its brand does not have")]
    BrandLength,
}

impl NumberError {
    /// The finding's stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Format => "card_number_format",
            Self::Length => "card_number_length",
            Self::AllZero => "card_number_all_zero",
            Self::Luhn => "card_number_luhn",
            Self::Brand => "card_brand_unsupported",
            Self::BrandLength => "card_number_brand_length",
        }
    }
}

impl CardNumber {
    /// Reads a card number.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let mut number = Self {
            digits: [0; DIGITS_MAX],
            len: 0,
            brand: Brand::Visa,
        };
        number.read_digits(text)?;
        let digits = number.digits();
        if digits.len() < DIGITS_MIN {
            return Err(NumberError::Length);
        }
        if digits.iter().all(|&digit| digit == 0) {
            return Err(NumberError::AllZero);
        }
        let brand = Brand::of(digits).ok_or(NumberError::Brand)?;
        if !brand.allows_length(digits.len()) {
            return Err(NumberError::BrandLength);
        }
        if !luhn(digits) {
            return Err(NumberError::Luhn);
        }
        number.brand = brand;
        Ok(number)
    }

    fn read_digits(&mut self, text: &str) -> Result<(), NumberError> {
        let mut after_digit = false;
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    let slot = self.digits.get_mut(self.len).ok_or(NumberError::Length)?;
                    *slot = byte - b'0';
                    self.len += 1;
                    after_digit = true;
                }
                b' ' | b'-' if after_digit => after_digit = false,
                _ => return Err(NumberError::Format),
            }
        }
        if after_digit || text.is_empty() {
            Ok(())
        } else {
            Err(NumberError::Format)
        }
    }

    /// The digits, each 0 to 9.
    #[must_use]
    pub fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    /// The brand.
    #[must_use]
    pub fn brand(&self) -> Brand {
        self.brand
    }

    /// What may be kept of it.
    #[must_use]
    pub fn summary(&self) -> CardSummary {
        let digits = self.digits();
        let last4 = digits.get(digits.len().saturating_sub(4)..);
        CardSummary {
            brand: self.brand,
            last4: last4
                .unwrap_or_default()
                .iter()
                .map(|digit| char::from(b'0' + digit))
                .collect(),
        }
    }
}

/// Whether digits (each 0 to 9) are those of a card number: length, brand and check digit fit.
#[must_use]
pub fn looks_real(digits: &[u8]) -> bool {
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
        && Brand::of(digits).is_some_and(|brand| brand.allows_length(digits.len()))
        && luhn(digits)
}

/// The check of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| match (i % 2, u32::from(digit)) {
            (0, d) => d,
            (_, d) if d > 4 => d * 2 - 9,
            (_, d) => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A security code. It is checked and forgotten: PCI DSS 3.3.1 lets no one keep it after authorization, hashed or not.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Cvc {
    digits: [u8; 4],
    len: usize,
}

impl Cvc {
    /// Reads three digits, or four for American Express; either where the brand is not known.
    #[must_use]
    pub fn parse(text: &str, brand: Option<Brand>) -> Option<Self> {
        let len = text.len();
        let length_fits = brand.map_or(matches!(len, 3 | 4), |brand| len == brand.cvc_digits());
        if !length_fits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut cvc = Self {
            digits: [0; 4],
            len,
        };
        for (slot, byte) in cvc.digits.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        Some(cvc)
    }

    /// How many digits it has.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.len
    }
}

/// Whether a card that expires at the end of that month (UTC) is past at `now`; `None` for no month of the calendar.
#[must_use]
pub fn is_expired(year: i32, month: u8, now: Timestamp) -> Option<bool> {
    let month = Month::try_from(month).ok()?;
    if year < YEAR_FIRST {
        return Some(true);
    }
    // Past the last month that can be shown there is no later moment.
    let good_until = timestamp::month_after(year, month).unwrap_or(Timestamp::MAX);
    Some(now >= good_until.plus(EXPIRY_GRACE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn public_test_numbers_are_taken_with_their_brand() {
        for (number, brand, last4) in [
            ("4242424242424242", Brand::Visa, "4242"),
            ("4111 1111 1111 1111", Brand::Visa, "1111"),
            ("4222222222222", Brand::Visa, "2222"),
            ("5555-5555-5555-4444", Brand::Mastercard, "4444"),
            ("2223003122003222", Brand::Mastercard, "3222"),
            ("378282246310005", Brand::Amex, "0005"),
            ("6011111111111117", Brand::Discover, "1117"),
            ("30569309025904", Brand::Diners, "5904"),
            ("36227206271667", Brand::Diners, "1667"),
            ("3566002020360505", Brand::Jcb, "0505"),
            ("6200000000000005", Brand::Unionpay, "0005"),
        ] {
            let summary = CardNumber::parse(number).ok().map(|n| n.summary());
            let expected = CardSummary {
                brand,
                last4: last4.to_owned(),
            };
            assert_eq!(summary, Some(expected), "{number}");
        }
    }

    #[test]
    fn bad_numbers_are_refused_with_their_reason() {
        for (number, error) in [
            ("", NumberError::Length),
            ("4242", NumberError::Length),
            ("42424242424242424242", NumberError::Length),
            ("4242424242424243", NumberError::Luhn),
            ("000000000000", NumberError::AllZero),
            ("0000000000000000", NumberError::AllZero),
            ("9999999999999995", NumberError::Brand),
            ("42424242424242", NumberError::BrandLength),
            ("4242  4242 4242 4242", NumberError::Format),
            (" 4242424242424242", NumberError::Format),
            ("4242424242424242 ", NumberError::Format),
            ("4242-4242-4242-4242-", NumberError::Format),
            ("4242424242424242a", NumberError::Format),
            ("４２４２４２４２４２４２４２４２", NumberError::Format),
        ] {
            assert_eq!(CardNumber::parse(number).err(), Some(error), "{number}");
        }
    }

    #[test]
    fn security_codes_have_the_brand_s_length() {
        assert!(Cvc::parse("123", Some(Brand::Visa)).is_some());
        assert!(Cvc::parse("1234", Some(Brand::Visa)).is_none());
        assert!(Cvc::parse("1234", Some(Brand::Amex)).is_some());
        assert!(Cvc::parse("123", Some(Brand::Amex)).is_none());
        assert_eq!(Cvc::parse("1234", None).map(|cvc| cvc.digits()), Some(4));
        for bad in ["", "12", "12345", "12a", "１２３", " 12"] {
            assert!(Cvc::parse(bad, None).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_card_is_good_through_its_month_and_one_day() {
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(
            is_expired(2026, 11, at("2026-11-30T23:59:59Z")),
            Some(false)
        );
        assert_eq!(
            is_expired(2026, 11, at("2026-12-01T23:59:59Z")),
            Some(false)
        );
        assert_eq!(is_expired(2026, 11, at("2026-12-02T00:00:00Z")), Some(true));
        assert_eq!(
            is_expired(2026, 12, at("2027-01-01T12:00:00Z")),
            Some(false)
        );
        assert_eq!(is_expired(2026, 13, at("2026-01-01T00:00:00Z")), None);
        assert_eq!(is_expired(2026, 0, at("2026-01-01T00:00:00Z")), None);
        for (year, expired) in [(-5000, true), (1000, true), (1969, true), (9999, false)] {
            let told = is_expired(year, 12, at("2026-01-01T00:00:00Z"));
            assert_eq!(told, Some(expired), "{year}");
        }
    }

    /// A number that begins with `iin`, has `len` digits and passes Luhn: random ranges of no real account.
    fn numbered(iin: u16, len: usize) -> String {
        let body = format!("{iin:0<width$}", width = len - 1);
        (0..10)
            .map(|check| format!("{body}{check}"))
            .find(|number| luhn(&number.bytes().map(|b| b - b'0').collect::<Vec<_>>()))
            .unwrap()
    }

    #[test]
    fn brands_begin_and_end_where_they_say() {
        for (first, last, brand, lengths) in [
            (4000, 4999, Brand::Visa, &[13, 16, 19][..]),
            (2221, 2720, Brand::Mastercard, &[16]),
            (5100, 5599, Brand::Mastercard, &[16]),
            (3400, 3499, Brand::Amex, &[15]),
            (3700, 3799, Brand::Amex, &[15]),
            (6011, 6011, Brand::Discover, &[16, 17, 18, 19]),
            (6440, 6599, Brand::Discover, &[16, 17, 18, 19]),
            (3000, 3059, Brand::Diners, &[14, 15, 16, 17, 18, 19]),
            (3090, 3099, Brand::Diners, &[14, 15, 16, 17, 18, 19]),
            (3600, 3699, Brand::Diners, &[14, 15, 16, 17, 18, 19]),
            (3800, 3999, Brand::Diners, &[14, 15, 16, 17, 18, 19]),
            (3528, 3589, Brand::Jcb, &[16, 17, 18, 19]),
            (6200, 6299, Brand::Unionpay, &[16, 17, 18, 19]),
        ] {
            for (iin, len) in [first, last]
                .into_iter()
                .flat_map(|iin| (12..=19).map(move |len| (iin, len)))
            {
                let parsed = CardNumber::parse(&numbered(iin, len)).map(|number| number.brand());
                let expected = if lengths.contains(&len) {
                    Ok(brand)
                } else {
                    Err(NumberError::BrandLength)
                };
                assert_eq!(parsed, expected, "{iin}, {len} digits");
            }
        }
        for iin in [
            1000, 2220, 2721, 3060, 3089, 3100, 3500, 3527, 3590, 5000, 5600,
        ] {
            assert_eq!(
                CardNumber::parse(&numbered(iin, 16)).err(),
                Some(NumberError::Brand),
                "{iin}"
            );
        }
        for iin in [6010, 6012, 6300, 6439, 6600, 7000, 8100, 9999] {
            assert_eq!(
                CardNumber::parse(&numbered(iin, 16)).err(),
                Some(NumberError::Brand),
                "{iin}"
            );
        }
    }

    proptest! {
        #[test]
        fn separators_between_groups_change_nothing(at in proptest::collection::vec(1_usize..16, 0..6), with in "[ -]") {
            let mut text = String::new();
            for (i, digit) in "5555555555554444".chars().enumerate() {
                if at.contains(&i) {
                    text.push_str(&with);
                }
                text.push(digit);
            }
            let plain = CardNumber::parse("5555555555554444").unwrap_or_else(|_| panic!("a number"));
            let spelled = CardNumber::parse(&text).unwrap_or_else(|_| panic!("{text}"));
            prop_assert_eq!(plain.digits(), spelled.digits());
            prop_assert!(super::super::text::holds_card_number(&text));
        }

        #[test]
        fn any_text_is_parsed_without_harm(text in any::<String>()) {
            let _ = CardNumber::parse(&text);
            let _ = Cvc::parse(&text, None);
        }

        #[test]
        fn a_wrong_digit_is_always_caught(at in 1_usize..16, other in 1_u8..10) {
            let mut digits = *b"4242424242424242";
            digits[at] = b'0' + (digits[at] - b'0' + other) % 10;
            let text = std::str::from_utf8(&digits).unwrap();
            prop_assert!(CardNumber::parse(text).is_err());
        }
    }
}
