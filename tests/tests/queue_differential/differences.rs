//! Cases in which `LocalStack` 4.14 differs from AWS's documentation. The embedded queue follows the documentation.

/// One step whose observation differs.
pub(crate) struct Difference {
    pub(crate) scenario: &'static str,
    pub(crate) step: usize,
    /// The response of AWS, and so of the embedded queue.
    pub(crate) aws: &'static str,
    pub(crate) because: &'static str,
}

const fn known(scenario: &'static str, step: usize, aws: &'static str, because: &'static str) -> Difference {
    Difference { scenario, step, aws, because }
}

/// All known differences.
pub(crate) const DIFFERENCES: &[Difference] = &[
    known(
        "twelve hours",
        3,
        "error InvalidParameterValue",
        "visibility ends 12 hours after the receive; asking for more is refused",
    ),
    known(
        "visibility changes",
        5,
        "error InvalidParameterValue",
        "the visibility timeout is at most 43,200 seconds",
    ),
    known(
        "a range of visibility",
        2,
        "error InvalidParameterValue",
        "the visibility timeout is at most 43,200 seconds",
    ),
    known(
        "a stale handle deletes nothing",
        5,
        "ApproximateNumberOfMessagesNotVisible=1",
        "the message was received again, and its new holder keeps it",
    ),
    known(
        "a later message that comes back",
        6,
        "received ",
        "a message in flight holds up what is behind it in its group",
    ),
    known("too long a delay", 1, "error InvalidParameterValue", "a delay is at most 900 seconds"),
    known(
        "attribute ranges",
        1,
        "error InvalidAttributeValue",
        "the visibility timeout is at most 43,200 seconds",
    ),
    known("attribute ranges", 2, "error InvalidAttributeValue", "a delay is at most 900 seconds"),
    known("purging twice", 2, "error PurgeQueueInProgress", "one purge in 60 seconds"),
    known(
        "creating right after deleting",
        2,
        "error QueueDeletedRecently",
        "a deleted name is blocked for 60 seconds",
    ),
    known(
        "a closed dead-letter queue",
        1,
        "error InvalidParameterValue",
        "its redrive allow policy is denyAll",
    ),
    known(
        "no dead-letter queue",
        0,
        "error InvalidParameterValue",
        "a dead-letter queue must exist before it is named",
    ),
    known("too many attributes", 1, "error InvalidParameterValue", "a message has at most ten attributes"),
    known(
        "a number that is none",
        1,
        "error InvalidParameterValue",
        "an attribute of type Number holds a number",
    ),
    known(
        "whose fault",
        1,
        "0 failed ReceiptHandleIsInvalid sender fault true",
        "a wrong handle is the sender's fault",
    ),
    known(
        "whose fault",
        2,
        "0 failed ReceiptHandleIsInvalid sender fault true",
        "a wrong handle is the sender's fault",
    ),
    known(
        "send batches",
        1,
        "a sent #0 md5 c4ca4238a0b923820dcc509a6f75849b None b failed InvalidMessageContents sender fault true c sent #1 md5 eccbc87e4b5ce2fe28308fd9f2a7baf3 None",
        "a wrong body is the sender's fault",
    ),
    known(
        "deduplication per group",
        3,
        "sent #0 numbered true md5 c4ca4238a0b923820dcc509a6f75849b None None",
        "the id was used in this group, independent of other groups",
    ),
    known(
        "deduplication per group",
        4,
        "ApproximateNumberOfMessages=2",
        "the id was used in this group, independent of other groups",
    ),
    known(
        "move tasks",
        10,
        r#"received #1 "x" md5 9dd4e461268c8034f5c8564e155c67a6 None [ApproximateFirstReceiveTimestamp=a time ApproximateReceiveCount=1 SenderId=000000000000 SentTimestamp=a time] []"#,
        "a moved message is a new one: another id, no receives, no source",
    ),
    known(
        "a message of no source",
        4,
        "ApproximateNumberOfMessages=1",
        "a message that no redrive brought stays, and the task fails",
    ),
];
