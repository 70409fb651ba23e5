//! Sends a batch to SQS: [`delivery`](crate::delivery) retries it until every entry is sent or refused.

use aws_sdk_sqs::Client;
use drumline_runtime::SqsError;

use crate::delivery::{Done, Stopped, TryOnce, deliver};
use crate::enqueued::enqueued;
use crate::pack::Outgoing;
use crate::send::{NotTaken, Reply, SendOptions, SentBy, Why, lost_answer, try_once};
use crate::send_span::{answer_of, end_span};

/// A batch that could not be completed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendError {
    /// The error. It [is in doubt](SqsError::is_in_doubt) if the response to any attempt was lost: then SQS may have accepted
    /// the messages that are left.
    pub error: SqsError,
    /// The messages with a result from SQS.
    pub done: Vec<Sent>,
    /// The messages without a result.
    pub left: Vec<Outgoing>,
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SendError {}

/// A message with its id, or with the reason why it was not sent.
pub type Sent = (Outgoing, Result<String, String>);

/// Sends a batch. An entry with a transient failure is retried; an entry that SQS refuses is not. On a FIFO queue an entry is
/// abandoned if SQS has accepted later ones of its group.
///
/// # Errors
///
/// Returns an error if no attempt can succeed: no queue, no permission, no credentials. It also returns an error if the
/// response to an attempt is lost and no later attempt confirms the messages, or, with [`InDoubt::Stop`](crate::InDoubt::Stop),
/// if no later attempt is made on a standard queue; then each message that is left may have been sent.
pub async fn send_batch(
    client: &Client,
    queue_url: &str,
    options: &SendOptions,
    batch: Vec<Outgoing>,
) -> Result<Vec<Sent>, SendError> {
    let target = Target { sent_by: SentBy::Own(client), queue_url, options: *options };
    let delivered = deliver(&target, *options, batch).await;
    end_spans(queue_url, &delivered);
    sent(delivered)
}

fn end_spans(queue_url: &str, delivered: &Result<Vec<Done>, Stopped>) {
    let done = match delivered {
        Ok(done) => done,
        Err(Stopped { error, done, left }) => {
            for message in left {
                end_span(queue_url, message, Err((error.kind.label(), &*error.text)));
            }
            done
        }
    };
    for (message, result) in done {
        end_span(queue_url, message, answer_of(result));
    }
}

/// Returns the result of a batch for callers that keep journals: a message in doubt is left without a result.
fn sent(delivered: Result<Vec<Done>, Stopped>) -> Result<Vec<Sent>, SendError> {
    let (answers, mut error, mut left) = match delivered {
        Ok(answers) => (answers, None, Vec::new()),
        Err(Stopped { error, done, left }) => (done, Some(error), left),
    };
    let mut done = Vec::with_capacity(answers.len());
    for (message, result) in answers {
        match result {
            Ok(taken) => done.push((message, Ok(taken.message_id))),
            Err(NotTaken { why: Why::InDoubt, text }) => {
                left.push(message);
                error.get_or_insert_with(|| lost_answer(text));
            }
            Err(not_taken) => done.push((message, Err(not_taken.text))),
        }
    }
    match error {
        Some(error) => Err(SendError { error, done, left }),
        None => Ok(done),
    }
}

/// The queue and the clients of a request.
pub(crate) struct Target<'a> {
    pub(crate) sent_by: SentBy<'a>,
    pub(crate) queue_url: &'a str,
    pub(crate) options: SendOptions,
}

impl TryOnce for Target<'_> {
    async fn try_once(&self, batch: &[Outgoing]) -> Reply {
        let reply = try_once(self.sent_by, self.queue_url, &self.options, batch).await;
        if let Ok(results) = &reply {
            enqueued(self.queue_url, batch, results);
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::send::Taken;

    #[test]
    fn messages_in_doubt_are_not_reported_as_answered() {
        let not_taken = |why| Err(NotTaken { why, text: format!("{why:?}") });
        let message = |line| Outgoing { line, ..Outgoing::default() };
        let taken = || Ok(Taken { message_id: "id".to_owned(), sequence_number: None });
        let done = || vec![(message(0), taken()), (message(1), not_taken(Why::Refused))];
        assert_eq!(sent(Ok(done())).unwrap().len(), 2);

        let mut in_doubt = done();
        in_doubt.push((message(2), not_taken(Why::InDoubt)));
        let failed = sent(Ok(in_doubt)).unwrap_err();
        assert!(failed.error.is_in_doubt);
        assert_eq!(failed.left, [message(2)]);
        let known = [(message(0), Ok("id".to_owned())), (message(1), Err("Refused".to_owned()))];
        assert_eq!(failed.done, known);
    }
}
