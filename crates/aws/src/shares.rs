//! Percents as the whole-number weights of a service, and back.
//!
//! Services split by the share that a weight has of their sum. So percents need no rounding: any whole multiple of them is
//! exact, and what reads back as no whole percent was not written by the switch.

use cutover_domain::switch::{Environment, Weights};

/// The weights of blue and green, `scale` times their percents. They are never both 0: they add up to 100 times `scale`.
pub(crate) fn weights(percents: Weights, scale: u8) -> (i64, i64) {
    let scaled = |environment| i64::from(percents.of(environment)) * i64::from(scale.max(1));
    (scaled(Environment::Blue), scaled(Environment::Green))
}

/// The percents that weights of blue and green are.
///
/// # Errors
/// In words, if they are no split in whole percents.
pub(crate) fn percents(blue: i64, green: i64) -> Result<Weights, String> {
    let total = blue.checked_add(green).unwrap_or_default();
    if blue < 0 || green < 0 || (total == 0 && (blue, green) != (0, 0)) {
        return Err(format!("the weights {blue} and {green} are no weights"));
    }
    if total == 0 {
        return Err("both weights are 0".to_owned());
    }
    let hundredfold = green.checked_mul(100).unwrap_or(1);
    match u8::try_from(hundredfold / total) {
        Ok(percent) if hundredfold % total == 0 => Ok(Weights::share(Environment::Green, percent)),
        _ => Err(format!(
            "the weights {blue} and {green} are no whole percents"
        )),
    }
}

/// The environment that gets everything, if one does.
pub(crate) fn sole(weights: Weights) -> Option<Environment> {
    [Environment::Blue, Environment::Green]
        .into_iter()
        .find(|environment| weights.of(*environment) == 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_percent_survives_every_scale(percent in 0..=100_u8, scale in 0..=9_u8) {
            let wanted = Weights::share(Environment::Green, percent);
            let (blue, green) = weights(wanted, scale);
            prop_assert!(blue + green > 0, "never all zero");
            prop_assert!((0..=999).contains(&blue) && (0..=999).contains(&green));
            prop_assert_eq!(percents(blue, green), Ok(wanted));
        }

        #[test]
        fn whatever_is_read_is_a_split_of_the_same_ratio_or_none(blue in -2..=1000_i64, green in -2..=1000_i64) {
            match percents(blue, green) {
                Ok(read) => {
                    let of = |environment| i64::from(read.of(environment));
                    prop_assert_eq!(of(Environment::Blue) + of(Environment::Green), 100);
                    prop_assert_eq!(of(Environment::Blue) * green, of(Environment::Green) * blue);
                }
                Err(_) => prop_assert!(blue < 0 || green < 0 || blue + green == 0 || green * 100 % (blue + green) != 0),
            }
        }
    }

    #[test]
    fn no_size_of_a_weight_is_too_large() {
        for (blue, green) in [(i64::MAX, i64::MAX), (1, i64::MAX), (i64::MAX, 0)] {
            let read = percents(blue, green);
            assert!(read.is_err() || (blue, green) == (i64::MAX, 0), "{read:?}");
        }
    }
}
