//! A message's user attributes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// User attributes by name.
pub type MessageAttributes = BTreeMap<String, MessageAttributeValue>;

/// The value of one message attribute: a data type and either text or bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttributeValue {
    /// `String`, `Number` or `Binary`, optionally with a custom label after a dot (`Number.int`).
    #[serde(default)]
    pub data_type: String,
    /// The value of a String or Number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a Binary.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub binary_value: Option<Vec<u8>>,
}

impl MessageAttributeValue {
    /// Creates a value of data type String.
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".into(), string_value: Some(value.into()), binary_value: None }
    }

    /// Creates a value of data type Number; SQS stores numbers as text.
    pub fn number(value: impl Into<String>) -> Self {
        Self { data_type: "Number".into(), string_value: Some(value.into()), binary_value: None }
    }

    /// Creates a value of data type Binary.
    pub fn binary(value: impl Into<Vec<u8>>) -> Self {
        Self { data_type: "Binary".into(), string_value: None, binary_value: Some(value.into()) }
    }

    /// Returns the number of bytes that this value adds to a message's size: those of the data type and the value.
    pub(crate) fn size(&self) -> usize {
        self.data_type.len()
            + self.string_value.as_ref().map_or(0, String::len)
            + self.binary_value.as_ref().map_or(0, Vec::len)
    }
}

// Serde passes a reference to the field.
#[allow(clippy::ref_option)]
fn to_base64<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
        None => serializer.serialize_none(),
    }
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    STANDARD.decode(text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_travels_as_base64() {
        let value = MessageAttributeValue::binary([0, 255]);
        let json = serde_json::to_string(&value).expect("serialises");
        assert_eq!(json, r#"{"DataType":"Binary","BinaryValue":"AP8="}"#);
        assert_eq!(serde_json::from_str::<MessageAttributeValue>(&json).expect("parses"), value);
    }

    #[test]
    fn broken_base64_is_an_error() {
        let json = r#"{"DataType":"Binary","BinaryValue":"%"}"#;
        assert!(serde_json::from_str::<MessageAttributeValue>(json).is_err());
    }
}
