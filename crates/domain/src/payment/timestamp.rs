//! Moments in UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

/// Milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 with three decimals and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Text that is no RFC 3339 moment since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no RFC 3339 moment since 1970")]
pub struct NoTimestamp;

impl Timestamp {
    /// The last moment that can be shown: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since the epoch; what lies beyond the year 9999 becomes [`Timestamp::MAX`].
    #[must_use]
    pub fn from_ms(ms: u64) -> Self {
        Self(ms.min(Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Later by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::from_ms(self.0.saturating_add(ms))
    }

    /// How long until `later`; zero if it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }

    /// The calendar day in UTC.
    #[must_use]
    pub fn date(self) -> Date {
        self.to_offset().date()
    }

    fn to_offset(self) -> OffsetDateTime {
        i64::try_from(self.seconds())
            .ok()
            .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_offset();
        let (date, time) = (at.date(), at.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            self.0 % 1000
        )
    }
}

impl FromStr for Timestamp {
    type Err = NoTimestamp;

    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NoTimestamp)?;
        u64::try_from(at.unix_timestamp_nanos() / 1_000_000)
            .map(Self::from_ms)
            .map_err(|_| NoTimestamp)
    }
}

/// The first moment of the month after `month` of `year`; `None` outside the calendar.
#[must_use]
pub fn month_after(year: i32, month: Month) -> Option<Timestamp> {
    let (year, month) = match month {
        Month::December => (year.checked_add(1)?, Month::January),
        other => (year, other.next()),
    };
    let first = Date::from_calendar_date(year, month, 1).ok()?;
    let seconds = first.midnight().assume_utc().unix_timestamp();
    let seconds = u64::try_from(seconds).ok()?;
    Some(Timestamp::from_ms(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shown_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_ms(1_785_675_296_007).to_string(),
            "2026-08-02T12:54:56.007Z"
        );
        assert_eq!(Timestamp::from_ms(u64::MAX), Timestamp::MAX);
    }

    #[test]
    fn the_month_after_december_is_january() {
        assert_eq!(
            month_after(2026, Month::December).map(|t| t.to_string()),
            Some("2027-01-01T00:00:00.000Z".to_owned())
        );
        assert_eq!(
            month_after(2028, Month::February).map(|t| t.to_string()),
            Some("2028-03-01T00:00:00.000Z".to_owned())
        );
    }

    proptest! {
        #[test]
        fn text_and_back(ms in 0..=Timestamp::MAX.0) {
            let at = Timestamp::from_ms(ms);
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}
