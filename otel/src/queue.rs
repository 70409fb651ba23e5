//! The spans of requests to SQS: what is received, and how messages with a recorded attempt are settled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline::core::{Action, CallError, Replies};
use drumline::message::{Message, Traceparent};
use drumline_runtime::{BoxFuture, Queue, SqsError};
use foldhash::fast::RandomState;

use crate::names::{BATCH_COUNT, MESSAGE_ID};
use crate::spans::{Ended, Link, Operation, Spans, now};
use crate::wire::Value;

/// The most recorded attempts whose messages are not settled yet. More are forgotten: their settling has no span.
const MAX_UNSETTLED: usize = 4_096;

/// The messages of recorded attempts that have ended, by their receipts.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// Hashed cheaply, since receipts are long, and all of a request are looked up if one job of it was recorded.
    attempts: Mutex<HashMap<Box<str>, Attempt, RandomState>>,
    /// The number of them: most requests settle none, and take no lock.
    count: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Attempt {
    traceparent: Traceparent,
    /// The W3C `tracestate` of its span.
    state: Option<Box<str>>,
    message_id: Arc<str>,
    /// It is to be deleted: a change of its visibility is a renewal.
    is_done: bool,
}

impl Unsettled {
    /// Keeps an attempt that has ended.
    pub(crate) fn ran(
        &self,
        message: &Message,
        traceparent: &Traceparent,
        state: Option<&str>,
        is_done: bool,
    ) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= MAX_UNSETTLED {
            attempts.clear();
        }
        let (traceparent, message_id) = (traceparent.clone(), Arc::clone(&message.id));
        let attempt = Attempt { traceparent, state: state.map(Box::from), message_id, is_done };
        attempts.insert(message.receipt.as_str().into(), attempt);
        self.count.store(attempts.len(), Ordering::Release);
    }

    /// Returns the attempts that an action settles, with the places of their entries.
    fn settled_by(&self, action: &Action) -> Vec<(usize, Box<str>, Attempt)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |(place, receipt): (usize, &str), of_done: bool| {
            let attempt = attempts.get(receipt).filter(|attempt| of_done || !attempt.is_done)?;
            Some((place, receipt.into(), attempt.clone()))
        };
        match action {
            Action::Delete(entries) => {
                let receipts = entries.iter().map(|entry| &*entry.receipt).enumerate();
                receipts.filter_map(|entry| find(entry, true)).collect()
            }
            Action::ChangeVisibility(entries) => {
                let receipts = entries.iter().map(|entry| &*entry.receipt).enumerate();
                receipts.filter_map(|entry| find(entry, false)).collect()
            }
            Action::DeadLetter { message, .. } => find((0, &message.receipt), true).into_iter().collect(),
        }
    }

    fn forget(&self, receipt: &str) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.remove(receipt);
        self.count.store(attempts.len(), Ordering::Release);
    }
}

/// A queue whose requests are recorded.
pub(crate) struct TracedQueue {
    pub(crate) inner: Arc<dyn Queue>,
    pub(crate) requests: Arc<Requests>,
}

/// The URLs of the queues, by name. Two queues of different regions or accounts may share a name, which then has no URL here.
#[derive(Debug, Default)]
pub(crate) struct QueueUrls(Mutex<HashMap<String, Option<Arc<str>>>>);

impl QueueUrls {
    /// Adds the URL of a queue. The same one may be added again.
    pub(crate) fn add(&self, name: &str, url: &str) {
        let mut urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = urls.entry(name.to_owned()).or_insert_with(|| Some(url.into()));
        if known.as_deref() != Some(url) {
            *known = None;
        }
    }

    /// Returns the URL of the only queue of this name.
    pub(crate) fn of(&self, name: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().flatten()
    }
}

/// What the spans of a queue's requests need.
pub(crate) struct Requests {
    pub(crate) spans: Arc<Spans>,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) queue: String,
    pub(crate) url: String,
}

impl TracedQueue {
    fn received(
        &self,
        receiving: BoxFuture<Result<Vec<Message>, SqsError>>,
    ) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        // A receive belongs to no trace but its own.
        let Some(own) = self.requests.spans.begin(None) else { return receiving };
        let requests = Arc::clone(&self.requests);
        Box::pin(async move {
            let started_at = now();
            let result = receiving.await;
            requests.received(&own, started_at, &result);
            result
        })
    }
}

impl Queue for TracedQueue {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.received(self.inner.receive(max))
    }

    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.received(self.inner.receive_now(max))
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let settled = self.requests.unsettled.settled_by(&action);
        if settled.is_empty() {
            return self.inner.perform(action);
        }
        let name = match &action {
            Action::Delete(_) => "delete",
            Action::ChangeVisibility(_) => "change_visibility",
            Action::DeadLetter { .. } => "dead_letter",
        };
        let performing = self.inner.perform(action);
        let requests = Arc::clone(&self.requests);
        Box::pin(async move {
            let started_at = now();
            let replies = performing.await;
            for (place, receipt, attempt) in settled {
                let reply = replies.get(place);
                requests.settled(name, started_at, &attempt, reply);
                if reply.is_some_and(Result::is_ok) {
                    requests.unsettled.forget(&receipt);
                }
            }
            replies
        })
    }
}

impl Requests {
    /// Records a receive that has brought something or has failed. One that brought nothing is no operation on a message.
    fn received(&self, own: &Traceparent, started_at: Duration, result: &Result<Vec<Message>, SqsError>) {
        let messages = result.as_ref().map_or(&[][..], |messages| &messages[..]);
        if messages.is_empty() && result.is_ok() {
            return;
        }
        let sender = |message: &Message| Traceparent::parse(&message.traceparent()?);
        let senders: Vec<_> =
            messages.iter().filter_map(|message| Some((sender(message)?, message))).collect();
        let links: Vec<_> = senders
            .iter()
            .map(|(to, message)| Link { to, state: message.attribute("tracestate"), message_id: &message.id })
            .collect();
        let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
        let error = result.as_ref().err();
        self.spans.end(&Ended {
            operation: Operation::Receive,
            name: "receive",
            queue: &self.queue,
            url: Some(&self.url),
            own,
            parent: None,
            state: None,
            started_at,
            links: &links,
            attributes: &[(BATCH_COUNT, Value::Number(count))],
            error: error.map(|error| (SqsError::result_of(result).label(), &*error.text)),
        });
    }

    /// Records how a message of a recorded attempt was settled, in that attempt's trace.
    fn settled(
        &self,
        name: &'static str,
        started_at: Duration,
        attempt: &Attempt,
        reply: Option<&Result<(), CallError>>,
    ) {
        let Some(own) = self.spans.begin(Some(&attempt.traceparent)) else { return };
        let error = match reply {
            Some(Ok(())) => None,
            Some(Err(CallError::Gone(text))) => Some(("gone", &**text)),
            Some(Err(CallError::Refused(text))) => Some(("refused", &**text)),
            Some(Err(CallError::Failed(text))) => Some(("failed", &**text)),
            None => Some(("failed", "the answer does not mention this message")),
        };
        self.spans.end(&Ended {
            operation: Operation::Settle,
            name,
            queue: &self.queue,
            url: Some(&self.url),
            own: &own,
            parent: Some(&attempt.traceparent),
            state: attempt.state.as_deref(),
            started_at,
            links: &[],
            // The span is of one message, also in a request for several: it has no number of messages.
            attributes: &[(MESSAGE_ID, Value::Text(&attempt.message_id))],
            error,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_queues_share_has_no_url() {
        let urls = QueueUrls::default();
        for url in ["https://eu/1/jobs", "https://eu/1/jobs"] {
            urls.add("jobs", url);
        }
        assert_eq!((urls.of("jobs").as_deref(), urls.of("mails")), (Some("https://eu/1/jobs"), None));
        for url in ["https://us/1/jobs", "https://eu/1/jobs"] {
            urls.add("jobs", url);
            assert_eq!(urls.of("jobs"), None);
        }
    }
}
