//! Packs messages into batches: at most ten messages, and within SQS's size limit.

use std::fmt;
use std::sync::Arc;

use drumline_runtime::SendSpan;
use drumline_runtime::limits::MAX_MESSAGE_BYTES;

use crate::attributes::{Attributes, size};

/// The largest number of messages in a batch, which has at most 1 MiB in total. See
/// [SendMessageBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
pub const MAX_BATCH_ENTRIES: usize = 10;

/// The largest size of a batch in bytes, bodies and attributes together.
pub const MAX_BATCH_BYTES: usize = MAX_MESSAGE_BYTES;

/// A message to be sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// A number that identifies the message for the caller, such as its line in a file; it is not sent.
    pub line: usize,
    /// The message body.
    pub body: String,
    /// The attributes. Messages of one call often share them.
    pub attributes: Arc<Attributes>,
    /// The id by which a FIFO queue drops duplicates.
    pub deduplication_id: String,
    /// The message group: required on FIFO queues, a fair-queue tenant on others. Messages of one call often share it.
    pub group: Option<Arc<str>>,
    /// The delay before a worker can receive it, in seconds: at most 900, and not on FIFO queues.
    pub delay_secs: Option<u16>,
    /// The X-Ray header (`AWSTraceHeader`). It does not count towards SQS's limits.
    pub trace_header: Option<String>,
    /// The type of the job in it.
    pub job_type: String,
    /// The job's own id. Workers identify a job without one by its message's id.
    pub job_id: Option<Arc<str>>,
    /// The correlation id of the job in it, for the log.
    pub correlation_id: Option<Arc<str>>,
    /// The span of its sending, if one is recorded.
    pub span: Option<Box<SendSpan>>,
}

impl Outgoing {
    /// Returns the number of bytes that SQS counts.
    pub fn bytes(&self) -> usize {
        self.body.len() + size(&self.attributes)
    }
}

/// Omits the body and the values of attributes, which must not be logged.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("line", &self.line)
            .field("job_type", &self.job_type)
            .field("job_id", &self.job_id)
            .field("group", &self.group)
            .field("deduplication_id", &self.deduplication_id)
            .field("delay_secs", &self.delay_secs)
            .field("attributes", &self.attributes.keys().collect::<Vec<_>>())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Fills batches one after the other, in order.
#[derive(Debug, Default)]
pub struct Packer {
    batch: Vec<Outgoing>,
    bytes: usize,
}

impl Packer {
    /// Adds a message. Returns the previous batch if the message did not fit into it.
    pub fn push(&mut self, message: Outgoing) -> Option<Vec<Outgoing>> {
        let bytes = message.bytes();
        let full = self.batch.len() == MAX_BATCH_ENTRIES || self.bytes + bytes > MAX_BATCH_BYTES;
        let done = (full && !self.batch.is_empty()).then(|| self.take());
        self.bytes += bytes;
        self.batch.push(message);
        done
    }

    /// Returns the last batch, if it is not empty.
    pub fn finish(mut self) -> Option<Vec<Outgoing>> {
        (!self.batch.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Vec<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumline::message::Attribute;
    use proptest::prelude::*;

    #[test]
    fn no_content_is_in_the_debug_text() {
        let attributes = Attributes::from([("tenant".to_owned(), Attribute::text("hunter2"))]);
        let message = Outgoing {
            body: r#"{"password":"hunter2"}"#.to_owned(),
            attributes: Arc::new(attributes),
            job_type: "a.b".to_owned(),
            ..Outgoing::default()
        };
        let error = crate::SendError {
            error: drumline_runtime::SqsError::new(drumline_runtime::SqsErrorKind::Denied, "no permission"),
            done: vec![(message.clone(), Ok("id".to_owned()))],
            left: vec![message.clone()],
        };
        for text in [format!("{message:?}"), format!("{error:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("a.b") && text.contains("tenant"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_reordered_or_too_large(sizes in prop::collection::vec(1usize..400_000, 0..60)) {
            let mut packer = Packer::default();
            let mut batches = Vec::new();
            let attributes = Arc::new(Attributes::from([("a".to_owned(), Attribute::binary(vec![0; 70_000]))]));
            for (line, size) in sizes.iter().enumerate() {
                let message = Outgoing {
                    line,
                    body: "x".repeat(*size),
                    attributes: Arc::clone(&attributes),
                    deduplication_id: line.to_string(),
                    job_type: "a.b".to_owned(),
                    ..Outgoing::default()
                };
                batches.extend(packer.push(message));
            }
            batches.extend(packer.finish());
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= MAX_BATCH_ENTRIES);
                prop_assert!(batch.iter().map(Outgoing::bytes).sum::<usize>() <= MAX_BATCH_BYTES);
            }
            let lines: Vec<usize> = batches.iter().flatten().map(|message| message.line).collect();
            prop_assert_eq!(lines, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
