//! The requests and replies of the SQS API, as Rust types that read and write the JSON protocol's form.
//!
//! Field names, units and meanings are SQS's: see the [API reference]. A field that the JSON omits is `None` or empty.
//! [`Sqs`](crate::Sqs) checks ranges, not these types, so that errors have the same text for all callers.
//!
//! [API reference]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html

mod attribute;
mod messages;
mod moves;
mod queues;
mod received;
mod settling;

pub use attribute::{MessageAttributeValue, MessageAttributes};
pub use messages::{
    BatchErrorEntry, SendMessage, SendMessageBatch, SendMessageBatchEntry, SendMessageBatchReply,
    SendMessageReply, SentBatchEntry,
};
pub use moves::{
    CancelMessageMoveTask, CancelMessageMoveTaskReply, ListMessageMoveTasks, ListMessageMoveTasksReply,
    ListedMoveTask, MoveTaskStatus, StartMessageMoveTask, StartMessageMoveTaskReply,
};
pub use queues::{
    CreateQueue, GetQueueAttributes, GetQueueAttributesReply, GetQueueUrl, ListDeadLetterSourceQueues,
    ListDeadLetterSourceQueuesReply, ListQueueTagsReply, ListQueues, ListQueuesReply, OneQueue,
    QueueUrlReply, SetQueueAttributes, TagQueue, UntagQueue,
};
pub use received::{ReceiveMessage, ReceiveMessageReply, ReceivedMessage, SystemAttributes};
pub use settling::{
    ChangeMessageVisibility, ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchEntry, DeleteMessage,
    DeleteMessageBatch, DeleteMessageBatchEntry, SettledBatchEntry, SettledBatchReply,
};
