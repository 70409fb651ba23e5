//! Message ids as numbers, and the ids that are made of them.

use xxhash_rust::xxh3::xxh3_128;

/// The digits of a UUID.
const DIGITS: usize = 32;

/// Returns the number of a message id: of a UUID its own number, of any other text its XXH3-128.
///
/// A journal deletes a letter if its number is among those that were sent. So numbers of 64 bits would be too short.
pub fn number(id: &str) -> u128 {
    uuid(id).unwrap_or_else(|| xxh3_128(id.as_bytes()))
}

/// The number of a UUID as SQS writes it: in lower case, with hyphens.
fn uuid(id: &str) -> Option<u128> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let groups: Vec<&str> = id.split('-').collect();
    let is_uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.as_bytes().iter().all(is_digit));
    let digits = groups.concat();
    (is_uuid && digits.len() == DIGITS).then(|| u128::from_str_radix(&digits, 16).ok())?
}

/// Returns the id by which a FIFO queue recognises a letter that an action sends twice. A resumed action makes the same ids, and
/// the next action makes others.
pub fn deduplication_id(action: &str, letter: &str) -> String {
    let text = format!("{}:{action}{letter}", action.len());
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_own_number_and_any_other_id_its_hash() {
        assert_eq!(number("00000000-0000-0000-0000-0000000000ff"), 255);
        let others = [
            "00000000-0000-0000-0000-0000000000FF",
            "000000000000000000000000000000ff",
            "0000000-00000-0000-0000-0000000000ff",
            "m-1",
            "",
        ];
        for other in others {
            assert_eq!(number(other), xxh3_128(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn deduplication_ids_are_the_same_within_an_action_only() {
        assert_eq!(deduplication_id("a", "m-1"), deduplication_id("a", "m-1"));
        let all = [("a", "m-1"), ("a", "m-2"), ("b", "m-1"), ("am", "-1"), ("", "am-1")];
        let ids: std::collections::HashSet<_> = all.iter().map(|(a, l)| deduplication_id(a, l)).collect();
        assert_eq!(ids.len(), all.len());
        assert_eq!(deduplication_id("INC-42", "m-1").len(), 32);
    }
}
