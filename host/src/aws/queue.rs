//! One queue of SQS. This module only translates; all decisions are made elsewhere.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName as SystemAttribute;
use drumline::core::{Action, CallError, Entry, Replies, SqsAction, SqsErrorKind, VisibilityEntry};
use drumline::message::Message;
use drumline::run::{Event, Observer};
use drumline_sqs::ReceiveRequest;
use futures_util::future::OptionFuture;
use tokio::sync::OnceCell;

use super::client::Clients;
use super::describe::{QueueFacts, describe, is_fifo, queue_name, url_by_arn};
use super::errors::explain;
use super::translate;
use crate::sqs::{BoxFuture, Queue, SqsError};

/// The attributes that the ledger and the handlers need. Others would be sent and parsed without use.
const SYSTEM_ATTRIBUTES: [&str; 8] = [
    "ApproximateReceiveCount",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "MessageGroupId",
    "MessageDeduplicationId",
    "SequenceNumber",
    "SenderId",
    "AWSTraceHeader",
];

/// All attributes: a tool for dead letters also needs the queue in which each died.
const DEAD_LETTER_ATTRIBUTES: [&str; 1] = ["All"];

/// One queue of SQS. Cheap to clone.
#[derive(Clone)]
pub struct AwsQueue {
    pub(super) clients: Arc<Clients>,
    pub(super) queue_url: Arc<str>,
    wait_time: Duration,
    visibility: Duration,
    system_attributes: &'static [&'static str],
    /// The URL of the DLQ for copies of permanent failures, after its first use.
    dead_letter_url: Arc<OnceCell<String>>,
    observer: Arc<dyn Observer>,
}

impl AwsQueue {
    /// Makes the queue at this URL. Its receives do not wait, and hide messages for the queue's visibility timeout. `observer`
    /// receives an [`Event::SqsRequest`] for each request.
    pub fn new(clients: Clients, queue_url: String, observer: Arc<dyn Observer>) -> Self {
        let (wait_time, visibility) = (Duration::ZERO, Duration::ZERO);
        let system_attributes = &SYSTEM_ATTRIBUTES;
        let (clients, queue_url) = (Arc::new(clients), queue_url.into());
        let dead_letter_url = Arc::default();
        Self { clients, queue_url, wait_time, visibility, system_attributes, dead_letter_url, observer }
    }

    /// Lets receives wait for `wait_time`, and hide messages for `visibility`.
    pub fn receiving(self, wait_time: Duration, visibility: Duration) -> Self {
        Self { wait_time, visibility, ..self }
    }

    /// Lets receives also return the queue in which each message died, if this is a DLQ.
    pub fn with_dead_letter_sources(self) -> Self {
        Self { system_attributes: &DEAD_LETTER_ATTRIBUTES, ..self }
    }

    /// Returns the same queue with another observer.
    pub fn observed_by(&self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self.clone() }
    }

    /// Requests the queue's facts from SQS.
    pub async fn describe(&self) -> Result<QueueFacts, SqsError> {
        let result = describe(&self.clients.calls, &self.queue_url).await;
        observe(&*self.observer, SqsAction::GetQueueAttributes, &result);
        match result {
            Err(error) => Err(self.clients.in_context(error).await),
            facts => facts,
        }
    }

    /// Returns the URL of the queue's DLQ, which is requested once, for the first copy or before.
    ///
    /// # Errors
    /// If the queue has no DLQ, or if the permission to look it up is missing.
    pub async fn dead_letter_url(&self) -> Result<&str, SqsError> {
        let find = async || {
            let Some(redrive) = self.describe().await?.redrive else {
                let text = "the queue has no redrive policy, so there is no DLQ to copy to".to_owned();
                return Err(SqsError::new(SqsErrorKind::Other, text));
            };
            url_by_arn(&self.clients.calls, &redrive.dead_letter_target_arn).await
        };
        self.dead_letter_url.get_or_try_init(find).await.map(String::as_str)
    }

    async fn receive_within(&self, wait_time: Duration, max: usize) -> Result<Vec<Message>, SqsError> {
        let request = ReceiveRequest {
            max,
            wait_secs: wait_time.as_secs(),
            visibility_secs: Some(self.visibility.as_secs()).filter(|secs| *secs > 0),
            system_attributes: self.system_attributes,
        };
        let by_lean =
            OptionFuture::from(self.clients.lean().map(|lean| lean.receive(&self.queue_url, &request))).await;
        let result = self.clients.or_by_sdk(by_lean, || self.receive_by_sdk(&request)).await;
        observe(&*self.observer, SqsAction::ReceiveMessage, &result);
        result
    }

    async fn receive_by_sdk(&self, request: &ReceiveRequest<'_>) -> Result<Vec<Message>, SqsError> {
        let names = request.system_attributes.iter().map(|name| SystemAttribute::from(*name));
        let receive = self
            .clients
            .polls
            .receive_message()
            .queue_url(&*self.queue_url)
            .max_number_of_messages(i32::try_from(request.max).unwrap_or(1))
            .wait_time_seconds(whole_secs(request.wait_secs))
            .set_visibility_timeout(request.visibility_secs.map(whole_secs))
            .set_message_system_attribute_names(Some(names.collect()))
            .message_attribute_names("All");
        let answer = receive.send().await.map_err(|error| explain("ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(translate::message).collect())
    }

    async fn delete(&self, entries: &[Entry]) -> Result<Replies, SqsError> {
        let by_lean =
            OptionFuture::from(self.clients.lean().map(|lean| lean.delete(&self.queue_url, entries))).await;
        self.clients.or_by_sdk(by_lean, || self.delete_by_sdk(entries)).await
    }

    async fn delete_by_sdk(&self, entries: &[Entry]) -> Result<Replies, SqsError> {
        let count = entries.len();
        let entries = entries.iter().enumerate();
        let entries = entries.map(|(index, entry)| translate::delete_entry(index, entry)).collect();
        let request = self.clients.calls.delete_message_batch().queue_url(&*self.queue_url);
        let reply = request.set_entries(Some(entries)).send().await;
        let reply = reply.map_err(|error| explain("DeleteMessageBatch", &error))?;
        let successful = reply.successful.iter().map(|entry| entry.id.as_str());
        Ok(translate::replies(count, successful, &reply.failed))
    }

    async fn change_visibility(&self, entries: &[VisibilityEntry]) -> Result<Replies, SqsError> {
        let by_lean = OptionFuture::from(
            self.clients.lean().map(|lean| lean.change_visibility(&self.queue_url, entries)),
        )
        .await;
        self.clients.or_by_sdk(by_lean, || self.change_visibility_by_sdk(entries)).await
    }

    async fn change_visibility_by_sdk(&self, entries: &[VisibilityEntry]) -> Result<Replies, SqsError> {
        let count = entries.len();
        let entries = entries.iter().enumerate();
        let entries = entries.map(|(index, entry)| translate::visibility_entry(index, entry)).collect();
        let request = self.clients.calls.change_message_visibility_batch().queue_url(&*self.queue_url);
        let reply = request.set_entries(Some(entries)).send().await;
        let reply = reply.map_err(|error| explain("ChangeMessageVisibilityBatch", &error))?;
        let successful = reply.successful.iter().map(|entry| entry.id.as_str());
        Ok(translate::replies(count, successful, &reply.failed))
    }

    async fn copy(&self, message: &Message, reason: &str) -> Result<Replies, SqsError> {
        let dead_letter_url = self.dead_letter_url().await?;
        let attributes = translate::copy_attributes(message, queue_name(&self.queue_url), reason);
        let request = self
            .clients
            .calls
            .send_message()
            .queue_url(dead_letter_url)
            .message_body(&message.body)
            .set_message_attributes(Some(attributes))
            .set_message_group_id(message.group.clone())
            // The message's own id, so that a copy that is sent twice within five minutes arrives once.
            .set_message_deduplication_id(is_fifo(dead_letter_url).then(|| message.id.to_string()));
        request.send().await.map_err(|error| explain("SendMessage to the DLQ", &error))?;
        Ok(vec![Ok(())])
    }
}

impl Queue for AwsQueue {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        let queue = self.clone();
        Box::pin(async move { queue.receive_within(queue.wait_time, max).await })
    }

    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        let queue = self.clone();
        Box::pin(async move { queue.receive_within(Duration::ZERO, max).await })
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let queue = self.clone();
        Box::pin(async move {
            let count = action.deliveries().len();
            let (requested, result) = match action {
                Action::Delete(entries) => (SqsAction::DeleteMessageBatch, queue.delete(&entries).await),
                Action::ChangeVisibility(entries) => {
                    (SqsAction::ChangeMessageVisibilityBatch, queue.change_visibility(&entries).await)
                }
                Action::DeadLetter { message, reason, .. } => {
                    // In a box, which few actions allocate, so that their futures stay small.
                    (SqsAction::SendMessage, Box::pin(queue.copy(&message, &reason)).await)
                }
            };
            observe(&*queue.observer, requested, &result);
            result.unwrap_or_else(|error| vec![Err(call_error(error)); count])
        })
    }
}

fn observe<T>(observer: &dyn Observer, action: SqsAction, result: &Result<T, SqsError>) {
    observer.observe(&Event::SqsRequest { action, result: SqsError::result_of(result) });
}

fn call_error(error: SqsError) -> CallError {
    match error.kind {
        SqsErrorKind::Gone => CallError::Gone(error.text),
        SqsErrorKind::Denied | SqsErrorKind::InvalidCredentials => CallError::Refused(error.text),
        _ => CallError::Failed(error.text),
    }
}

/// Settings are checked against SQS's limits.
fn whole_secs(secs: u64) -> i32 {
    i32::try_from(secs).unwrap_or(i32::MAX)
}
