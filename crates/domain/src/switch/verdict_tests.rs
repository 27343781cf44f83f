//! The error rates of the test: exactly, by summing over all outcomes, and by seeded simulation where that is too much.

use proptest::prelude::*;

use super::*;

fn tally(requests: u64, failures: u64) -> Tally {
    Tally { requests, failures }
}

/// What becomes of a candidate with failure rate `p`, looked at every `look` requests until `n_max`: the probabilities
/// of pass and fail, summed over all sequences of outcomes.
fn exact(test: &Sprt, p: f64, look: usize, n_max: usize) -> (f64, f64) {
    // reached[f]: probability of f failures so far, undecided.
    let mut reached = vec![1.0_f64];
    let (mut pass, mut fail) = (0.0, 0.0);
    for n in 1..=n_max {
        let mut next = vec![0.0; reached.len() + 1];
        for (failures, probability) in reached.iter().enumerate() {
            next[failures] += probability * (1.0 - p);
            next[failures + 1] += probability * p;
        }
        if n % look == 0 {
            for (failures, probability) in next.iter_mut().enumerate() {
                let counts = tally(u64::try_from(n).unwrap(), u64::try_from(failures).unwrap());
                match Sprt::decide(test.log_ratio(&counts)) {
                    Verdict::Pass => pass += std::mem::take(probability),
                    Verdict::Fail => fail += std::mem::take(probability),
                    Verdict::Continue => {}
                }
            }
        }
        // What is too rare to matter is cut off; it counts as neither.
        while next.last().is_some_and(|p| *p < 1e-15) {
            next.pop();
        }
        reached = next;
        if reached.is_empty() {
            break;
        }
    }
    (pass, fail)
}

fn tests() -> Vec<Sprt> {
    [(6_000, 0), (6_000, 6), (20_000, 100), (50_000, 1_500)]
        .into_iter()
        .map(|(requests, failures)| Sprt::against(&tally(requests, failures)).unwrap())
        .collect()
}

#[test]
fn no_more_than_alpha_of_good_candidates_is_rolled_back() {
    for test in tests() {
        for (p, look) in [
            (test.good, 1),
            (test.good, 40),
            (test.good / 2.0, 1),
            (0.0, 7),
        ] {
            let (pass, fail) = exact(&test, p, look, 12_000);
            println!("{test:.4?}, rate {p:.4}, look every {look}: pass {pass:.5}, fail {fail:.5}");
            assert!(
                fail <= ALPHA,
                "{test:?}: {fail} of the good at {p} rolled back"
            );
            assert!(
                pass > 0.9,
                "{test:?}: only {pass} of the good at {p} passed"
            );
        }
    }
}

#[test]
fn no_more_than_beta_of_bad_candidates_passes() {
    for test in tests() {
        for (p, look) in [(test.bad, 1), (test.bad, 40), (test.bad * 2.0, 1), (1.0, 7)] {
            let (pass, fail) = exact(&test, p, look, 12_000);
            println!("{test:.4?}, rate {p:.4}, look every {look}: pass {pass:.5}, fail {fail:.5}");
            assert!(pass <= BETA, "{test:?}: {pass} of the bad at {p} passed");
            assert!(
                fail > 0.9,
                "{test:?}: only {fail} of the bad at {p} rolled back"
            );
        }
    }
}

/// As SplitMix64 (Steele, Lea, Flood 2014): enough for a simulation that must be the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Counts of `n` requests that each fail with `per_million` in a million.
    fn tally(&mut self, n: u64, per_million: u64) -> Tally {
        let failures = (0..n).filter(|_| self.next() % 1_000_000 < per_million);
        tally(n, u64::try_from(failures.count()).unwrap())
    }
}

/// The whole of it, the baseline being a sample too: a candidate that is exactly as good as the baseline.
#[test]
fn a_candidate_as_good_as_the_baseline_is_seldom_rolled_back_and_a_worse_one_seldom_passes() {
    let mut dice = Dice(1945);
    let runs = 1_000;
    for per_million in [500, 2_000, 10_000] {
        let (mut rolled_back, mut missed) = (0, 0);
        for _run in 0..runs {
            let baseline = dice.tally(10_000, per_million);
            for (worse_by, ends) in [(0, &mut rolled_back), (13_000, &mut missed)] {
                let mut candidate = Tally::default();
                for _minute in 0..100 {
                    let more = dice.tally(40, per_million + worse_by);
                    candidate.requests += more.requests;
                    candidate.failures += more.failures;
                    let judged = verdict(&baseline, &candidate, Some(0)).verdict;
                    let wrong = if worse_by == 0 {
                        Verdict::Fail
                    } else {
                        Verdict::Pass
                    };
                    if judged != Verdict::Continue {
                        *ends += i32::from(judged == wrong);
                        break;
                    }
                }
            }
        }
        println!(
            "{per_million} failures per million: of {runs} good candidates {rolled_back} rolled back, of {runs} bad ones \
             {missed} passed"
        );
        assert!(
            rolled_back <= runs / 100,
            "{rolled_back} good ones rolled back"
        );
        assert!(missed <= runs / 100, "{missed} bad ones passed");
    }
}

#[test]
fn few_samples_hold_and_never_pass() {
    let good = tally(20_000, 10);
    for n in 0..300 {
        assert_eq!(
            verdict(&good, &tally(n, 0), None).verdict,
            Verdict::Continue,
            "{n}"
        );
    }
    assert_eq!(
        verdict(&good, &tally(2_000, 1), None).verdict,
        Verdict::Pass
    );
    assert_eq!(verdict(&good, &tally(200, 20), None).verdict, Verdict::Fail);
}

#[test]
fn without_a_baseline_nothing_passes() {
    for baseline in [
        tally(0, 0),
        tally(400, 0),
        tally(900, 9),
        tally(5_000, 4_900),
    ] {
        let judged = verdict(&baseline, &tally(1_000_000, 0), None);
        assert_eq!(judged.verdict, Verdict::Continue, "{}", judged.why);
        assert!(judged.why.contains("to compare with"), "{}", judged.why);
    }
    let contradictory = verdict(&tally(20_000, 0), &tally(10, 11), None);
    assert_eq!(contradictory.verdict, Verdict::Continue);
}

#[test]
fn a_broken_money_invariant_is_one_too_many() {
    let (baseline, candidate) = (tally(20_000, 10), tally(20_000, 10));
    assert_eq!(
        verdict(&baseline, &candidate, Some(0)).verdict,
        Verdict::Pass
    );
    let judged = verdict(&baseline, &candidate, Some(1));
    assert_eq!(judged.verdict, Verdict::Fail);
    assert!(
        judged
            .evidence()
            .observed
            .starts_with("fail: 1 broken money")
    );
}

#[test]
fn the_journal_says_which_test_and_with_what() {
    let told = verdict(&tally(20_000, 10), &tally(700, 1), None).evidence();
    assert_eq!(told.name, "verdict by counts");
    for part in [
        "SPRT (Wald)",
        "alpha 0.01",
        "beta 0.01",
        "n = 700",
        "log likelihood ratio",
        "pass at -4.61",
        "fail at 4.61",
    ] {
        assert!(told.observed.contains(part), "{}", told.observed);
    }
}

fn order(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Continue => 1,
        Verdict::Fail => 2,
    }
}

proptest! {
    #[test]
    fn one_more_failure_never_looks_better(
        base in (1_000_u64..100_000, 0_u64..500), n in 1_u64..10_000, failures in 0_u64..200
    ) {
        let baseline = tally(base.0, base.1.min(base.0));
        let failures = failures.min(n - 1);
        let before = verdict(&baseline, &tally(n, failures), None).verdict;
        let after = verdict(&baseline, &tally(n, failures + 1), None).verdict;
        prop_assert!(order(after) >= order(before));
    }

    #[test]
    fn any_counts_get_a_verdict(counts in any::<[u64; 4]>(), money in any::<Option<u64>>()) {
        let [a, b, c, d] = counts;
        let judged = verdict(&tally(a, b), &tally(c, d), money);
        prop_assert!(judged.why.len() < 400);
        prop_assert!(!judged.why.contains("NaN"));
    }
}
