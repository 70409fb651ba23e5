//! What SQS takes as a message.

/// A message's body and attributes together are at most 1 MiB, and so is a batch. See
/// [Message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// Whether a character may stand in a body or an attribute: those of XML 1.0. See
/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}
