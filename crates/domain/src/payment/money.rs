//! An amount of money: whole minor units of one currency. There is no floating point anywhere.

use super::currency::Currency;

/// The largest amount, in minor units: the largest integer that every JSON reader keeps exactly (RFC 8259, section 6).
pub const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// An amount above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

impl Money {
    /// `minor_units` from 1 to [`AMOUNT_MAX`].
    #[must_use]
    pub fn new(minor_units: i64, currency: Currency) -> Option<Self> {
        (1..=AMOUNT_MAX).contains(&minor_units).then_some(Self {
            minor_units,
            currency,
        })
    }

    /// The amount in the currency's minor unit.
    #[must_use]
    pub fn minor_units(self) -> i64 {
        self.minor_units
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in the major unit, with as many decimals as the currency has.
    #[must_use]
    pub fn decimal(self) -> String {
        decimal(self.minor_units, self.currency.exponent())
    }
}

/// `minor_units` (not negative) with the decimal point `exponent` digits from the right.
#[must_use]
pub fn decimal(minor_units: i64, exponent: u8) -> String {
    let exponent = usize::from(exponent);
    let digits = format!("{minor_units:0>width$}", width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(exponent));
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_follow_the_exponent() {
        assert_eq!(decimal(1234, 2), "12.34");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(100, 0), "100");
        assert_eq!(decimal(1, 3), "0.001");
        assert_eq!(decimal(123_456, 4), "12.3456");
        assert_eq!(decimal(AMOUNT_MAX, 2), "90071992547409.91");
    }

    #[test]
    fn only_amounts_above_zero_exist() {
        let usd = Currency::find("USD").unwrap();
        for refused in [0, -1, i64::MIN, AMOUNT_MAX + 1, i64::MAX] {
            assert_eq!(Money::new(refused, usd), None);
        }
        assert!(Money::new(AMOUNT_MAX, usd).is_some());
    }

    proptest! {
        #[test]
        fn the_decimal_is_the_amount(minor_units in 1..=AMOUNT_MAX, exponent in 0_u8..=4) {
            let text = decimal(minor_units, exponent);
            let fraction = text.split_once('.').map_or("", |(_, f)| f);
            prop_assert_eq!(fraction.len(), usize::from(exponent));
            prop_assert_eq!(text.replace('.', "").parse(), Ok(minor_units));
            prop_assert!(exponent == 0 || !text.starts_with('.'));
        }
    }
}
