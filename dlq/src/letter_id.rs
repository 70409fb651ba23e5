//! Message ids in 16 bytes each, so that hundreds of thousands of them fit into memory.

use xxhash_rust::xxh3::xxh3_128;

/// A message id: the number of a UUID, else the XXH3-128 hash of the text.
///
/// SQS's ids are UUIDs, of which no two share a number. With shorter hashes two letters could share an id.
///
/// ```
/// use drumline_dlq::letter_id::LetterId;
/// let id = LetterId::of("7ae2c3f4-0f6c-4a3e-9d0f-5a7f0f8f2b11");
/// assert_eq!(id.to_u128(), 0x7ae2c3f4_0f6c_4a3e_9d0f_5a7f0f8f2b11);
/// assert_ne!(LetterId::of("m-1"), LetterId::of("m-2"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(u128);

impl LetterId {
    /// Returns the id of a message.
    pub fn of(id: &str) -> Self {
        Self(uuid(id).unwrap_or_else(|| xxh3_128(id.as_bytes())))
    }

    /// Returns the id as a number.
    pub fn to_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for LetterId {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

/// Reads a UUID in SQS's form: in lower case, with its four hyphens.
fn uuid(text: &str) -> Option<u128> {
    const LENGTH: usize = 36;
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    if text.len() != LENGTH {
        return None;
    }
    let mut number = 0;
    for (index, byte) in text.bytes().enumerate() {
        let digit = match byte {
            b'-' if HYPHENS.contains(&index) => continue,
            b'0'..=b'9' if !HYPHENS.contains(&index) => byte - b'0',
            b'a'..=b'f' if !HYPHENS.contains(&index) => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_number_and_any_other_text_its_hash() {
        let table = [
            ("00000000-0000-0000-0000-00000000000a", Some(10)),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", Some(u128::MAX)),
            ("FFFFFFFF-ffff-ffff-ffff-ffffffffffff", None),
            ("ffffffff-ffff-ffff-ffff-fffffffffff-", None),
            ("fffffffffffff-ffff-ffff-ffffffffffff", None),
            ("ffffffff-ffff-ffff-ffff-ffffffffffé", None),
            ("", None),
        ];
        for (text, number) in table {
            assert_eq!(uuid(text), number, "{text}");
            assert_eq!(LetterId::of(text).to_u128(), number.unwrap_or_else(|| xxh3_128(text.as_bytes())));
        }
    }
}
