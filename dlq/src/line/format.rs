//! The parts of an export's lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drumline::message::{Attribute, AttributeValue};
use serde::{Deserialize, Serialize};

/// The version of the format, in the field that identifies a header.
pub const FORMAT_VERSION: u32 = 1;

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of the format.
    pub drumline_dead_letters: u32,
    /// The name of the export.
    pub name: String,
    /// The name of the DLQ.
    pub dlq: String,
    /// The ARN of the DLQ, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlq_arn: Option<String>,
    /// The time at which the export began: RFC 3339.
    pub exported_at: String,
    /// The program that wrote it, with its version.
    pub program: String,
}

/// An attribute of a message: its data type with its label, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineAttribute {
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl From<&Attribute> for LineAttribute {
    fn from(attribute: &Attribute) -> Self {
        let (text, base64) = match attribute.value() {
            AttributeValue::Text(text) => (Some(text.clone()), None),
            AttributeValue::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        Self { data_type: attribute.data_type().to_owned(), text, base64 }
    }
}

impl TryFrom<LineAttribute> for Attribute {
    type Error = String;

    fn try_from(attribute: LineAttribute) -> Result<Self, Self::Error> {
        let value = match (attribute.text, attribute.base64) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(text)) => AttributeValue::Binary(
                STANDARD.decode(text).map_err(|error| format!("its base64 is damaged: {error}"))?,
            ),
            _ => return Err("it needs either text or base64".to_owned()),
        };
        Ok(Self::new(&attribute.data_type, value))
    }
}

/// SQS's names of the system attributes. See
/// [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
pub(super) mod system {
    pub(in crate::line) const RECEIVE_COUNT: &str = "ApproximateReceiveCount";
    pub(in crate::line) const FIRST_RECEIVED: &str = "ApproximateFirstReceiveTimestamp";
    pub(in crate::line) const SENT: &str = "SentTimestamp";
    pub(in crate::line) const GROUP: &str = "MessageGroupId";
    pub(in crate::line) const DEDUPLICATION_ID: &str = "MessageDeduplicationId";
    pub(in crate::line) const SEQUENCE_NUMBER: &str = "SequenceNumber";
    pub(in crate::line) const SENDER: &str = "SenderId";
    pub(in crate::line) const TRACE_HEADER: &str = "AWSTraceHeader";
    pub(in crate::line) const DEAD_LETTER_SOURCE: &str = "DeadLetterQueueSourceArn";
}
