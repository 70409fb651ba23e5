//! SQS's rules, each as a table or a short scenario, on the state machine with a test clock.
#![allow(clippy::unwrap_used)]

mod dead_letters;
mod fifo;
mod moves;
mod queues;
mod receiving;
mod sending;
mod settling;

use std::time::Duration;

use drumline_queue::api::{
    ChangeMessageVisibility, CreateQueue, DeleteMessage, ReceiveMessage, ReceivedMessage, SendMessage,
    SendMessageReply,
};
use drumline_queue::{ErrorCode, Identity, MessageState, Sqs, SqsError, Timestamp};

/// A state machine with the current time of the test.
pub(crate) struct Desk {
    pub(crate) sqs: Sqs,
    pub(crate) now: Timestamp,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { sqs: Sqs::new(Identity::at("http://localhost"), 1), now: Timestamp::from_secs(1_800_000_000) }
    }

    /// Creates a desk with one queue called `q`, or `q.fifo` if the attributes make it a FIFO queue.
    pub(crate) fn with_queue(attributes: &[(&str, &str)]) -> Self {
        let mut desk = Self::new();
        let fifo = attributes.iter().any(|(name, _)| *name == "FifoQueue");
        desk.create(if fifo { "q.fifo" } else { "q" }, attributes).unwrap();
        desk
    }

    pub(crate) fn pass(&mut self, secs: u64) {
        self.now = self.now.plus(Duration::from_secs(secs));
    }

    pub(crate) fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<String, SqsError> {
        let attributes = attributes.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request = CreateQueue { queue_name: name.into(), attributes, ..Default::default() };
        self.sqs.create_queue(self.now, request).map(|reply| reply.queue_url)
    }

    pub(crate) fn try_send(&mut self, request: SendMessage) -> Result<SendMessageReply, SqsError> {
        self.sqs.send_message(self.now, request)
    }

    pub(crate) fn send(&mut self, queue: &str, body: &str) -> SendMessageReply {
        self.try_send(message(queue, body)).unwrap()
    }

    pub(crate) fn send_fifo(&mut self, queue: &str, group: &str, id: &str) -> SendMessageReply {
        let request = SendMessage {
            message_group_id: Some(group.into()),
            message_deduplication_id: Some(id.into()),
            ..message(queue, id)
        };
        self.try_send(request).unwrap()
    }

    pub(crate) fn try_receive(&mut self, request: &ReceiveMessage) -> Result<Vec<ReceivedMessage>, SqsError> {
        self.sqs.receive_message(self.now, request).map(|reply| reply.messages)
    }

    /// Receives up to ten messages with all their attributes.
    pub(crate) fn receive(&mut self, queue: &str) -> Vec<ReceivedMessage> {
        self.try_receive(&receive_up_to(queue, 10)).unwrap()
    }

    pub(crate) fn bodies(&mut self, queue: &str) -> Vec<String> {
        self.receive(queue).iter().map(|message| message.body.to_string()).collect()
    }

    pub(crate) fn delete(&mut self, queue: &str, handle: &str) -> Result<(), SqsError> {
        let request = DeleteMessage { queue_url: queue.into(), receipt_handle: handle.into() };
        self.sqs.delete_message(self.now, &request)
    }

    pub(crate) fn hide(&mut self, queue: &str, handle: &str, secs: i64) -> Result<(), SqsError> {
        let request = ChangeMessageVisibility {
            queue_url: queue.into(),
            receipt_handle: handle.into(),
            visibility_timeout: Some(secs),
        };
        self.sqs.change_message_visibility(self.now, &request)
    }

    pub(crate) fn states(&mut self, queue: &str) -> Vec<MessageState> {
        self.sqs.peek(self.now, queue).unwrap().iter().map(|message| message.state).collect()
    }
}

pub(crate) fn message(queue: &str, body: &str) -> SendMessage {
    SendMessage { queue_url: queue.into(), message_body: body.into(), ..Default::default() }
}

pub(crate) fn receive_up_to(queue: &str, max: i64) -> ReceiveMessage {
    ReceiveMessage {
        queue_url: queue.into(),
        max_number_of_messages: Some(max),
        message_system_attribute_names: vec!["All".into()],
        message_attribute_names: vec!["All".into()],
        ..Default::default()
    }
}

/// Returns the code of an error; panics for a success.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, SqsError>) -> ErrorCode {
    result.unwrap_err().code
}
