//! Strategies, and the steps that all of them come down to.

use serde::{Deserialize, Serialize};

/// Steps that a migration may have.
pub const STEPS_MAX: usize = 100;

/// Longest bake of a step, in seconds: a week.
pub const BAKE_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// A share of the traffic for the candidate, and how long it must hold before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Percent of the traffic for the candidate.
    pub percent: u8,
    /// Seconds between the verification of this share and the next step.
    pub bake_seconds: u64,
}

/// How an operator asks for a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Everything at once.
    AllAtOnce,
    /// A small share first, then everything.
    Canary(Step),
    /// Equal shares at equal intervals.
    Linear {
        /// Percent added at each step.
        step_percent: u8,
        /// Seconds between two steps.
        interval_seconds: u64,
    },
    /// Shares as listed; 100 % is added if it is not the last of them.
    Steps(Vec<Step>),
}

/// A plan that can't be carried out as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A share outside 1 to 100, or 100 % as the canary's.
    #[error("{field} is {percent}: it takes a whole percent from 1 to {max}")]
    Percent {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What it says.
        percent: u8,
        /// The most that it takes.
        max: u8,
    },
    /// Shares must grow.
    #[error("steps[{index}].percent is {percent}: it must be more than that of the step before it")]
    NotGrowing {
        /// Index of the step in the list, from 0.
        index: usize,
        /// What it says.
        percent: u8,
    },
    /// A bake or interval longer than a week.
    #[error("{field} is {seconds}: it takes 0 to {BAKE_SECONDS_MAX} seconds")]
    Bake {
        /// The field, by its name on the wire.
        field: &'static str,
        /// What it says.
        seconds: u64,
    },
    /// None, or more than [`STEPS_MAX`].
    #[error("{0} steps: it takes 1 to {STEPS_MAX}")]
    Count(usize),
}

impl Strategy {
    /// The steps of this strategy: growing shares, the last of them 100 %, whose bake includes `bake_seconds`.
    ///
    /// # Errors
    /// What of the strategy can't be carried out.
    pub fn steps(self, bake_seconds: u64) -> Result<Vec<Step>, PlanError> {
        check_bake("bakeSeconds", bake_seconds)?;
        let mut steps = match self {
            Self::AllAtOnce => Vec::new(),
            Self::Canary(canary) => {
                check_percent("strategy.percent", canary.percent, 99)?;
                check_bake("strategy.bakeSeconds", canary.bake_seconds)?;
                vec![canary]
            }
            Self::Linear {
                step_percent,
                interval_seconds,
            } => linear(step_percent, interval_seconds)?,
            Self::Steps(steps) => listed(steps)?,
        };
        match steps.last_mut() {
            Some(last) if last.percent == 100 => {
                last.bake_seconds = last.bake_seconds.saturating_add(bake_seconds);
            }
            _ => steps.push(Step {
                percent: 100,
                bake_seconds,
            }),
        }
        if steps.len() > STEPS_MAX {
            return Err(PlanError::Count(steps.len()));
        }
        Ok(steps)
    }
}

fn linear(step_percent: u8, interval_seconds: u64) -> Result<Vec<Step>, PlanError> {
    check_percent("strategy.stepPercent", step_percent, 100)?;
    check_bake("strategy.intervalSeconds", interval_seconds)?;
    Ok((1..=u8::MAX)
        .map_while(|n| n.checked_mul(step_percent))
        .take_while(|percent| *percent < 100)
        .map(|percent| Step {
            percent,
            bake_seconds: interval_seconds,
        })
        .collect())
}

fn listed(steps: Vec<Step>) -> Result<Vec<Step>, PlanError> {
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(PlanError::Count(steps.len()));
    }
    let mut before = 0;
    for (index, step) in steps.iter().enumerate() {
        check_percent("strategy.steps[].percent", step.percent, 100)?;
        check_bake("strategy.steps[].bakeSeconds", step.bake_seconds)?;
        if step.percent <= before {
            return Err(PlanError::NotGrowing {
                index,
                percent: step.percent,
            });
        }
        before = step.percent;
    }
    Ok(steps)
}

fn check_percent(field: &'static str, percent: u8, max: u8) -> Result<(), PlanError> {
    if (1..=max).contains(&percent) {
        Ok(())
    } else {
        Err(PlanError::Percent {
            field,
            percent,
            max,
        })
    }
}

fn check_bake(field: &'static str, seconds: u64) -> Result<(), PlanError> {
    if seconds <= BAKE_SECONDS_MAX {
        Ok(())
    } else {
        Err(PlanError::Bake { field, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(strategy: Strategy, bake: u64) -> Vec<(u8, u64)> {
        let steps = strategy.steps(bake).unwrap();
        steps.iter().map(|s| (s.percent, s.bake_seconds)).collect()
    }

    fn at(percent: u8, bake_seconds: u64) -> Step {
        Step {
            percent,
            bake_seconds,
        }
    }

    #[test]
    fn every_strategy_ends_at_100_percent_with_the_last_bake() {
        assert_eq!(shares(Strategy::AllAtOnce, 60), [(100, 60)]);
        assert_eq!(
            shares(Strategy::Canary(at(5, 30)), 60),
            [(5, 30), (100, 60)]
        );
        let linear = |step_percent| Strategy::Linear {
            step_percent,
            interval_seconds: 10,
        };
        assert_eq!(shares(linear(40), 60), [(40, 10), (80, 10), (100, 60)]);
        assert_eq!(shares(linear(50), 0), [(50, 10), (100, 0)]);
        assert_eq!(shares(linear(100), 5), [(100, 5)]);
        assert_eq!(linear(1).steps(0).map(|s| s.len()), Ok(100));
        let listed = Strategy::Steps(vec![at(10, 1), at(100, 7)]);
        assert_eq!(shares(listed, 60), [(10, 1), (100, 67)]);
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let refused = |strategy: Strategy| strategy.steps(0).unwrap_err().to_string();
        assert!(refused(Strategy::Canary(at(100, 0))).contains("1 to 99"));
        assert!(refused(Strategy::Canary(at(0, 0))).contains("1 to 99"));
        assert!(refused(Strategy::Steps(vec![])).contains("0 steps"));
        assert!(refused(Strategy::Steps(vec![at(50, 0), at(50, 0)])).contains("steps[1]"));
        assert!(refused(Strategy::Steps(vec![at(5, u64::MAX)])).contains("seconds"));
        let never = Strategy::Linear {
            step_percent: 0,
            interval_seconds: 1,
        };
        assert!(refused(never).contains("strategy.stepPercent"));
        assert!(Strategy::AllAtOnce.steps(u64::MAX).is_err());
    }
}
