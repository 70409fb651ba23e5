//! The fingerprint of a reason: eight hexadecimal digits for all reasons with the same masked text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::letter::Letter;
use crate::mask::{MASK_VERSION, mask};

/// The fingerprint of a reason. Displayed as eight hexadecimal digits.
///
/// ```
/// use drumline_dlq::fingerprint::Fingerprint;
///
/// assert_eq!(Fingerprint::of_reason("no user 17"), Fingerprint::of_reason("no user 4,017"));
/// assert_ne!(Fingerprint::of_reason("no user 17"), Fingerprint::of_reason("no order 17"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 4]);

/// Returns the fingerprint of a [masked](mask) reason. It is the same in every build and on every machine, because stores and
/// alerts keep it.
pub fn fingerprint(masked: &str) -> Fingerprint {
    let [a, b, c, d, ..] = xxh3_128_with_seed(masked.as_bytes(), MASK_VERSION).to_be_bytes();
    Fingerprint([a, b, c, d])
}

impl Fingerprint {
    /// Returns the fingerprint of an unmasked reason.
    pub fn of_reason(reason: &str) -> Self {
        fingerprint(&mask(reason))
    }
}

impl Letter {
    /// Returns the fingerprint of the reason of its [cause](Letter::why).
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_reason(&self.why().reason)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix: FingerprintPrefix = text.parse()?;
        if prefix.digits.len() < DIGITS {
            return Err(format!("{text:?} is no fingerprint: it has {DIGITS} hexadecimal digits"));
        }
        let number = u32::from_str_radix(&prefix.digits, 16).map_err(|error| error.to_string())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The digits of a fingerprint.
const DIGITS: usize = 8;

/// The minimum number of digits that choose letters: fewer are likely to match several reasons.
const MIN_DIGITS: usize = 4;

/// The first digits of a fingerprint, at least four.
///
/// ```
/// use drumline_dlq::fingerprint::{Fingerprint, FingerprintPrefix};
///
/// let fingerprint = Fingerprint::of_reason("no user 17");
/// let prefix: FingerprintPrefix = fingerprint.to_string()[..4].parse()?;
/// assert!(prefix.matches(fingerprint));
/// assert!("3f2".parse::<FingerprintPrefix>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FingerprintPrefix {
    /// The digits in lower case.
    digits: String,
}

impl FingerprintPrefix {
    /// Returns true if the fingerprint begins with these digits.
    pub fn matches(&self, fingerprint: Fingerprint) -> bool {
        fingerprint.to_string().starts_with(&self.digits)
    }
}

impl FromStr for FingerprintPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && (MIN_DIGITS..=DIGITS).contains(&text.len()) {
            return Ok(Self { digits: text.to_ascii_lowercase() });
        }
        Err(format!("{text:?} is no fingerprint: write {MIN_DIGITS} to {DIGITS} hexadecimal digits"))
    }
}

impl TryFrom<String> for FingerprintPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FingerprintPrefix> for String {
    fn from(prefix: FingerprintPrefix) -> Self {
        prefix.digits
    }
}

impl fmt::Display for FingerprintPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}
