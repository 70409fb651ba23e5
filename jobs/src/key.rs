//! Idempotency keys for payloads that are too long to be keys themselves.
//!
//! One identity must always have one payload: a second payload under the same identity fails permanently. Therefore, the key of
//! a whole payload differs for any two payloads that differ as JSON values, even if they describe the same work, for example
//! because only one of them names a default. Such work is done twice and writes the same bytes twice, which is better than a
//! failure.

use std::fmt::Write;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

/// Returns `KIND:` and the SHA-256 of the payload's JSON, in which no text can end one field and begin the next.
///
/// `payload` must serialize as it was written, except for the order of its fields. Stores keep the key, so its derivation must
/// never change: a new field must be left out of the JSON of payloads that do not have it.
pub(crate) fn of_payload(kind: &str, payload: &impl Serialize) -> String {
    let json = serde_json::to_vec(payload).expect("a payload was JSON, and is JSON again");
    let mut key = format!("{kind}:");
    for byte in Sha256::digest(json) {
        write!(key, "{byte:02x}").expect("a string takes all");
    }
    key
}

/// An optional field as it was written. `null` has the same meaning as a missing field, but makes another payload.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(untagged)]
pub(crate) enum Optional<T> {
    /// The field is missing. It must be skipped when the payload is serialized.
    #[default]
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Optional<T> {
    /// Returns the value, if there is one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Absent | Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// Returns true if the field is missing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::core::MAX_KEY_BYTES;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Payload {
        #[serde(default, skip_serializing_if = "Optional::is_absent")]
        title: Optional<String>,
    }

    #[test]
    fn keys_are_short_however_long_the_payload_is() {
        let key = of_payload("report", &"x".repeat(100_000));
        assert_eq!(key.len(), "report:".len() + 64);
        assert!(key.len() < MAX_KEY_BYTES);
    }

    #[test]
    fn an_optional_field_is_written_as_it_came() {
        for (payload, value) in
            [(json!({}), None), (json!({ "title": null }), None), (json!({ "title": "" }), Some(""))]
        {
            let read: Payload = serde_json::from_value(payload.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), payload);
            assert_eq!(read.title.value().as_deref(), value);
        }
    }
}
