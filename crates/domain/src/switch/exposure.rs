//! The exposure budget: how many payments a step may put at risk.
//!
//! A candidate that turns bad is found out and taken back after a delay, the worst case of [`super::forecast`]. A step
//! from `from` to `to` percent exposes the payments that it newly sends to the candidate within that delay. The share
//! that the candidate had before is not counted again: it was baked and judged. Both budgets bound that number:
//!
//! - `maxExposedPayments`: payments, by the present rate;
//! - `maxExposedSeconds`: seconds of the whole traffic; 10 % that are bad for 200 s are 20 of them. No rate is needed.
//!
//! Whole numbers only, rounded against the candidate.

use super::{CountsReading, Step};

/// What may be put at risk by one step. Without either there is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Payments newly exposed by one step, at most.
    pub max_exposed_payments: Option<u64>,
    /// Seconds of the whole traffic newly exposed by one step, at most.
    pub max_exposed_seconds: Option<u64>,
}

impl Budget {
    /// Whether it bounds anything.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.max_exposed_payments.is_some() || self.max_exposed_seconds.is_some()
    }
}

/// Payments of both environments together, counted over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Payments.
    pub payments: u64,
    /// Seconds in which they came.
    pub seconds: u64,
}

impl Rate {
    /// The whole traffic, in seconds of itself.
    pub const WHOLE: Self = Self {
        payments: 1,
        seconds: 1,
    };

    /// From counts, if they were had.
    #[must_use]
    pub const fn of(counts: &CountsReading) -> Option<Self> {
        match counts {
            CountsReading::Counts {
                baseline,
                candidate,
                window_seconds,
                ..
            } => Some(Self {
                payments: baseline.requests.saturating_add(candidate.requests),
                seconds: *window_seconds,
            }),
            CountsReading::Missing(_) => None,
        }
    }

    /// Of one environment's share, in payments: what comes in `seconds` at `percent`, rounded up.
    #[must_use]
    pub fn within(self, seconds: u64, percent: u8) -> u64 {
        let product = u128::from(self.payments)
            .saturating_mul(u128::from(seconds))
            .saturating_mul(u128::from(percent));
        let divisor = u128::from(self.seconds.max(1)).saturating_mul(100);
        u64::try_from(product.div_ceil(divisor)).unwrap_or(u64::MAX)
    }

    /// No traffic at all is no rate: it says nothing of the traffic that is to come.
    const fn is_known(self) -> bool {
        self.payments > 0 && self.seconds > 0
    }
}

/// How far the next step may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// To the share that was planned.
    Whole,
    /// Only to this share (percent), which bakes as long as the planned one would.
    Part(u8),
    /// Not one percent further, and why.
    Nothing(String),
}

/// Bounds a step from `from` to `to` percent by what it newly exposes within `delay_seconds`.
#[must_use]
pub fn bound(budget: &Budget, rate: Option<Rate>, delay_seconds: u64, from: u8, to: u8) -> Bound {
    if to <= from || !budget.is_set() {
        return Bound::Whole;
    }
    let wanted = to.saturating_sub(from);
    let mut percent = wanted;
    if let Some(max) = budget.max_exposed_seconds {
        percent = percent.min(fitting(max, Rate::WHOLE, delay_seconds));
        if percent == 0 {
            return Bound::Nothing(format!(
                "maxExposedSeconds is {max}: 1 % for {delay_seconds} s would be more"
            ));
        }
    }
    if let Some(max) = budget.max_exposed_payments {
        let Some(rate) = rate.filter(|rate| rate.is_known()) else {
            return Bound::Nothing(format!(
                "maxExposedPayments is {max}, and the rate of payments is not known"
            ));
        };
        percent = percent.min(fitting(max, rate, delay_seconds));
        if percent == 0 {
            let least = rate.within(delay_seconds, 1);
            return Bound::Nothing(format!(
                "maxExposedPayments is {max}: 1 % for {delay_seconds} s would be {least} payments"
            ));
        }
    }
    if percent == wanted {
        Bound::Whole
    } else {
        Bound::Part(from.saturating_add(percent))
    }
}

/// The largest percent whose exposure is within `max`.
fn fitting(max: u64, rate: Rate, delay_seconds: u64) -> u8 {
    (0..=100)
        .rev()
        .find(|percent| rate.within(delay_seconds, *percent) <= max)
        .unwrap_or(0)
}

/// The steps as the budget lets them be at this rate: those that are too large are taken in parts, each of which bakes as
/// long as the whole. At most 100 steps, since each adds a percent.
///
/// # Errors
/// Why not even one percent fits.
pub fn bounded_steps(
    steps: &[Step],
    budget: &Budget,
    rate: Option<Rate>,
    delay_seconds: u64,
) -> Result<Vec<Step>, String> {
    let mut bounded = Vec::new();
    let mut from = 0;
    for step in steps {
        while from < step.percent {
            from = match bound(budget, rate, delay_seconds, from, step.percent) {
                Bound::Whole => step.percent,
                Bound::Part(percent) => percent,
                Bound::Nothing(why) => return Err(why),
            };
            bounded.push(Step {
                percent: from,
                bake_seconds: step.bake_seconds,
            });
        }
    }
    Ok(bounded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 50,000 an hour.
    const RATE: Rate = Rate {
        payments: 50_000,
        seconds: 3_600,
    };

    fn payments(max: u64) -> Budget {
        Budget {
            max_exposed_payments: Some(max),
            max_exposed_seconds: None,
        }
    }

    fn seconds(max: u64) -> Budget {
        Budget {
            max_exposed_payments: None,
            max_exposed_seconds: Some(max),
        }
    }

    #[test]
    fn the_next_share_is_as_large_as_the_budget_lets_it_be() {
        // 50,000 an hour for 216 s are 3,000 payments: 30 a percent.
        assert_eq!(RATE.within(216, 100), 3_000);
        assert_eq!(bound(&payments(300), Some(RATE), 216, 0, 10), Bound::Whole);
        assert_eq!(
            bound(&payments(299), Some(RATE), 216, 0, 10),
            Bound::Part(9)
        );
        assert_eq!(
            bound(&payments(300), Some(RATE), 216, 40, 100),
            Bound::Part(50)
        );
        assert_eq!(bound(&seconds(20), None, 200, 0, 50), Bound::Part(10));
        assert_eq!(bound(&Budget::default(), None, 200, 0, 50), Bound::Whole);
        assert_eq!(
            bound(&payments(0), None, 200, 50, 50),
            Bound::Whole,
            "no step"
        );
    }

    #[test]
    fn what_is_not_known_or_never_fits_stops_the_step() {
        for (budget, rate, told) in [
            (payments(300), None, "not known"),
            (
                payments(300),
                Some(Rate {
                    payments: 0,
                    seconds: 60,
                }),
                "not known",
            ),
            (payments(29), Some(RATE), "30 payments"),
            (seconds(1), Some(RATE), "216 s"),
        ] {
            let Bound::Nothing(why) = bound(&budget, rate, 216, 0, 100) else {
                panic!("{budget:?} let it through");
            };
            assert!(why.contains(told), "{why}");
        }
    }

    #[test]
    fn a_step_that_is_too_large_is_taken_in_parts() {
        let steps = [
            Step {
                percent: 10,
                bake_seconds: 60,
            },
            Step {
                percent: 100,
                bake_seconds: 900,
            },
        ];
        let bounded = bounded_steps(&steps, &payments(1_200), Some(RATE), 216).unwrap();
        let shares: Vec<(u8, u64)> = bounded
            .iter()
            .map(|s| (s.percent, s.bake_seconds))
            .collect();
        assert_eq!(shares, [(10, 60), (50, 900), (90, 900), (100, 900)]);
        assert!(bounded_steps(&steps, &payments(1), Some(RATE), 216).is_err());
        assert_eq!(
            bounded_steps(&steps, &Budget::default(), None, 0).unwrap(),
            steps
        );
    }

    /// The share that a bound lets through, in percent.
    fn reached(bound: &Bound, from: u8, to: u8) -> u8 {
        match bound {
            Bound::Whole => to,
            Bound::Part(percent) => *percent,
            Bound::Nothing(_) => from,
        }
    }

    proptest! {
        #[test]
        fn the_budget_holds_and_is_used(
            max in 0_u64..100_000, per_hour in 1_u64..10_000_000, delay in 1_u64..1_000, from in 0_u8..100, more in 1_u8..=100
        ) {
            let to = from.saturating_add(more).min(100);
            let rate = Rate { payments: per_hour, seconds: 3_600 };
            let share = reached(&bound(&payments(max), Some(rate), delay, from, to), from, to);
            prop_assert!((from..=to).contains(&share));
            prop_assert!(rate.within(delay, share - from) <= max || share == from);
            if share < to {
                prop_assert!(rate.within(delay, share - from + 1) > max, "one percent more would have fitted");
            }
        }

        #[test]
        fn more_budget_never_means_less_and_more_risk_never_means_more(
            max in 0_u64..100_000, per_hour in 1_u64..10_000_000, delay in 1_u64..1_000, from in 0_u8..100
        ) {
            let rate = |payments| Some(Rate { payments, seconds: 3_600 });
            let share = |max, payments, delay| {
                reached(&bound(&self::payments(max), rate(payments), delay, from, 100), from, 100)
            };
            let here = share(max, per_hour, delay);
            prop_assert!(share(max + 1, per_hour, delay) >= here);
            prop_assert!(share(max, per_hour + 1, delay) <= here);
            prop_assert!(share(max, per_hour, delay + 1) <= here);
        }
    }
}
