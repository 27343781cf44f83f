//! A row of the ledger, as both engines read it.

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Fingerprint, Receipt};
use cutover_ports::payment::Found;

/// A row that cannot be read as a payment. The number is the column's place, from 0.
#[derive(Debug, thiserror::Error)]
#[error("column {0} of the ledger's row is not valid")]
pub(crate) struct BadColumn(pub(crate) usize);

/// The row that stands under a key.
pub(crate) struct Standing {
    pub(crate) receipt: Receipt,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) voided: bool,
}

impl Standing {
    /// What it says to a claim under its key.
    pub(crate) fn posting(self, claim: &Claim) -> Posting {
        if self.voided {
            Posting::Voided
        } else if self.fingerprint == claim.fingerprint {
            Posting::Recorded(self.receipt)
        } else {
            Posting::KeyReused {
                receipt: self.receipt,
                fingerprint: self.fingerprint,
            }
        }
    }

    /// What it says to someone who looks it up.
    pub(crate) fn found(self) -> Found {
        if self.voided {
            Found::Voided
        } else {
            Found::Completed(self.receipt)
        }
    }
}
