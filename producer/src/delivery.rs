//! The delivery of one batch: it is retried until each message is sent, refused or abandoned.
//!
//! 1. An entry with a transient failure is sent again. On a FIFO queue it is abandoned if SQS has accepted later entries of its
//!    group.
//! 2. If the response to a message is lost, the message is in doubt. It is sent again unless the caller does not want that; to
//!    a FIFO queue it is sent again only while SQS recognizes duplicates. Without a confirmation it stays in doubt, regardless of
//!    later attempts.
//! 3. If SQS refuses a request as a whole, it is sent again entry by entry, so that one message does not fail others. On a FIFO
//!    queue, later messages of a group then wait for the earlier ones.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::{Jitter, JitterMode};
use drumline_runtime::{SqsError, SqsErrorKind};
use tokio::time::{Instant, sleep};

use crate::pack::Outgoing;
use crate::send::{NotTaken, Reply, SendOptions, TRIES, Taken, Why};

/// A FIFO queue remembers a deduplication id for 5 minutes. A message in doubt is sent again only within this time after the
/// first attempt whose response was lost; this leaves a minute for the request itself. See [Exactly-once
/// processing](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html).
pub(crate) const RESEND_WITHIN: Duration = Duration::from_secs(240);

/// The reason for a message in doubt whose deduplication id the FIFO queue may have forgotten.
pub(crate) const FORGOTTEN: &str =
    "its answer is lost, and SQS may no longer recognise it if it is sent again";

/// The reason for a message behind an unsent one of its group.
pub(crate) const BEHIND: &str = "an earlier job of its group was not sent, and would come after it";

/// A message with its result.
pub(crate) type Done = (Outgoing, Result<Taken, NotTaken>);

/// A batch that could not be completed, like [`SendError`](crate::SendError).
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) error: SqsError,
    pub(crate) done: Vec<Done>,
    pub(crate) left: Vec<Outgoing>,
}

/// One attempt to send: one request to SQS.
pub(crate) trait TryOnce: Sync {
    /// Returns the result of each entry.
    fn try_once(&self, batch: &[Outgoing]) -> impl Future<Output = Reply> + Send;
}

/// Sends a batch.
///
/// # Errors
///
/// Returns an error if no attempt can succeed and nothing was sent, or if the response to a request is lost.
pub(crate) async fn deliver(
    sqs: &impl TryOnce,
    options: SendOptions,
    batch: Vec<Outgoing>,
) -> Result<Vec<Done>, Stopped> {
    let backoff = RetryPolicy::default().with_jitter(JitterMode::Equal);
    let left = batch.into_iter().map(|message| Waiting { message, in_doubt_since: None }).collect();
    let mut delivery = Delivery { options, alone: false, done: Vec::new(), left };
    for attempt in (1..=TRIES).filter_map(NonZeroU32::new) {
        delivery.round(sqs, attempt.get() == TRIES).await?;
        if delivery.left.is_empty() {
            break;
        }
        sleep(backoff.delay(attempt, Jitter::new(fastrand::u32(..)))).await;
    }
    Ok(delivery.done)
}

/// A message without a final result.
struct Waiting {
    message: Outgoing,
    /// The time of the first attempt whose response was lost.
    in_doubt_since: Option<Instant>,
}

impl Waiting {
    /// Ends a message without a confirmation. It stays in doubt if an earlier attempt may have sent it.
    fn end(self, why: Why, text: &str) -> Done {
        let why = if self.in_doubt_since.is_some() { Why::InDoubt } else { why };
        (self.message, Err(NotTaken { why, text: text.to_owned() }))
    }
}

struct Delivery {
    options: SendOptions,
    /// True if each message is sent in a separate request.
    alone: bool,
    done: Vec<Done>,
    /// The messages for the next round.
    left: Vec<Waiting>,
}

impl Delivery {
    /// Tries each remaining message once.
    async fn round(&mut self, sqs: &impl TryOnce, is_last: bool) -> Result<(), Stopped> {
        let mut waiting = VecDeque::from(std::mem::take(&mut self.left));
        while !waiting.is_empty() {
            let count = if self.alone { 1 } else { waiting.len() };
            let batch: Vec<Waiting> =
                waiting.drain(..count).filter_map(|waiting| self.unless_held_up(waiting)).collect();
            if batch.is_empty() {
                continue;
            }
            let sent_at = Instant::now();
            let (messages, doubts): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.message, waiting.in_doubt_since)).unzip();
            let reply = sqs.try_once(&messages).await;
            let batch = messages.into_iter().zip(doubts);
            let batch: Vec<Waiting> =
                batch.map(|(message, in_doubt_since)| Waiting { message, in_doubt_since }).collect();
            match reply {
                Ok(results) => self.answered(batch, results, sent_at, is_last),
                Err(error) if is_refusal(&error) && batch.len() > 1 => {
                    self.alone = true;
                    waiting = batch.into();
                }
                Err(error) => self.failed(batch, &mut waiting, error, sent_at, is_last)?,
            }
        }
        Ok(())
    }

    /// Returns the message if it can be sent now, and is not blocked by an earlier one of its group.
    fn unless_held_up(&mut self, waiting: Waiting) -> Option<Waiting> {
        if !self.options.fifo {
            return Some(waiting);
        }
        if waiting.in_doubt_since.is_some_and(|since| since.elapsed() > RESEND_WITHIN) {
            self.done.push(waiting.end(Why::InDoubt, FORGOTTEN));
            return None;
        }
        let group = waiting.message.group.as_ref();
        if !self.alone || group.is_none() {
            return Some(waiting);
        }
        if self.left.iter().any(|earlier| earlier.message.group.as_ref() == group) {
            self.left.push(waiting);
            return None;
        }
        if self.done.iter().any(|(earlier, result)| result.is_err() && earlier.group.as_ref() == group) {
            self.done.push(waiting.end(Why::Unavailable, BEHIND));
            return None;
        }
        Some(waiting)
    }

    /// Processes the results of a request's entries.
    fn answered(
        &mut self,
        mut batch: Vec<Waiting>,
        mut results: Vec<Result<Taken, NotTaken>>,
        sent_at: Instant,
        is_last: bool,
    ) {
        for (waiting, result) in batch.iter_mut().zip(&results) {
            if matches!(result, Err(NotTaken { why: Why::InDoubt, .. })) {
                waiting.in_doubt_since.get_or_insert(sent_at);
            }
        }
        if self.options.fifo {
            give_up_overtaken(batch.iter().map(|waiting| &waiting.message), &mut results);
        }
        for (waiting, result) in batch.into_iter().zip(results) {
            match result {
                Ok(taken) => self.done.push((waiting.message, Ok(taken))),
                Err(NotTaken { why: Why::Unavailable, .. }) if !is_last => self.left.push(waiting),
                Err(NotTaken { why: Why::InDoubt, .. }) if !is_last && self.options.sends_again() => {
                    self.left.push(waiting);
                }
                Err(NotTaken { why, text }) => self.done.push(waiting.end(why, &text)),
            }
        }
    }

    /// Processes the failure of a whole request. `rest` was not sent in this round.
    fn failed(
        &mut self,
        mut batch: Vec<Waiting>,
        rest: &mut VecDeque<Waiting>,
        error: SqsError,
        sent_at: Instant,
        is_last: bool,
    ) -> Result<(), Stopped> {
        if error.is_in_doubt {
            for waiting in &mut batch {
                waiting.in_doubt_since.get_or_insert(sent_at);
            }
        }
        let may_try_again = error.kind.passes() && (!error.is_in_doubt || self.options.sends_again());
        if may_try_again && !is_last {
            self.left.extend(batch);
        } else if is_refusal(&error) {
            self.done.extend(batch.into_iter().map(|waiting| waiting.end(Why::Refused, &error.text)));
        } else if error.kind.passes() && !rest.is_empty() {
            self.done.extend(batch.into_iter().map(|waiting| waiting.end(Why::Unavailable, &error.text)));
        } else {
            self.left.extend(batch);
            self.left.extend(rest.drain(..));
            return self.stop(error);
        }
        Ok(())
    }

    /// Ends the delivery with an error. If a part of the batch is already sent, messages that are not in doubt are reported as
    /// not accepted.
    fn stop(&mut self, error: SqsError) -> Result<(), Stopped> {
        let left = std::mem::take(&mut self.left);
        let (in_doubt, not_taken): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|waiting| waiting.in_doubt_since.is_some());
        let is_in_doubt = !in_doubt.is_empty();
        let left = if is_in_doubt || !self.done.is_empty() {
            self.done.extend(not_taken.into_iter().map(|waiting| waiting.end(Why::Unavailable, &error.text)));
            in_doubt
        } else {
            not_taken
        };
        if left.is_empty() {
            return Ok(());
        }
        Err(Stopped {
            error: SqsError { is_in_doubt, ..error },
            done: std::mem::take(&mut self.done),
            left: left.into_iter().map(|waiting| waiting.message).collect(),
        })
    }
}

/// Returns true if SQS refuses this particular request. One entry may be the cause.
fn is_refusal(error: &SqsError) -> bool {
    error.kind == SqsErrorKind::Other && !error.is_in_doubt
}

/// Abandons messages that would be sent after later ones of their group.
fn give_up_overtaken<'a>(
    batch: impl DoubleEndedIterator<Item = &'a Outgoing> + ExactSizeIterator,
    results: &mut [Result<Taken, NotTaken>],
) {
    let mut taken: Vec<&str> = Vec::new();
    for (message, result) in batch.zip(results).rev() {
        let Some(group) = message.group.as_deref() else { continue };
        match result {
            Ok(_) => taken.push(group),
            Err(not_taken)
                if matches!(not_taken.why, Why::Unavailable | Why::InDoubt) && taken.contains(&group) =>
            {
                not_taken.why = Why::Overtaken;
                not_taken.text += "; it was not tried again, since later jobs of its group are in the queue, and would run before it";
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
