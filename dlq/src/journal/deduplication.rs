//! The ids with which a FIFO queue recognises a letter that is sent twice.

use xxhash_rust::xxh3::xxh3_128;

/// Returns the deduplication id of a letter that an action sends. A resumed action makes the same ids, and the next action
/// makes others, because SQS would drop its messages within five minutes of the first.
pub fn deduplication_id(action: &str, letter: &str) -> String {
    let text = format!("{}:{action}{letter}", action.len());
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deduplication_ids_are_the_same_within_an_action_only() {
        assert_eq!(deduplication_id("a", "m-1"), deduplication_id("a", "m-1"));
        let all = [("a", "m-1"), ("a", "m-2"), ("b", "m-1"), ("am", "-1"), ("", "am-1")];
        let ids: std::collections::HashSet<_> = all.iter().map(|(a, l)| deduplication_id(a, l)).collect();
        assert_eq!(ids.len(), all.len());
        assert_eq!(deduplication_id("INC-42", "m-1").len(), 32);
    }
}
