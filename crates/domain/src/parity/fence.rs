//! Whether an order to the fence is applied, stands already, or is refused.
//!
//! The table `cutover_epoch` of a ledger has a row per color. Decisions on it are numbered (`epoch`), and arrive more than
//! once, late, or out of order: an older one never takes the place of a newer one.

use crate::payment::Color;

/// Which colors may write, by decision number `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceOrder {
    /// The number of the decision. Later decisions have greater ones. Not negative.
    pub epoch: i64,
    /// Whether blue may write.
    pub blue: bool,
    /// Whether green may write.
    pub green: bool,
}

impl FenceOrder {
    /// What it says of a color.
    #[must_use]
    pub fn may_write(&self, color: Color) -> bool {
        match color {
            Color::Blue => self.blue,
            Color::Green => self.green,
        }
    }
}

/// A row of the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceRow {
    /// Whose.
    pub color: Color,
    /// Whether it may write to this ledger.
    pub may_write: bool,
    /// The decision that says so.
    pub epoch: i64,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceOutcome {
    /// It was written now.
    Applied,
    /// It stood already.
    Stood,
    /// A newer decision stands: nothing was written.
    Older {
        /// The number of the newer one.
        stored: i64,
    },
    /// Another decision has the same number: nothing was written.
    Contradicts {
        /// The number of both.
        stored: i64,
    },
}

impl FenceOutcome {
    /// Whether the ledger stands as the order says.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, Self::Applied | Self::Stood)
    }
}

/// What to do with an order where `rows` stand. [`FenceOutcome::Applied`] means: write it.
///
/// A color whose row is missing may not write, which no order says: the order is then written, unless a newer one stands.
#[must_use]
pub fn decide(order: &FenceOrder, rows: &[FenceRow]) -> FenceOutcome {
    let Some(stored) = rows.iter().map(|row| row.epoch).max() else {
        return FenceOutcome::Applied;
    };
    if order.epoch < stored {
        return FenceOutcome::Older { stored };
    }
    let of = |color| rows.iter().find(|row| row.color == color);
    let both = [Color::Blue, Color::Green].map(|color| {
        of(color)
            .is_some_and(|row| row.epoch == order.epoch && row.may_write == order.may_write(color))
    });
    if both == [true, true] {
        return FenceOutcome::Stood;
    }
    let contradicts = rows
        .iter()
        .any(|row| row.epoch == order.epoch && row.may_write != order.may_write(row.color));
    if contradicts {
        return FenceOutcome::Contradicts { stored };
    }
    FenceOutcome::Applied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(color: Color, may_write: bool, epoch: i64) -> FenceRow {
        FenceRow {
            color,
            may_write,
            epoch,
        }
    }

    const ORDER: FenceOrder = FenceOrder {
        epoch: 5,
        blue: true,
        green: false,
    };

    #[test]
    fn newer_is_applied_same_stands_older_and_contradicting_are_refused() {
        let stands = |blue, green, epoch| {
            [
                row(Color::Blue, blue, epoch),
                row(Color::Green, green, epoch),
            ]
        };
        for (rows, outcome) in [
            (stands(true, true, 0), FenceOutcome::Applied),
            (stands(true, false, 4), FenceOutcome::Applied),
            (stands(true, false, 5), FenceOutcome::Stood),
            (
                stands(false, false, 5),
                FenceOutcome::Contradicts { stored: 5 },
            ),
            (stands(true, false, 6), FenceOutcome::Older { stored: 6 }),
        ] {
            assert_eq!(decide(&ORDER, &rows), outcome, "{rows:?}");
        }
    }

    #[test]
    fn missing_and_uneven_rows_are_made_good_but_never_over_a_newer_decision() {
        assert_eq!(decide(&ORDER, &[]), FenceOutcome::Applied);
        assert_eq!(
            decide(&ORDER, &[row(Color::Blue, true, 5)]),
            FenceOutcome::Applied
        );
        assert_eq!(
            decide(
                &ORDER,
                &[row(Color::Blue, true, 5), row(Color::Green, false, 3)]
            ),
            FenceOutcome::Applied
        );
        assert_eq!(
            decide(
                &ORDER,
                &[row(Color::Blue, true, 2), row(Color::Green, false, 9)]
            ),
            FenceOutcome::Older { stored: 9 }
        );
    }
}
