//! ISO 4217: the currencies that a payment may be made in, and their minor units.

/// State of the list: ISO 4217 List One as published in January 2026. ANG, BGN, CUC, HRK, SLL and ZWL have left it;
/// SLE, XCG and ZWG have come.
pub const LIST_DATE: &str = "2026-01-01";

/// A currency of the current list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    code: &'static str,
    exponent: u8,
}

impl Currency {
    /// The currency with this alphabetic code, upper case.
    ///
    /// Codes that are no tender are not here: testing (`XTS`), none (`XXX`), metals, units of account (`XDR`, `XSU`,
    /// `XUA`, `XAD`), and what the list marks as a fund (`BOV`, `CHE`, `CHW`, `COU`, `MXV`, `USN`, `UYI`).
    ///
    /// The two indexed units with four decimals are here: `UYW`, which the list does not mark as a fund, and `CLF`, which
    /// it does, but in which prices are quoted and debts are settled by law (Chile's Ley 18.010), as no other fund is.
    #[must_use]
    pub fn find(code: &str) -> Option<Self> {
        TABLE
            .iter()
            .find_map(|&(exponent, codes)| {
                let mut codes = codes.split_ascii_whitespace();
                Some((exponent, codes.find(|&c| c == code)?))
            })
            .map(|(exponent, code)| Self { code, exponent })
    }

    /// The alphabetic code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Decimals of the minor unit: an amount of 1234 with exponent 2 is 12.34.
    #[must_use]
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

/// Exponent, and the codes that have it, by ISO 4217 List One.
const TABLE: [(u8, &str); 4] = [
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC \
         CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
         JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD \
         NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
         SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (
        0,
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn exponents_are_those_of_the_standard() {
        for (code, exponent) in [
            ("USD", 2),
            ("EUR", 2),
            ("MGA", 2),
            ("MRU", 2),
            ("JPY", 0),
            ("ISK", 0),
            ("UGX", 0),
            ("CLP", 0),
            ("XAF", 0),
            ("IQD", 3),
            ("LYD", 3),
            ("KWD", 3),
            ("BHD", 3),
            ("JOD", 3),
            ("OMR", 3),
            ("TND", 3),
            ("UYW", 4),
            ("CLF", 4),
        ] {
            assert_eq!(
                Currency::find(code).map(Currency::exponent),
                Some(exponent),
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_tender_or_has_left_the_list_is_not_found() {
        for code in [
            "XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XDR", "XSU", "XUA", "CHE", "USN",
            "UYI", "BOV", "CHW", "COU", "MXV", "XAD", "HRK", "CUC", "SLL", "BGN", "ANG", "ZWL",
            "DEM", "usd", "", "US", "USD ", "AED AFN",
        ] {
            assert_eq!(Currency::find(code), None, "{code}");
        }
    }

    #[test]
    fn each_code_stands_once_and_is_three_capitals() {
        let codes: Vec<&str> = TABLE
            .iter()
            .flat_map(|(_, c)| c.split_ascii_whitespace())
            .collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert!(
            codes
                .iter()
                .all(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase()))
        );
        assert_eq!(codes.len(), 157);
    }
}
