//! Checks of texts: names, ids, bodies and message attributes.

use crate::api::{MessageAttributeValue, MessageAttributes};
use crate::error::{ErrorCode, SqsError};
use crate::limits::{
    MAX_ATTRIBUTE_NAME_LENGTH, MAX_BATCH_ENTRIES, MAX_BATCH_ENTRY_ID_LENGTH, MAX_FIFO_ID_LENGTH,
    MAX_MESSAGE_ATTRIBUTES, MAX_QUEUE_NAME_LENGTH,
};

/// The suffix of FIFO queues' names.
pub(crate) const FIFO_SUFFIX: &str = ".fifo";

/// The only system attribute a sender may set.
pub(crate) const TRACE_HEADER: &str = "AWSTraceHeader";

/// Checks a queue's name.
pub(crate) fn queue_name(name: &str) -> Result<(), SqsError> {
    let stem = name.strip_suffix(FIFO_SUFFIX).unwrap_or(name);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if stem.is_empty() || name.len() > MAX_QUEUE_NAME_LENGTH || !stem.bytes().all(allowed) {
        return Err(SqsError::new(
            ErrorCode::InvalidParameterValue,
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

/// Checks the ids of a batch: one to ten of them, well formed and distinct.
pub(crate) fn batch_ids<'a>(
    entry: &str,
    ids: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), SqsError> {
    let count = ids.len();
    if count == 0 {
        let message = format!("There should be at least one {entry} in the request.");
        return Err(SqsError::new(ErrorCode::EmptyBatchRequest, message));
    }
    if count > MAX_BATCH_ENTRIES {
        return Err(SqsError::new(
            ErrorCode::TooManyEntriesInBatchRequest,
            format!("Maximum number of entries per request are {MAX_BATCH_ENTRIES}. You have sent {count}."),
        ));
    }
    let mut seen: Vec<&str> = Vec::with_capacity(count);
    for id in ids {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || id.len() > MAX_BATCH_ENTRY_ID_LENGTH || !id.bytes().all(allowed) {
            return Err(SqsError::new(
                ErrorCode::InvalidBatchEntryId,
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at \
                 most 80 letters long.",
            ));
        }
        if seen.contains(&id) {
            return Err(SqsError::new(ErrorCode::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
        seen.push(id);
    }
    Ok(())
}

/// Checks a message group id or a deduplication id.
pub(crate) fn fifo_id(parameter: &str, id: &str) -> Result<(), SqsError> {
    if id.is_empty() || id.len() > MAX_FIFO_ID_LENGTH || !id.bytes().all(|b| b.is_ascii_graphic()) {
        let reason = format!(
            "{parameter} can only include alphanumeric and punctuation characters. 1 to {MAX_FIFO_ID_LENGTH} in length"
        );
        return Err(SqsError::invalid_value(parameter, id, &reason));
    }
    Ok(())
}

/// Returns true if SQS accepts `text`: only the characters that XML 1.0 allows.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub(crate) fn has_only_allowed_characters(text: &str) -> bool {
    // Bytes are checked first: nearly every body is plain text without control characters, and this check runs at memory speed.
    let plain = |b: u8| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7E);
    text.bytes().all(plain)
        || text.chars().all(
            |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..),
        )
}

/// Checks a body: not empty, and only characters that SQS accepts.
pub(crate) fn body(text: &str) -> Result<(), SqsError> {
    if text.is_empty() {
        return Err(SqsError::missing("MessageBody"));
    }
    if !has_only_allowed_characters(text) {
        return Err(SqsError::new(
            ErrorCode::InvalidMessageContents,
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to \
             #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    Ok(())
}

/// Checks the user attributes of one message.
pub(crate) fn message_attributes(attributes: &MessageAttributes) -> Result<(), SqsError> {
    if attributes.len() > MAX_MESSAGE_ATTRIBUTES {
        return Err(invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_MESSAGE_ATTRIBUTES}].",
            attributes.len()
        )));
    }
    attributes.iter().try_for_each(|(name, value)| {
        attribute_name(name)?;
        attribute_value(name, value)
    })
}

/// Checks the system attributes of one message: only the trace header is allowed.
pub(crate) fn system_attributes(attributes: &MessageAttributes) -> Result<(), SqsError> {
    attributes.iter().try_for_each(|(name, value)| {
        if name != TRACE_HEADER {
            return Err(invalid(format!("Message system attribute name '{name}' is invalid.")));
        }
        if value.data_type != "String" {
            return Err(invalid(format!("The message system attribute '{name}' must be of type 'String'.")));
        }
        attribute_value(name, value)
    })
}

fn attribute_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() || name.chars().count() > MAX_ATTRIBUTE_NAME_LENGTH {
        return Err(invalid(format!(
            "Message (user) attribute name must be between 1 and {MAX_ATTRIBUTE_NAME_LENGTH} characters long."
        )));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Err(invalid(
            "Message (user) attribute name can only contain alphanumeric characters, underscores, hyphens and periods."
                .into(),
        ));
    }
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if reserved || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use. Additionally, they cannot start or end with '.', nor contain '..'."
                .into(),
        ));
    }
    Ok(())
}

fn attribute_value(name: &str, value: &MessageAttributeValue) -> Result<(), SqsError> {
    let kind = value.data_type.split_once('.').map_or(value.data_type.as_str(), |(kind, _)| kind);
    if value.data_type.len() > MAX_ATTRIBUTE_NAME_LENGTH {
        return Err(invalid(format!("The type of message (user) attribute '{name}' is too long.")));
    }
    match (kind, value.string_value.as_deref(), value.binary_value.as_deref()) {
        ("", ..) => {
            Err(invalid(format!("The message attribute '{name}' must contain a non-empty data type.")))
        }
        ("String" | "Number", Some(text), None) if !text.is_empty() => {
            if kind == "Number" && !is_number(text) {
                return Err(invalid(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            if !has_only_allowed_characters(text) {
                return Err(invalid(format!(
                    "Message (user) attribute '{name}' holds characters that are not allowed."
                )));
            }
            Ok(())
        }
        ("Binary", None, Some(bytes)) if !bytes.is_empty() => Ok(()),
        ("String" | "Number" | "Binary", ..) => Err(invalid(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
        ))),
        _ => Err(invalid(format!(
            "The message attribute '{name}' has an invalid type. Use one of: String, Number, Binary."
        ))),
    }
}

/// Returns true for a decimal number in SQS's sense. Rust also parses `inf` and `NaN`, which SQS refuses.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        && text.parse::<f64>().is_ok()
}

fn invalid(message: String) -> SqsError {
    SqsError::new(ErrorCode::InvalidParameterValue, message)
}
