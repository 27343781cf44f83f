//! Passwords in the form that each engine keeps. A hash is sent in the password's place, so that the password is in no
//! statement, and so in no log of statements and no binary log.
//!
//! Salts are arguments: the domain has no randomness.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::secret::Password;

/// Iterations of SCRAM-SHA-256: what PostgreSQL itself uses, and RFC 7677 asks for at least.
const SCRAM_ITERATIONS: u32 = 4096;
/// Rounds of SHA-256 crypt that `caching_sha2_password` uses unless told otherwise: `$A$005$`, in thousands.
const CRYPT_ROUNDS: u32 = 5000;
/// The alphabet of crypt(3).
const CRYPT_ALPHABET: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The order in which crypt(3) takes the bytes of a SHA-256 digest, three at a time.
const CRYPT_ORDER: [[usize; 3]; 10] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
];

/// Random bytes for one hash.
pub type Salt = [u8; 20];

/// `mysql_native_password`: a star and SHA-1 of SHA-1, in hex. It has no salt.
#[must_use]
pub fn mysql_native(password: &Password) -> String {
    let once = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(password.expose())));
    format!("*{}", hex::encode_upper(Sha1::digest(once.as_slice())))
}

/// `caching_sha2_password`: `$A$005$`, 20 characters of salt, and SHA-256 crypt.
#[must_use]
pub fn mysql_caching_sha2(password: &Password, salt: &Salt) -> String {
    let salt: String = salt
        .iter()
        .filter_map(|byte| CRYPT_ALPHABET.get(usize::from(byte & 63)))
        .map(|&letter| char::from(letter))
        .collect();
    let digest = sha256_crypt(password.expose().as_bytes(), salt.as_bytes());
    format!("$A$005${salt}{digest}")
}

/// SHA-256 crypt (<https://www.akkadia.org/drepper/SHA-crypt.txt>), with a salt of any length, as MySQL has it.
fn sha256_crypt(key: &[u8], salt: &[u8]) -> String {
    let mut alternate = Sha256::new();
    for part in [key, salt, key] {
        alternate.update(part);
    }
    let alternate: [u8; 32] = alternate.finalize().into();

    let mut initial = Sha256::new();
    initial.update(key);
    initial.update(salt);
    initial.update(repeated(&alternate, key.len()).as_slice());
    let mut length = key.len();
    while length > 0 {
        if length & 1 == 1 {
            initial.update(alternate);
        } else {
            initial.update(key);
        }
        length >>= 1;
    }
    let mut digest: [u8; 32] = initial.finalize().into();

    let mut of_key = Sha256::new();
    for _each in 0..key.len() {
        of_key.update(key);
    }
    let of_key = repeated(&<[u8; 32]>::from(of_key.finalize()), key.len());
    let mut of_salt = Sha256::new();
    let [first, ..] = digest;
    for _each in 0..16 + usize::from(first) {
        of_salt.update(salt);
    }
    let of_salt = repeated(&<[u8; 32]>::from(of_salt.finalize()), salt.len());

    for round in 0..CRYPT_ROUNDS {
        let odd = round % 2 == 1;
        let mut next = Sha256::new();
        next.update(if odd { of_key.as_slice() } else { &digest });
        if round % 3 != 0 {
            next.update(of_salt.as_slice());
        }
        if round % 7 != 0 {
            next.update(of_key.as_slice());
        }
        next.update(if odd { &digest } else { of_key.as_slice() });
        digest = next.finalize().into();
    }
    crypt_text(&digest)
}

/// `length` bytes of `digest`, over and over.
fn repeated(digest: &[u8; 32], length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digest.iter().copied().cycle().take(length).collect())
}

fn crypt_text(digest: &[u8; 32]) -> String {
    let byte = |at: usize| u32::from(digest.get(at).copied().unwrap_or_default());
    let mut text = String::with_capacity(43);
    let mut push = |mut bits: u32, letters: u32| {
        for _each in 0..letters {
            let at = usize::try_from(bits & 63).unwrap_or_default();
            text.extend(CRYPT_ALPHABET.get(at).map(|&letter| char::from(letter)));
            bits >>= 6;
        }
    };
    for [high, middle, low] in CRYPT_ORDER {
        push(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    push(byte(31) << 8 | byte(30), 3);
    text
}

/// PostgreSQL's SCRAM-SHA-256 verifier (RFC 5803), as `pg_authid` keeps it.
#[must_use]
pub fn postgres_scram(password: &Password, salt: &Salt) -> String {
    // PostgreSQL and its clients prepare passwords by RFC 4013, and leave alone what that refuses.
    let prepared = stringprep::saslprep(password.expose());
    let prepared = Zeroizing::new(match prepared {
        Ok(prepared) => prepared.into_owned(),
        Err(_) => password.expose().to_owned(),
    });
    let salted = pbkdf2(prepared.as_bytes(), salt);
    let client_key = hmac(salted.as_slice(), &[b"Client Key"]);
    let server_key = hmac(salted.as_slice(), &[b"Server Key"]);
    format!(
        "SCRAM-SHA-256${SCRAM_ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(Sha256::digest(client_key)),
        STANDARD.encode(server_key),
    )
}

/// PBKDF2 with HMAC-SHA-256, one block (RFC 5802, `Hi`).
fn pbkdf2(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut all = Zeroizing::new(last);
    for _each in 1..SCRAM_ITERATIONS {
        last = hmac(password, &[&last]);
        for (sum, byte) in all.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    all
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn native_passwords_are_as_mysql_makes_them() {
        // MySQL 5.7 manual, PASSWORD(): the hash of 'mypass'.
        assert_eq!(
            mysql_native(&password("mypass")),
            "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"
        );
    }

    #[test]
    fn sha256_crypt_is_as_published() {
        // The first test of the specification, and what `openssl passwd -5` says.
        let digest = sha256_crypt(b"Hello world!", b"saltstring");
        assert_eq!(digest, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
    }

    #[test]
    fn caching_sha2_has_the_shape_that_mysql_validates() {
        let hash = mysql_caching_sha2(&password("it's \\ \u{1f642}"), &[255; 20]);
        assert_eq!(hash.len(), 70);
        assert!(hash.starts_with("$A$005$zzzzzzzzzzzzzzzzzzzz"), "{hash}");
        assert!(hash.bytes().all(|b| b.is_ascii_graphic() && b != b'\''));
    }

    #[test]
    fn a_scram_verifier_is_that_of_rfc_7677() {
        // The exchange of RFC 7677 (user `user`, password `pencil`) with its 16 bytes of salt.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = pbkdf2(b"pencil", &salt);
        let stored = Sha256::digest(hmac(salted.as_slice(), &[b"Client Key"]));
        let server = hmac(salted.as_slice(), &[b"Server Key"]);
        assert_eq!(
            STANDARD.encode(stored),
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        );
        assert_eq!(
            STANDARD.encode(server),
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn passwords_that_are_written_differently_and_mean_the_same_have_one_verifier() {
        // RFC 4013: the Roman numeral nine is normalised to two letters.
        let salt = [7; 20];
        assert_eq!(
            postgres_scram(&password("\u{2168}"), &salt),
            postgres_scram(&password("IX"), &salt)
        );
    }
}
