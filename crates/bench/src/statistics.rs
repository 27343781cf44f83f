//! Medians and percentiles.

use std::time::Duration;

/// Milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The value that `share` (0 to 1) of all values are not above; nothing of nothing.
#[must_use]
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    // The first rank that covers the share: no value is made up between two.
    let mut rank = 0;
    while rank + 1 < sorted.len() && fraction(rank + 1, sorted.len()) < share {
        rank += 1;
    }
    sorted.get(rank).copied()
}

fn fraction(part: usize, of: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) / exact(of)
}

/// The middle value.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    percentile(values, 0.5)
}

/// With so many decimals as reports have.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred = || (1..=100).map(f64::from);
        assert_eq!(median(hundred()), Some(50.0));
        assert_eq!(percentile(hundred(), 0.99), Some(99.0));
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(percentile([7.0], 0.99), Some(7.0));
        assert_eq!(median([]), None);
    }
}
