//! The queue in which a letter died.

use crate::letter::{Letter, SOURCE_QUEUE_ATTRIBUTE};

/// The attribute of a letter that was put back into its DLQ: the ARN of the queue in which it died.
pub const ORIGIN_ATTRIBUTE: &str = "DrumlineOrigin";

/// Returns the queue in which the letter died by what the letter says: an ARN, or the name of a queue.
///
/// Only SQS's own word is certain; attributes are a producer's text.
pub fn claimed_origin(letter: &Letter) -> Option<&str> {
    let message = letter.message();
    let by_sqs = message.dead_letter_source.as_deref().filter(|arn| !arn.is_empty());
    by_sqs
        .or_else(|| message.attribute(ORIGIN_ATTRIBUTE))
        .or_else(|| message.attribute(SOURCE_QUEUE_ATTRIBUTE))
}
