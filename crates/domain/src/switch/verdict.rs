//! The verdict by counts: a sequential test of the candidate's failures against the baseline.
//!
//! The test is Wald's sequential probability ratio test (SPRT; A. Wald, "Sequential Tests of Statistical Hypotheses",
//! Annals of Mathematical Statistics 16, 1945). It sums up, request by request, how much likelier the counts are for a
//! *bad* candidate than for a *good* one, and ends as soon as that likelihood ratio leaves the bounds. Here
//!
//! - *good* is a failure rate of at most `p_good`: the highest that the baseline's counts agree with (Wilson's one-sided
//!   95 % bound), and never below [`FLOOR`];
//! - *bad* is a failure rate of at least `p_bad = p_good +` [`MARGIN`].
//!
//! The bounds are `1/ALPHA` and `BETA`. Wald's own, `(1 - beta)/alpha` and `beta/(1 - alpha)`, keep the two errors only
//! approximately; these keep each of them strictly (Ville's inequality: the ratio is a martingale), however often and
//! whenever one looks. That matters, because a tick looks whenever it comes.

use super::{Evidence, Tally};

/// The largest chance that a good candidate is rolled back, per step.
pub const ALPHA: f64 = 0.01;

/// The largest chance that a bad candidate passes, per step.
pub const BETA: f64 = 0.01;

/// The difference between good and bad, as a share of all requests: one in a hundred.
pub const MARGIN: f64 = 0.01;

/// The lowest failure rate that is called good: without it a baseline that never failed would forbid any failure.
pub const FLOOR: f64 = 0.001;

/// The highest `p_good`: a baseline that fails more often than every second time is nothing to compare with.
const GOOD_MAX: f64 = 0.5;

/// The baseline's rate must be known this closely: a vague one would call too much good.
const VAGUENESS_MAX: f64 = MARGIN / 2.0;

/// The standard normal quantile of 95 %.
const Z_95: f64 = 1.644_853_6;

/// What the counts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The candidate is good: it may have more.
    Pass,
    /// The candidate is bad: all traffic goes back.
    Fail,
    /// Too little is known: the candidate keeps what it has, and gets no more.
    Continue,
}

impl Verdict {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Continue => "continue",
        }
    }
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// For people: the test, its parameters, n, the ratio and its bounds.
    pub why: String,
}

impl Judgement {
    fn new(verdict: Verdict, why: String) -> Self {
        Self { verdict, why }
    }

    /// For the journal.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence {
            name: "verdict by counts".to_owned(),
            observed: format!("{}: {}", self.verdict.as_str(), self.why),
        }
    }
}

/// Judges the candidate's counts of its present step.
///
/// `baseline` must be the other environment's counts over a span in which it had enough traffic: during the step, or,
/// where the candidate already has nearly everything, before it. `money` counts broken invariants, a payment that was
/// made twice or is missing in a ledger, since the step began; `None` is not configured. One of them is a failure too
/// many, whatever the rates say.
#[must_use]
pub fn verdict(baseline: &Tally, candidate: &Tally, money: Option<u64>) -> Judgement {
    if let Some(broken) = money.filter(|broken| *broken > 0) {
        let why = format!("{broken} broken money invariants (duplicates, ledger mismatches)");
        return Judgement::new(Verdict::Fail, why);
    }
    for (whose, tally) in [("baseline", baseline), ("candidate", candidate)] {
        if tally.failures > tally.requests {
            let why = format!(
                "the {whose}'s counts contradict themselves: {} failures of {} requests",
                tally.failures, tally.requests
            );
            return Judgement::new(Verdict::Continue, why);
        }
    }
    match Sprt::against(baseline) {
        Ok(test) => test.judge(baseline, candidate),
        Err(why) => Judgement::new(Verdict::Continue, why),
    }
}

/// The test, for two failure rates.
#[derive(Debug, Clone, Copy)]
struct Sprt {
    good: f64,
    bad: f64,
}

impl Sprt {
    /// The test that a baseline sets, or why it sets none.
    fn against(baseline: &Tally) -> Result<Self, String> {
        let rate = rate(baseline);
        let good = wilson_upper(baseline).max(FLOOR);
        let counted = format!(
            "the baseline failed {} of {} times",
            baseline.failures, baseline.requests
        );
        if good - rate.max(FLOOR) > VAGUENESS_MAX {
            return Err(format!("{counted}: too few to compare with"));
        }
        if good > GOOD_MAX {
            return Err(format!("{counted}: nothing to compare with"));
        }
        Ok(Self {
            good,
            bad: good + MARGIN,
        })
    }

    /// The logarithm of how much likelier the counts are for a bad candidate than for a good one.
    fn log_ratio(&self, candidate: &Tally) -> f64 {
        let failures = float(candidate.failures);
        let successes = float(candidate.requests.saturating_sub(candidate.failures));
        failures * (self.bad / self.good).ln()
            + successes * ((1.0 - self.bad) / (1.0 - self.good)).ln()
    }

    fn decide(log_ratio: f64) -> Verdict {
        if log_ratio >= fail_bound() {
            Verdict::Fail
        } else if log_ratio <= pass_bound() {
            Verdict::Pass
        } else {
            Verdict::Continue
        }
    }

    fn judge(&self, baseline: &Tally, candidate: &Tally) -> Judgement {
        let log_ratio = self.log_ratio(candidate);
        let why = format!(
            "candidate failed {} of n = {}, baseline {} of {}; SPRT (Wald) of good <= {:.2} % against bad >= {:.2} %, \
             alpha {ALPHA}, beta {BETA}: log likelihood ratio {log_ratio:.2}, pass at {:.2}, fail at {:.2}",
            candidate.failures,
            candidate.requests,
            baseline.failures,
            baseline.requests,
            self.good * 100.0,
            self.bad * 100.0,
            pass_bound(),
            fail_bound(),
        );
        Judgement::new(Self::decide(log_ratio), why)
    }
}

fn fail_bound() -> f64 {
    (1.0 / ALPHA).ln()
}

fn pass_bound() -> f64 {
    BETA.ln()
}

/// Beyond four thousand million the counts are as good as that many.
fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn rate(tally: &Tally) -> f64 {
    if tally.requests == 0 {
        0.0
    } else {
        float(tally.failures) / float(tally.requests)
    }
}

/// The highest failure rate that the counts agree with, at 95 %, one-sided (E. B. Wilson, 1927); 1 without counts.
fn wilson_upper(tally: &Tally) -> f64 {
    if tally.requests == 0 {
        return 1.0;
    }
    let n = float(tally.requests);
    let p = rate(tally);
    let z2 = Z_95 * Z_95;
    let spread = Z_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((p + z2 / (2.0 * n) + spread) / (1.0 + z2 / n)).min(1.0)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
