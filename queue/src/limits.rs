//! All limits of the queue, with their sources.
//!
//! The first part contains SQS's limits: the [message quotas], the [queue quotas] and the API reference. The second part bounds
//! the memory of this process; SQS has no such limits because it is not one process.
//!
//! [message quotas]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
//! [queue quotas]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html

use std::ops::RangeInclusive;
use std::time::Duration;

/// Entries in one batch request.
pub const MAX_BATCH_ENTRIES: usize = 10;
/// Length of a batch entry's id, in characters.
pub const MAX_BATCH_ENTRY_ID_LENGTH: usize = 80;
/// Bytes of all bodies and attributes in one batch.
pub const MAX_BATCH_BYTES: usize = 1_048_576;
/// Messages one receive may ask for.
pub const RECEIVE_MAX_MESSAGES: RangeInclusive<i64> = 1..=10;
/// Seconds a receive may wait for a message.
pub const WAIT_SECS: RangeInclusive<i64> = 0..=20;
/// Seconds of visibility timeout (12 hours at most).
pub const VISIBILITY_SECS: RangeInclusive<i64> = 0..=43_200;
/// The longest time that a message may stay invisible, counted from the receive.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
pub const MAX_TOTAL_VISIBILITY: Duration = Duration::from_hours(12);
/// Seconds of delay, of a queue or of one message.
pub const DELAY_SECS: RangeInclusive<i64> = 0..=900;
/// Seconds a message is kept (one minute to 14 days).
pub const RETENTION_SECS: RangeInclusive<i64> = 60..=1_209_600;
/// The allowed values of a queue's maximum message size, in bytes.
pub const MESSAGE_BYTES: RangeInclusive<i64> = 1_024..=1_048_576;
/// Seconds a KMS data key may be reused.
pub const KMS_REUSE_SECS: RangeInclusive<i64> = 60..=86_400;
/// Receives before a message goes to the dead-letter queue.
pub const MAX_RECEIVE_COUNT: RangeInclusive<i64> = 1..=1_000;
/// Source queues a `byQueue` redrive allow policy may name.
pub const MAX_ALLOWED_SOURCES: usize = 10;
/// User attributes on one message.
pub const MAX_MESSAGE_ATTRIBUTES: usize = 10;
/// Length of an attribute's name or data type, in characters.
pub const MAX_ATTRIBUTE_NAME_LENGTH: usize = 256;
/// Length of a message group id or deduplication id, in characters.
pub const MAX_FIFO_ID_LENGTH: usize = 128;
/// Length of a queue's name, in characters, the `.fifo` suffix included.
pub const MAX_QUEUE_NAME_LENGTH: usize = 80;
/// The time for which a FIFO queue remembers a deduplication id.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html>
pub const DEDUPLICATION_INTERVAL: Duration = Duration::from_mins(5);
/// Messages that may be in flight in one queue.
pub const MAX_IN_FLIGHT: usize = 120_000;
/// The time after a purge in which the next one is refused.
pub const PURGE_INTERVAL: Duration = Duration::from_mins(1);
/// The time for which a deleted queue's name cannot be used again.
pub const DELETED_NAME_INTERVAL: Duration = Duration::from_mins(1);
/// Tags on one queue.
pub const MAX_TAGS: usize = 50;
/// Length of a tag's key, in characters.
pub const MAX_TAG_KEY_LENGTH: usize = 128;
/// Length of a tag's value, in characters.
pub const MAX_TAG_VALUE_LENGTH: usize = 256;
/// Queues in one page of a listing.
pub const LIST_PAGE: RangeInclusive<i64> = 1..=1_000;
/// The allowed rates of a move task, in messages per second.
pub const MOVE_RATE: RangeInclusive<i64> = 1..=500;
/// Move tasks shown in one listing; older finished ones are forgotten.
pub const MAX_LISTED_MOVE_TASKS: usize = 10;

/// The largest number of bytes of messages in one endpoint, including bookkeeping; a send beyond it is refused with
/// `OverLimit`.
///
/// One GiB is far more than a test or a benchmark needs, and less than a laptop has.
pub const MAX_STORED_BYTES: usize = 1 << 30;
/// The bytes charged for a message in addition to its body and attributes: its record, index entries and identifiers.
pub const MESSAGE_OVERHEAD_BYTES: usize = 640;
/// The bytes charged for one remembered deduplication id, including its text.
pub const DEDUPLICATION_ENTRY_BYTES: usize = 512;
/// The largest number of queues in one endpoint. AWS has no limit; a loop that creates queues without end should get an error.
pub const MAX_QUEUES: usize = 1_000;
