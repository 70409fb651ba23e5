//! SQS by AWS's own SDK. Translates one to one; whatever is decided, is decided elsewhere.

mod client;
mod depth;
mod describe;
mod errors;
mod translate;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName as SystemAttribute;
use drumline::{Action, CallError, Message, Replies};

pub(crate) use client::{Clients, connect};
pub(crate) use depth::{DepthProbe, Depths};
pub(crate) use describe::{QueueFacts, describe, is_fifo, queue_name, url_by_arn};

use crate::metrics::Metrics;
use crate::sqs::{BoxFuture, Queue, SqsError, SqsErrorKind};
pub(crate) use errors::explain;

/// What the ledger and the handlers need of a message; every further attribute would be sent and parsed for nothing.
const SYSTEM_ATTRIBUTES: [SystemAttribute; 7] = [
    SystemAttribute::ApproximateReceiveCount,
    SystemAttribute::SentTimestamp,
    SystemAttribute::ApproximateFirstReceiveTimestamp,
    SystemAttribute::MessageGroupId,
    SystemAttribute::MessageDeduplicationId,
    SystemAttribute::SequenceNumber,
    SystemAttribute::AwsTraceHeader,
];

/// One queue of SQS.
pub(crate) struct AwsQueue {
    clients: Clients,
    queue_url: String,
    wait_time: Duration,
    visibility: Duration,
    /// Where copies of permanent failures go, where that is asked for.
    dead_letter_url: Option<String>,
    metrics: Metrics,
}

impl AwsQueue {
    /// A queue whose receives wait for `wait_time` and hide what they bring for `visibility`.
    pub(crate) fn new(
        clients: Clients,
        queue_url: String,
        wait_time: Duration,
        visibility: Duration,
        dead_letter_url: Option<String>,
        metrics: Metrics,
    ) -> Self {
        Self { clients, queue_url, wait_time, visibility, dead_letter_url, metrics }
    }
}

impl Queue for AwsQueue {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        let request = self
            .clients
            .polls
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(i32::try_from(max).unwrap_or(1))
            .wait_time_seconds(whole_secs(self.wait_time))
            .visibility_timeout(whole_secs(self.visibility))
            .set_message_system_attribute_names(Some(SYSTEM_ATTRIBUTES.to_vec()))
            .message_attribute_names("All");
        let metrics = self.metrics.clone();
        Box::pin(async move {
            let result = request.send().await.map_err(|error| explain("ReceiveMessage", &error));
            metrics.request("ReceiveMessage", result.as_ref().map(|_| ()).map_err(|error| error.kind));
            Ok(result?.messages.unwrap_or_default().into_iter().map(translate::message).collect())
        })
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let (client, queue_url) = (self.clients.calls.clone(), self.queue_url.clone());
        let (dead_letter_url, metrics) = (self.dead_letter_url.clone(), self.metrics.clone());
        Box::pin(async move {
            let count = action.deliveries().len();
            let (name, result) = match action {
                Action::Delete(entries) => ("DeleteMessageBatch", delete(&client, queue_url, entries).await),
                Action::ChangeVisibility(entries) => {
                    ("ChangeMessageVisibilityBatch", change_visibility(&client, queue_url, entries).await)
                }
                Action::DeadLetter { message, reason, .. } => {
                    ("SendMessage", copy(&client, &queue_url, dead_letter_url, &message, &reason).await)
                }
            };
            metrics.request(name, result.as_ref().map(|_| ()).map_err(|error| error.kind));
            result.unwrap_or_else(|error| vec![Err(call_error(error)); count])
        })
    }
}

async fn delete(
    client: &Client,
    queue_url: String,
    entries: Vec<drumline::Entry>,
) -> Result<Replies, SqsError> {
    let count = entries.len();
    let entries =
        entries.into_iter().enumerate().map(|(index, entry)| translate::delete_entry(index, entry)).collect();
    let request = client.delete_message_batch().queue_url(queue_url).set_entries(Some(entries));
    let reply = request.send().await.map_err(|error| explain("DeleteMessageBatch", &error))?;
    let successful = reply.successful.iter().map(|entry| entry.id.as_str());
    Ok(translate::replies(count, successful, &reply.failed))
}

async fn change_visibility(
    client: &Client,
    queue_url: String,
    entries: Vec<drumline::VisibilityEntry>,
) -> Result<Replies, SqsError> {
    let count = entries.len();
    let entries = entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| translate::visibility_entry(index, entry))
        .collect();
    let request = client.change_message_visibility_batch().queue_url(queue_url).set_entries(Some(entries));
    let reply = request.send().await.map_err(|error| explain("ChangeMessageVisibilityBatch", &error))?;
    let successful = reply.successful.iter().map(|entry| entry.id.as_str());
    Ok(translate::replies(count, successful, &reply.failed))
}

async fn copy(
    client: &Client,
    queue_url: &str,
    dead_letter_url: Option<String>,
    message: &Message,
    reason: &str,
) -> Result<Replies, SqsError> {
    let Some(dead_letter_url) = dead_letter_url else {
        let text = "no DLQ is known to copy to".to_owned();
        return Err(SqsError { kind: SqsErrorKind::Other, text });
    };
    let fifo = is_fifo(&dead_letter_url);
    let request = client
        .send_message()
        .queue_url(dead_letter_url)
        .message_body(&message.body)
        .set_message_attributes(Some(translate::copy_attributes(message, queue_name(queue_url), reason)))
        .set_message_group_id(message.group.clone())
        // The message's own id, so that a copy sent twice within five minutes arrives once.
        .set_message_deduplication_id(fifo.then(|| message.id.clone()));
    request.send().await.map_err(|error| explain("SendMessage to the DLQ", &error))?;
    Ok(vec![Ok(())])
}

fn call_error(error: SqsError) -> CallError {
    if error.kind == SqsErrorKind::Gone { CallError::Gone(error.text) } else { CallError::Failed(error.text) }
}

/// Settings are checked to be whole seconds within SQS's bounds.
fn whole_secs(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
