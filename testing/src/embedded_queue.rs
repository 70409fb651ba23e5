//! The embedded queue behind the interface that the worker's driver calls. It uses no sockets, and its requests never fail.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Action, CallError, Entry, Replies, VisibilityEntry};
use drumline::message::Message;
use drumline_queue::api::{
    ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchEntry, DeleteMessageBatch,
    DeleteMessageBatchEntry, ReceiveMessage, SendMessage,
};
use drumline_queue::{Endpoint, SqsError as QueueError};
use drumline_runtime::aws::{copy_attributes, is_fifo, queue_name};
use drumline_runtime::{BoxFuture, Queue, SqsError, SqsErrorKind};
use tokio::sync::watch;

use crate::recorder::Recorder;
use crate::translate;

/// One worker's access to the queue.
#[derive(Clone)]
pub(crate) struct EmbeddedQueue {
    pub(crate) endpoint: Endpoint,
    pub(crate) url: String,
    pub(crate) dead_letter_url: String,
    pub(crate) wait_time: Duration,
    pub(crate) lease: Duration,
    pub(crate) recorder: Arc<Recorder>,
    /// True once the worker is killed. A killed worker receives and changes nothing.
    pub(crate) killed: watch::Receiver<bool>,
}

impl EmbeddedQueue {
    async fn poll(self, max: usize, wait_time: Duration) -> Result<Vec<Message>, SqsError> {
        let all = || vec!["All".to_owned()];
        let request = ReceiveMessage {
            queue_url: self.url.clone(),
            message_system_attribute_names: all(),
            message_attribute_names: all(),
            max_number_of_messages: i64::try_from(max).ok(),
            visibility_timeout: i64::try_from(self.lease.as_secs()).ok(),
            wait_time_seconds: i64::try_from(wait_time.as_secs()).ok(),
            ..ReceiveMessage::default()
        };
        let reply = tokio::select! {
            biased;
            () = killed(self.killed) => {
                return Err(SqsError::new(SqsErrorKind::Unreachable, "the worker is killed"));
            }
            reply = self.endpoint.receive(request) => reply,
        };
        let reply = reply.map_err(|error| SqsError::new(SqsErrorKind::Other, error.to_string()))?;
        let messages: Vec<Message> = reply.messages.into_iter().map(translate::message).collect();
        self.recorder.handed_out(messages.iter().map(|message| (&message.id, message.receive_count)));
        Ok(messages)
    }

    fn carry_out(&self, action: Action) -> Result<Replies, QueueError> {
        match action {
            Action::Delete(entries) => self.delete(entries),
            Action::ChangeVisibility(entries) => self.change_visibility(entries),
            Action::DeadLetter { message, reason, .. } => self.copy(&message, &reason),
        }
    }

    fn delete(&self, entries: Vec<Entry>) -> Result<Replies, QueueError> {
        let count = entries.len();
        let entries = entries.into_iter().enumerate().map(|(index, entry)| DeleteMessageBatchEntry {
            id: index.to_string(),
            receipt_handle: entry.receipt,
        });
        let request = DeleteMessageBatch { queue_url: self.url.clone(), entries: entries.collect() };
        let reply = self.endpoint.call(|sqs, now| sqs.delete_message_batch(now, request))?;
        Ok(translate::replies(count, &reply))
    }

    fn change_visibility(&self, entries: Vec<VisibilityEntry>) -> Result<Replies, QueueError> {
        let count = entries.len();
        let entries =
            entries.into_iter().enumerate().map(|(index, entry)| ChangeMessageVisibilityBatchEntry {
                id: index.to_string(),
                receipt_handle: entry.receipt,
                visibility_timeout: Some(i64::from(entry.visibility_secs)),
            });
        let request =
            ChangeMessageVisibilityBatch { queue_url: self.url.clone(), entries: entries.collect() };
        let reply = self.endpoint.call(|sqs, now| sqs.change_message_visibility_batch(now, request))?;
        Ok(translate::replies(count, &reply))
    }

    fn copy(&self, message: &Message, reason: &str) -> Result<Replies, QueueError> {
        let attributes = copy_attributes(message, queue_name(&self.url), reason);
        let request = SendMessage {
            queue_url: self.dead_letter_url.clone(),
            message_body: message.body.clone(),
            message_attributes: translate::queue_attributes(&attributes),
            message_group_id: message.group.clone(),
            message_deduplication_id: is_fifo(&self.url).then(|| message.id.to_string()),
            ..SendMessage::default()
        };
        self.endpoint.call(|sqs, now| sqs.send_message(now, request))?;
        Ok(vec![Ok(())])
    }
}

/// Waits until the worker is killed.
async fn killed(mut killed: watch::Receiver<bool>) {
    // If the sender is gone, the worker has already been killed.
    drop(killed.wait_for(|killed| *killed).await);
}

impl Queue for EmbeddedQueue {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(self.clone().poll(max, self.wait_time))
    }

    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(self.clone().poll(max, Duration::ZERO))
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let queue = self.clone();
        Box::pin(async move {
            if *queue.killed.borrow() {
                return Vec::new();
            }
            let count = action.deliveries().len();
            let replies = queue.carry_out(action);
            replies.unwrap_or_else(|error| vec![Err(CallError::Failed(error.to_string())); count])
        })
    }
}
