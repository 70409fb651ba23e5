//! A look into a queue: messages are received, stay hidden while the look lasts so that none is seen twice, and are put
//! back.

use std::collections::HashMap;
use std::future::Future;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use drumline::core::MAX_BATCH;
use drumline::message::Message;
use drumline::run::NoopObserver;
use drumline_consumer::ExitError;
use drumline_runtime::aws::{AwsQueue, explain, is_fifo};
use drumline_runtime::{Queue, SqsError};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::queue::{DeadLetterQueue, WAIT, unavailable};
use crate::format::{count, note, short};

/// For how long a look of few messages hides them: what a killed look leaves hidden, and several times what it takes.
const SHORTEST: Duration = Duration::from_secs(30);

/// Messages looked at in a second, at the least. By that a long look hides its first messages until its end.
const SLOWEST_PER_SEC: u64 = 10;

/// SQS hides a message for twelve hours at most.
const LONGEST: Duration = Duration::from_secs(43_200);

/// Receives in a row that bring nothing new before it is taken for the end, where more messages are said to be there.
/// What SQS says of their number is approximate.
const FRUITLESS_RECEIVES: u32 = 3;

/// How often messages are tried to be put back.
const TRIES: u32 = 3;

/// The wait in between.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// A look that has begun.
pub(super) struct Browse<'a> {
    queue: &'a DeadLetterQueue,
    receives: AwsQueue,
    limit: usize,
    visibility: Duration,
    /// The newest receipt of each message, in the order in which they were first seen.
    receipts: Vec<String>,
    places: HashMap<Arc<str>, usize>,
    /// In a task of its own: a receive that is dropped may hide messages that nobody knows of.
    in_flight: Option<JoinHandle<Received>>,
    pub(super) bar: ProgressBar,
}

type Received = Result<Vec<Message>, SqsError>;

impl<'a> Browse<'a> {
    pub(super) fn begin(queue: &'a DeadLetterQueue, limit: usize) -> Self {
        let visibility = visibility(limit);
        let receives = AwsQueue::new(queue.clients.clone(), queue.url.clone(), Arc::new(NoopObserver));
        let receives = receives.receiving(WAIT, visibility).with_dead_letter_sources();
        let bar = progress_bar(limit.min(queue.visible));
        Self {
            queue,
            receives,
            limit,
            visibility,
            receipts: Vec::new(),
            places: HashMap::new(),
            in_flight: None,
            bar,
        }
    }

    /// How many messages were looked at.
    pub(super) fn seen(&self) -> usize {
        self.receipts.len()
    }

    /// Messages that were not seen before, ten at most; none at the end.
    pub(super) async fn more(&mut self) -> Result<Vec<Message>, ExitError> {
        let mut fruitless = 0;
        while self.seen() < self.limit {
            let max = MAX_BATCH.min(self.limit - self.seen());
            let received = self.receive(max).await.map_err(|error| unavailable(&self.queue.name, &error))?;
            let is_empty = received.is_empty();
            let new: Vec<Message> = received.into_iter().filter(|message| self.is_new(message)).collect();
            self.bar.set_position(self.seen() as u64);
            if !new.is_empty() {
                return Ok(new);
            }
            fruitless += 1;
            if fruitless == FRUITLESS_RECEIVES || is_empty && self.seen() >= self.queue.visible {
                break;
            }
        }
        Ok(Vec::new())
    }

    /// Cancel-safe: what it would have brought is found by [`end`](Self::end).
    async fn receive(&mut self, max: usize) -> Received {
        let receive = tokio::spawn(self.receives.receive(max));
        let received = self.in_flight.insert(receive).await;
        self.in_flight = None;
        received.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// A message that comes again, after its time or on a whim of SQS, is put back by its newest receipt.
    fn is_new(&mut self, message: &Message) -> bool {
        if let Some(&place) = self.places.get(&message.id) {
            message.receipt.clone_into(&mut self.receipts[place]);
            return false;
        }
        self.places.insert(Arc::clone(&message.id), self.receipts.len());
        self.receipts.push(message.receipt.clone());
        true
    }

    /// Does `work` unless Ctrl-C comes first; what is hidden is put back in either case.
    pub(super) async fn unless_interrupted<T>(
        work: impl Future<Output = Result<T, ExitError>>,
    ) -> Result<T, ExitError> {
        tokio::select! {
            result = work => result,
            signal = tokio::signal::ctrl_c() => {
                signal?;
                Err(ExitError::other("interrupted"))
            }
        }
    }

    /// Ends the look: everybody can receive the messages again. Tells how much was seen, and of that how much matches.
    pub(super) async fn end(mut self, is_whole: bool, matching: Option<usize>) {
        self.bar.finish_and_clear();
        if is_whole || self.seen() > 0 {
            self.eprint_notes(matching);
        }
        if let Some(receive) = self.in_flight.take()
            && let Ok(Ok(messages)) = receive.await
        {
            for message in &messages {
                self.is_new(message);
            }
        }
        self.put_all_back().await;
    }

    async fn put_all_back(&self) {
        let mut left: Vec<&str> = self.receipts.iter().map(String::as_str).collect();
        let mut why = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(RETRY_WAIT).await;
            }
            let mut failed = Vec::new();
            for batch in left.chunks(MAX_BATCH) {
                match self.put_back(batch).await {
                    Ok(refused) => failed.extend(refused.into_iter().map(|(index, text)| {
                        why = text;
                        batch[index]
                    })),
                    Err(error) => {
                        why = error.text;
                        failed.extend_from_slice(batch);
                    }
                }
            }
            left = failed;
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            note(&format!(
                "{} could not be put back, and can be received again within {}: {why}",
                count(left.len(), "message"),
                short(u64::try_from(self.visibility.as_millis()).unwrap_or(u64::MAX))
            ));
        }
    }

    /// The entries that were refused, and why. See
    /// [ChangeMessageVisibilityBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html).
    async fn put_back(&self, receipts: &[&str]) -> Result<Vec<(usize, String)>, SqsError> {
        let entry = |(index, receipt): (usize, &&str)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(0)
                .build()
                .expect("all fields are set")
        };
        let entries = receipts.iter().enumerate().map(entry).collect();
        let calls = &self.queue.clients.calls;
        let request = calls.change_message_visibility_batch().queue_url(&self.queue.url);
        let reply = request.set_entries(Some(entries)).send().await;
        let reply = reply.map_err(|error| explain("ChangeMessageVisibilityBatch", &error))?;
        let done: Vec<&str> = reply.successful.iter().map(|entry| entry.id.as_str()).collect();
        let refused = (0..receipts.len()).filter(|index| !done.contains(&index.to_string().as_str()));
        let text = |index: usize| {
            let failed = reply.failed.iter().find(|entry| entry.id == index.to_string());
            failed.map_or_else(
                || "the answer does not mention it".to_owned(),
                |entry| format!("{}: {}", entry.code, entry.message.as_deref().unwrap_or_default()),
            )
        };
        Ok(refused.map(|index| (index, text(index))).collect())
    }

    fn eprint_notes(&self, matching: Option<usize>) {
        let DeadLetterQueue { name, visible, hidden, .. } = self.queue;
        let seen = self.seen();
        if seen == 0 {
            note(&match hidden {
                0 => format!("{name} is empty"),
                _ => format!(
                    "{name} shows no message; about {hidden} are hidden, because somebody has received them"
                ),
            });
            return;
        }
        let matching = matching.map(|matching| format!(", {matching} of them match")).unwrap_or_default();
        note(&format!(
            "looked at {} in {name}{matching}; each has been received once more by that",
            count(seen, "message")
        ));
        if seen == self.limit && *visible > seen {
            note(&format!("about {} more were not looked at; --limit takes another number", visible - seen));
        } else if is_fifo(name) && *visible > seen {
            note(&format!("about {} more are behind the first ten of their message groups", visible - seen));
        }
        if *hidden > 0 {
            note(&format!("about {hidden} more are hidden, because somebody has received them"));
        }
    }
}

/// For how long messages are hidden by a look at so many.
fn visibility(limit: usize) -> Duration {
    let extra = Duration::from_secs(limit as u64 / SLOWEST_PER_SEC);
    (SHORTEST + extra).min(LONGEST)
}

fn progress_bar(expected: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{spinner} looked at {pos} of about {len}, {per_sec}";
    let style = ProgressStyle::with_template(template).expect("the template is sound");
    let bar = ProgressBar::new(expected as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_hides_no_longer_than_it_may_take() {
        assert_eq!(visibility(1), Duration::from_secs(30));
        assert_eq!(visibility(100), Duration::from_secs(40));
        assert_eq!(visibility(usize::MAX), LONGEST);
    }
}
