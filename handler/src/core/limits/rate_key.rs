//! The key by which the rate of a job is counted.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::rules::RateKey;
use crate::message::sqs_message::Message;

/// The longest key that is kept unchanged, in bytes. Longer ones count by their hash, because producers choose them.
const MAX_KEY_BYTES: usize = 128;

impl RateKey {
    /// Returns the key of a job: a JSON string without its quotes, another value as its JSON. A missing or null value is not a
    /// key.
    pub(super) fn of(&self, message: &Message, payload: &RawValue) -> Option<Arc<str>> {
        match self {
            Self::Group => message.group.as_deref().map(bounded),
            Self::Pointer(pointer) => {
                let payload: Value = serde_json::from_str(payload.get()).ok()?;
                match payload.pointer(pointer)? {
                    Value::Null => None,
                    Value::String(text) => Some(bounded(text)),
                    other => Some(bounded(&other.to_string())),
                }
            }
        }
    }
}

fn bounded(key: &str) -> Arc<str> {
    if key.len() <= MAX_KEY_BYTES { key.into() } else { format!("{:032x}", xxh3_128(key.as_bytes())).into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(key: &RateKey, group: Option<&str>, payload: &str) -> Option<String> {
        let message = Message { group: group.map(str::to_owned), ..Message::default() };
        let payload: &RawValue = serde_json::from_str(payload).unwrap();
        key.of(&message, payload).map(|key| key.to_string())
    }

    #[test]
    fn keys_are_values_of_the_payload_or_the_message_group() {
        let payload = r#"{"customer":{"id":"c-1"},"n":[7,{"a":true}],"nothing":null,"empty":""}"#;
        let table = [
            ("/customer/id", Some("c-1")),
            ("/n/0", Some("7")),
            ("/n/1", Some(r#"{"a":true}"#)),
            ("/empty", Some("")),
            ("/nothing", None),
            ("/missing", None),
            ("/n/9", None),
        ];
        for (pointer, expected) in table {
            let pointer = RateKey::Pointer(pointer.to_owned());
            assert_eq!(key(&pointer, Some("g"), payload).as_deref(), expected, "{pointer:?}");
        }
        assert_eq!(key(&RateKey::Group, Some("g"), payload).as_deref(), Some("g"));
        assert_eq!(key(&RateKey::Group, None, payload), None);
        assert_eq!(key(&RateKey::Pointer("/a".to_owned()), None, "\"a text, of a raw body\""), None);
    }

    #[test]
    fn long_keys_count_by_their_hash() {
        let (one, other) = ("x".repeat(100_000), "y".repeat(100_000));
        let [one, same, other] = [&one, &one, &other].map(|group| key(&RateKey::Group, Some(group), "1"));
        assert_eq!(one.as_ref().unwrap().len(), 32);
        assert!(one == same && one != other);
    }
}
