//! Requests to SQS: one batch, one attempt.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use drumline::message::{Attribute, AttributeValue};
use drumline_runtime::aws::{BatchAnswer, Clients, FailedEntry, SendEntry, SentEntry, explain};
use drumline_runtime::{SqsError, SqsErrorKind};
use tokio::time::timeout;

use crate::pack::Outgoing;

/// The number of attempts for a message. After these, another attempt would hardly succeed soon.
pub(crate) const TRIES: u32 = 5;

/// The time after which a request counts as lost, so that every message has a result with any client: the SDK has no such limit
/// by default, and the clients of `drumline-runtime` have a shorter one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The wait before messages are sent again that SQS may have accepted, because the response was lost.
pub const RESEND_WAIT: Duration = Duration::from_secs(1);

/// The options that all messages of a call share.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOptions {
    /// True if the queue is a FIFO queue: entries then need a deduplication id.
    pub fifo: bool,
    /// The reaction to an error after which SQS may have accepted the batch.
    pub in_doubt: InDoubt,
}

impl SendOptions {
    /// Returns true if a message is sent again after a lost response. A FIFO queue drops the duplicate.
    pub(crate) fn sends_again(self) -> bool {
        self.fifo || self.in_doubt == InDoubt::SendAgain
    }
}

/// The reaction to a lost response, after which SQS may have accepted a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InDoubt {
    /// The batch is sent again, and may be in a standard queue several times. A FIFO queue drops duplicates by their
    /// deduplication ids.
    #[default]
    SendAgain,
    /// [`send_batch`](crate::send_batch()) ends with the error, which [is in doubt](SqsError::is_in_doubt). On a FIFO queue the
    /// batch is sent again anyway, because the queue drops duplicates.
    Stop,
}

impl InDoubt {
    /// Returns the reaction for messages that should be in the queue once.
    pub fn once(is_fifo: bool) -> Self {
        if is_fifo { Self::SendAgain } else { Self::Stop }
    }
}

/// Returns the error of messages that SQS may have accepted.
pub(crate) fn lost_answer(text: String) -> SqsError {
    SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, text) }
}

/// SQS's response for an accepted message.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) message_id: String,
    pub(crate) sequence_number: Option<String>,
}

/// The reason why a message is not in the queue, or only perhaps.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(crate) why: Why,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// SQS refuses the message.
    Refused,
    /// SQS could not accept it in any attempt.
    Unavailable,
    /// SQS has not accepted it, but has accepted later messages of its group: another attempt would put it behind them.
    Overtaken,
    /// A response was lost.
    InDoubt,
}

impl Why {
    /// Returns the class of the error in the message's span.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Overtaken => "overtaken",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// The response to a request: for each message of its batch the id, or the reason why SQS has not accepted it.
pub(crate) type Reply = Result<Vec<Result<Taken, NotTaken>>, SqsError>;

/// The clients that send messages.
#[derive(Clone, Copy)]
pub(crate) enum SentBy<'a> {
    /// A client of the caller.
    Own(&'a Client),
    /// The clients of the settings, which select the lean client or the SDK's.
    Chosen(&'a Clients),
}

/// Makes one request. Returns the result of each entry.
pub(crate) async fn try_once(
    sent_by: SentBy<'_>,
    queue_url: &str,
    options: &SendOptions,
    batch: &[Outgoing],
) -> Reply {
    let request = async {
        match sent_by {
            SentBy::Own(client) => by_sdk(client, queue_url, *options, batch).await,
            SentBy::Chosen(clients) => {
                let entries: Vec<_> = batch.iter().map(|message| lean_entry(*options, message)).collect();
                // Boxed separately, because most sends never need it.
                let by_sdk = async { Box::pin(by_sdk(&clients.calls, queue_url, *options, batch)).await };
                clients.send_batch(queue_url, &entries, by_sdk).await
            }
        }
    };
    // Boxed because it is large, and would otherwise be part of each caller's future.
    let reply = in_time(Box::pin(request)).await?;
    let missing = || {
        let text = "the answer does not mention this message".to_owned();
        Err(NotTaken { why: Why::InDoubt, text })
    };
    let mut results: Vec<_> = batch.iter().map(|_| missing()).collect();
    let mut answer = |id: &str, result| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|index| results.get_mut(index)) {
            *slot = result;
        }
    };
    for SentEntry { id, message_id, sequence_number } in reply.successful {
        answer(&id, Ok(Taken { message_id: message_id.unwrap_or_default(), sequence_number }));
    }
    for failed in reply.failed {
        let text = format!("{}: {}", failed.code, failed.message.unwrap_or_default());
        let why = if failed.sender_fault { Why::Refused } else { Why::Unavailable };
        answer(&failed.id, Err(NotTaken { why, text }));
    }
    Ok(results)
}

async fn by_sdk(
    client: &Client,
    queue_url: &str,
    options: SendOptions,
    batch: &[Outgoing],
) -> Result<BatchAnswer, SqsError> {
    let entries = batch.iter().enumerate().map(|(index, message)| entry(options, index, message)).collect();
    let request = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries));
    let reply = request.send().await.map_err(|error| explain("SendMessageBatch", &error))?;
    let successful = reply.successful.into_iter().map(|sent| SentEntry {
        id: sent.id,
        message_id: Some(sent.message_id),
        sequence_number: sent.sequence_number,
    });
    let failed = reply.failed.into_iter().map(|failed| FailedEntry {
        id: failed.id,
        code: failed.code,
        message: failed.message,
        sender_fault: failed.sender_fault,
    });
    Ok(BatchAnswer { successful: successful.collect(), failed: failed.collect() })
}

fn lean_entry(options: SendOptions, message: &Outgoing) -> SendEntry<'_> {
    SendEntry {
        body: &message.body,
        attributes: &message.attributes,
        delay_secs: message.delay_secs.map(u64::from),
        group: message.group.as_deref(),
        // One id per message for all its attempts: after a lost response, SQS drops the duplicate.
        deduplication_id: options.fifo.then_some(&*message.deduplication_id),
        trace_header: message.trace_header.as_deref(),
    }
}

/// Ends a request after a time limit, with an error in doubt.
async fn in_time<T>(request: impl Future<Output = Result<T, SqsError>>) -> Result<T, SqsError> {
    timeout(PATIENCE, request).await.unwrap_or_else(|_| {
        let text = format!("SendMessageBatch: SQS has not answered within {} s", PATIENCE.as_secs());
        Err(lost_answer(text))
    })
}

fn entry(options: SendOptions, index: usize, message: &Outgoing) -> SendMessageBatchRequestEntry {
    let deduplication_id = options.fifo.then(|| message.deduplication_id.clone());
    let attributes =
        message.attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    let entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(&message.body)
        .set_message_attributes(Some(attributes))
        .set_delay_seconds(message.delay_secs.map(i32::from))
        .set_message_group_id(message.group.as_deref().map(str::to_owned))
        .set_message_deduplication_id(deduplication_id);
    let entry = match &message.trace_header {
        Some(header) => entry.message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            system_text(header),
        ),
        None => entry,
    };
    entry.build().expect("id and body are set")
}

fn system_text(text: &str) -> MessageSystemAttributeValue {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(text);
    value.build().expect("the data type is set")
}

fn attribute(attribute: &Attribute) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type(attribute.data_type());
    let value = match attribute.value() {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes.clone())),
    };
    value.build().expect("the data type is set")
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
