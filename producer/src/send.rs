//! One batch to SQS, tried until every entry is sent or refused.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use drumline::RetryPolicy;
use drumline::core::{Jitter, JitterMode};
use drumline::message::{Attribute, AttributeValue};
use drumline_runtime::aws::explain;
use drumline_runtime::{SqsError, SqsErrorKind};

use crate::pack::Outgoing;

/// A message that could not be sent after this many tries will not be by another one soon.
pub(crate) const TRIES: u32 = 5;

/// The wait before messages are sent once more that SQS may have taken, since its answer was lost.
pub const RESEND_WAIT: Duration = Duration::from_secs(1);

/// The options that all messages of a call have in common.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendOptions {
    /// The queue is a FIFO queue: entries need an id for its deduplication.
    pub fifo: bool,
    /// The reaction to an error after which SQS may have taken the batch.
    pub in_doubt: InDoubt,
}

/// The reaction to an error after which SQS may have taken a batch: its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InDoubt {
    /// The batch is sent again, and may be in a standard queue several times. A FIFO queue drops it, by the deduplication ids.
    #[default]
    SendAgain,
    /// [`send_batch`] ends with the error, which [is in doubt](SqsError::is_in_doubt).
    Stop,
}

impl InDoubt {
    /// Returns what is right for messages that should be in the queue once.
    pub fn once(is_fifo: bool) -> Self {
        if is_fifo { Self::SendAgain } else { Self::Stop }
    }
}

/// A batch that could not be sent to its end.
#[derive(Debug)]
pub struct SendError {
    /// The error. It [is in doubt](SqsError::is_in_doubt) if the answer to any try was lost: then SQS may have taken what is left.
    pub error: SqsError,
    /// The messages that SQS has answered.
    pub done: Vec<Sent>,
    /// The messages that it has not.
    pub left: Vec<Outgoing>,
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SendError {}

/// A message with its id, or with the reason for which it was not sent.
pub type Sent = (Outgoing, Result<String, String>);

/// Sends a batch. An entry that fails in passing is tried again; one that SQS refuses is not.
///
/// # Errors
/// If no try can succeed: no queue, no permission, no credentials. With [`InDoubt::Stop`] also if the answer to a try is lost; then
/// each message that SQS has not answered may have been sent.
pub async fn send_batch(
    client: &Client,
    queue_url: &str,
    options: &SendOptions,
    batch: Vec<Outgoing>,
) -> Result<Vec<Sent>, SendError> {
    let sent = |done: Vec<Done>| {
        let sent = |(message, result): Done| {
            (message, result.map(|taken| taken.message_id).map_err(|not_taken| not_taken.text))
        };
        done.into_iter().map(sent).collect()
    };
    match deliver(client, queue_url, options, Overtaken::IsTriedAgain, batch).await {
        Ok(done) => Ok(sent(done)),
        Err(Stopped { error, done, left }) => Err(SendError { error, done: sent(done), left }),
    }
}

/// A message with the answer of SQS.
pub(crate) type Done = (Outgoing, Result<Taken, NotTaken>);

/// What SQS has answered for a message that it took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) message_id: String,
    pub(crate) sequence_number: Option<String>,
}

/// The reason for which a message is not in the queue, or is perhaps.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(crate) why: Why,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// SQS refuses the message.
    Refused,
    /// SQS could not take it, in no try.
    Unavailable,
    /// SQS has not taken it, while it has taken later messages of its group: another try would put it behind them.
    Overtaken,
    /// An answer was lost.
    InDoubt,
}

/// The way of a message that SQS has not taken, while it has taken later ones of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overtaken {
    IsTriedAgain,
    IsGivenUp,
}

/// A batch that could not be sent to its end, as [`SendError`].
pub(crate) struct Stopped {
    pub(crate) error: SqsError,
    pub(crate) done: Vec<Done>,
    pub(crate) left: Vec<Outgoing>,
}

/// As [`send_batch`], with all that SQS answers.
pub(crate) async fn deliver(
    client: &Client,
    queue_url: &str,
    options: &SendOptions,
    overtaken: Overtaken,
    batch: Vec<Outgoing>,
) -> Result<Vec<Done>, Stopped> {
    let backoff = RetryPolicy::default().with_jitter(JitterMode::Equal);
    let mut done = Vec::with_capacity(batch.len());
    let mut left = batch;
    let mut is_in_doubt = false;
    for attempt in (1..=TRIES).filter_map(NonZeroU32::new) {
        match try_once(client, queue_url, options, &left).await {
            Ok(mut results) => {
                if options.fifo && overtaken == Overtaken::IsGivenUp {
                    give_up_overtaken(&left, &mut results);
                }
                let mut again = Vec::new();
                for (message, result) in left.into_iter().zip(results) {
                    match result {
                        Err(NotTaken { why: Why::Unavailable, .. }) if attempt.get() < TRIES => {
                            again.push(message);
                        }
                        Err(NotTaken { why: Why::Unavailable, text }) if is_in_doubt => {
                            done.push((message, Err(NotTaken { why: Why::InDoubt, text })));
                        }
                        result => done.push((message, result)),
                    }
                }
                left = again;
            }
            Err(error) => {
                is_in_doubt |= error.is_in_doubt;
                let may_try_again = !is_in_doubt || options.in_doubt == InDoubt::SendAgain;
                if may_try_again && error.kind.passes() && attempt.get() < TRIES {
                    // After the wait.
                } else if !is_in_doubt && (error.kind == SqsErrorKind::Other || !done.is_empty()) {
                    // If some of the batch is sent already, the rest is reported as not taken.
                    let why = if error.kind == SqsErrorKind::Other { Why::Refused } else { Why::Unavailable };
                    let not_taken = || NotTaken { why, text: error.text.clone() };
                    done.extend(left.drain(..).map(|message| (message, Err(not_taken()))));
                } else {
                    return Err(Stopped { error: SqsError { is_in_doubt, ..error }, done, left });
                }
            }
        }
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(backoff.delay(attempt, Jitter::new(fastrand::u32(..)))).await;
    }
    Ok(done)
}

/// Has no message tried again that would come behind later ones of its group.
fn give_up_overtaken(batch: &[Outgoing], results: &mut [Result<Taken, NotTaken>]) {
    let mut taken: Vec<&str> = Vec::new();
    for (message, result) in batch.iter().zip(results).rev() {
        let Some(group) = message.group.as_deref() else { continue };
        match result {
            Ok(_) => taken.push(group),
            Err(not_taken) if not_taken.why == Why::Unavailable && taken.contains(&group) => {
                not_taken.why = Why::Overtaken;
                not_taken.text += "; it was not tried again, since later jobs of its group are in the queue, and would run before it";
            }
            Err(_) => {}
        }
    }
}

/// Makes one request. Returns the answer to each entry.
pub(crate) async fn try_once(
    client: &Client,
    queue_url: &str,
    options: &SendOptions,
    batch: &[Outgoing],
) -> Result<Vec<Result<Taken, NotTaken>>, SqsError> {
    let entries = batch.iter().enumerate().map(|(index, message)| entry(*options, index, message)).collect();
    let request = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries));
    let reply = request.send().await.map_err(|error| explain("SendMessageBatch", &error))?;
    let missing = || {
        let text = "the answer does not mention this message".to_owned();
        Err(NotTaken { why: Why::Unavailable, text })
    };
    let mut results: Vec<_> = batch.iter().map(|_| missing()).collect();
    let mut answer = |id: &str, result| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|index| results.get_mut(index)) {
            *slot = result;
        }
    };
    for sent in reply.successful {
        let (message_id, sequence_number) = (sent.message_id, sent.sequence_number);
        answer(&sent.id, Ok(Taken { message_id, sequence_number }));
    }
    for failed in reply.failed {
        let text = format!("{}: {}", failed.code, failed.message.unwrap_or_default());
        let why = if failed.sender_fault { Why::Refused } else { Why::Unavailable };
        answer(&failed.id, Err(NotTaken { why, text }));
    }
    Ok(results)
}

fn entry(options: SendOptions, index: usize, message: &Outgoing) -> SendMessageBatchRequestEntry {
    // One id per message for all its tries: where an answer was lost, SQS drops the second one.
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
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_again_only_if_none_of_its_group_has_overtaken_it() {
        let (taken, refused, unavailable) = ("taken", "refused", "unavailable");
        let table = [
            ("a", unavailable, Some(Why::Overtaken)),
            ("b", unavailable, Some(Why::Unavailable)),
            ("a", refused, Some(Why::Refused)),
            ("a", unavailable, Some(Why::Overtaken)),
            ("a", taken, None),
            ("b", unavailable, Some(Why::Unavailable)),
            ("a", unavailable, Some(Why::Unavailable)),
        ];
        let message = |group: &str| Outgoing { group: Some(group.into()), ..Outgoing::default() };
        let batch: Vec<Outgoing> = table.iter().map(|(group, ..)| message(group)).collect();
        let not_taken = |why| Err(NotTaken { why, text: String::new() });
        let result = |&(_, result, _): &(&str, &str, Option<Why>)| match result {
            "taken" => Ok(Taken { message_id: String::new(), sequence_number: None }),
            "refused" => not_taken(Why::Refused),
            _ => not_taken(Why::Unavailable),
        };
        let mut results: Vec<_> = table.iter().map(result).collect();
        give_up_overtaken(&batch, &mut results);
        let found: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.why)).collect();
        assert_eq!(found, table.map(|(_, _, expected)| expected));
    }
}
