//! Keyed hashes: HMAC-SHA-256 under a key that the stack's own secret holds.
//!
//! A plain hash of a card number is no protection: there are few enough numbers to try them all (PCI DSS 3.5.1.1).

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The key of all keyed hashes: 32 bytes, wiped when dropped, never shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HashKey([u8; 32]);

/// A secret that is no hash key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hash key must be 64 hex digits")]
pub struct NoHashKey;

impl FromStr for HashKey {
    type Err = NoHashKey;

    fn from_str(text: &str) -> Result<Self, NoHashKey> {
        let mut key = Self([0; 32]);
        hex::decode_to_slice(text.trim(), &mut key.0).map_err(|_| NoHashKey)?;
        Ok(key)
    }
}

impl HashKey {
    /// A hash of `parts` for one purpose. Each part is preceded by its length, so that no two lists of parts have the
    /// same hash; `purpose` keeps hashes of different things apart.
    pub fn hash<'a>(
        &self,
        purpose: &'a str,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> KeyedHash {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of every length: this cannot be reached.
            return KeyedHash([0; 32]);
        };
        for part in std::iter::once(purpose.as_bytes()).chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        KeyedHash(mac.finalize().into_bytes().into())
    }
}

/// A keyed hash: 32 bytes, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedHash([u8; 32]);

/// The keyed hash of a canonical request: equal for equal payments, and only for those.
pub type Fingerprint = KeyedHash;

/// Text that is no keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no hash of 64 hex digits")]
pub struct NoKeyedHash;

impl KeyedHash {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash as it was stored.
    ///
    /// # Errors
    /// If it has not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoKeyedHash> {
        bytes.try_into().map(Self).map_err(|_| NoKeyedHash)
    }
}

impl FromStr for KeyedHash {
    type Err = NoKeyedHash;

    fn from_str(text: &str) -> Result<Self, NoKeyedHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| NoKeyedHash)?;
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> HashKey {
        "00".repeat(32).parse().unwrap_or_else(|_| panic!("a key"))
    }

    #[test]
    fn keys_are_64_hex_digits() {
        assert!("ab".repeat(32).parse::<HashKey>().is_ok());
        assert!("ab".repeat(31).parse::<HashKey>().is_err());
        assert!("zz".repeat(32).parse::<HashKey>().is_err());
    }

    #[test]
    fn the_hash_is_hmac_sha_256_of_length_prefixed_parts() {
        // python3 -c "import hmac; p=lambda b: len(b).to_bytes(8,'big')+b; print(hmac.new(bytes(32), p(b'p')+p(b'ab'), 'sha256').hexdigest())"
        assert_eq!(
            key().hash("p", [&b"ab"[..]]).to_string(),
            "b160a620b99d4a2ec5aed59d09c29643fc732ab1a600a0db6e71b69448cf8890"
        );
    }

    proptest! {
        #[test]
        fn lists_of_parts_are_told_apart(
            a in proptest::collection::vec("[ab]{0,3}", 0..4),
            b in proptest::collection::vec("[ab]{0,3}", 0..4),
        ) {
            let hash = |parts: &[String]| key().hash("p", parts.iter().map(String::as_bytes));
            prop_assert_eq!(hash(&a) == hash(&b), a == b);
        }

        #[test]
        fn text_and_back(bytes in any::<[u8; 32]>()) {
            let hash = KeyedHash(bytes);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        }
    }
}
