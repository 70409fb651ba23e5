//! The shared state of a server: the state machine, a clock, and the waiting receives.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::clock::Clock;
use super::waiting::{Answer, Waiting};
use crate::api::{ChangeMessageVisibility, CreateQueue, ReceiveMessage, ReceiveMessageReply, SendMessage};
use crate::checks::FIFO_SUFFIX;
use crate::error::SqsError;
use crate::sqs::{Identity, PeekedMessage, Sqs};
use crate::time::Timestamp;

/// A handle to the queues of a [`Server`](super::Server) or of an [`InProcess`](super::InProcess), for use in the same process.
/// Clones share the queues.
///
/// Calls take a lock for some microseconds and can be made from any thread. Messages sent through the handle can be received
/// over HTTP, and vice versa.
#[derive(Debug, Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Notifies the alarm that its time has changed to an earlier one.
    alarm: Notify,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    sqs: Sqs,
    waiting: Waiting,
    /// The time of the next alarm.
    alarm_at: Option<Timestamp>,
    /// True if receives no longer wait.
    ended: bool,
}

impl Endpoint {
    pub(super) fn new(identity: Identity) -> Self {
        // The standard library's hasher is the only available source of randomness. Ids must differ between runs, but need not
        // be secret.
        let seed = RandomState::new().hash_one(0_u8);
        let state = State {
            sqs: Sqs::new(identity, seed),
            waiting: Waiting::default(),
            alarm_at: None,
            ended: false,
        };
        let shared = Shared { state: Mutex::new(state), alarm: Notify::new(), clock: Clock::start() };
        Self { shared: Arc::new(shared) }
    }

    /// Runs any call of the state machine at the current time, then answers the waiting receives that can now be answered.
    ///
    /// ```no_run
    /// # fn example(endpoint: &drumline_queue::Endpoint) -> Result<(), drumline_queue::SqsError> {
    /// use drumline_queue::api::OneQueue;
    /// endpoint.call(|sqs, now| sqs.purge_queue(now, &OneQueue { queue_url: "jobs".into() }))
    /// # }
    /// ```
    pub fn call<R>(&self, action: impl FnOnce(&mut Sqs, Timestamp) -> R) -> R {
        let mut state = self.lock();
        let now = self.now();
        let result = action(&mut state.sqs, now);
        self.after_change(&mut state, now);
        result
    }

    /// Creates a queue, or finds it, and returns its URL.
    ///
    /// # Errors
    ///
    /// As [`Sqs::create_queue`].
    pub fn create_queue(&self, name: &str, attributes: &[(&str, &str)]) -> Result<String, SqsError> {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = CreateQueue { queue_name: name.to_owned(), attributes, tags: BTreeMap::new() };
        self.call(|sqs, now| sqs.create_queue(now, request)).map(|reply| reply.queue_url)
    }

    /// Creates a queue together with its dead-letter queue, and returns both URLs.
    ///
    /// # Errors
    ///
    /// As [`Sqs::create_queue`].
    pub fn create_queue_with_dead_letters(
        &self,
        name: &str,
        dead_letter_name: &str,
        max_receive_count: u32,
    ) -> Result<(String, String), SqsError> {
        let fifo: &[(&str, &str)] = if name.ends_with(FIFO_SUFFIX) { &[("FifoQueue", "true")] } else { &[] };
        let dead_letter_url = self.create_queue(dead_letter_name, fifo)?;
        let arn = self.call(|sqs, _| sqs.queue_arn(dead_letter_name));
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max_receive_count}}}"#);
        let attributes = [fifo, &[("RedrivePolicy", policy.as_str())]].concat();
        Ok((self.create_queue(name, &attributes)?, dead_letter_url))
    }

    /// Sends a message with only a body, and returns its id.
    ///
    /// # Errors
    ///
    /// As [`Sqs::send_message`].
    pub fn send(&self, queue_url: &str, body: &str) -> Result<Arc<str>, SqsError> {
        let request = SendMessage {
            queue_url: queue_url.to_owned(),
            message_body: body.to_owned(),
            ..Default::default()
        };
        self.call(|sqs, now| sqs.send_message(now, request)).map(|reply| reply.message_id)
    }

    /// Returns all messages of a queue in their order of arrival. It is not a receive and changes nothing.
    ///
    /// # Errors
    ///
    /// `QueueDoesNotExist`.
    pub fn peek(&self, queue_url: &str) -> Result<Vec<PeekedMessage>, SqsError> {
        self.call(|sqs, now| sqs.peek(now, queue_url))
    }

    /// Receives messages, waiting for one as long as the request or the queue specifies.
    ///
    /// Dropping the future before it is ready leaves no message hidden: messages that were just delivered to it are released,
    /// and count as received.
    ///
    /// # Errors
    ///
    /// As [`Sqs::receive_message`].
    pub async fn receive(&self, request: ReceiveMessage) -> Answer {
        let queue_url = request.queue_url.clone();
        let (wait, id, answer) = {
            let mut state = self.lock();
            let now = self.now();
            let wait = state.sqs.receive_wait(&request)?;
            let reply = state.sqs.receive_message(now, &request)?;
            if !reply.messages.is_empty() || wait.is_zero() || state.ended {
                self.after_change(&mut state, now);
                return Ok(reply);
            }
            let (id, answer) = state.waiting.add(request);
            self.after_change(&mut state, now);
            (wait, id, answer)
        };
        let mut open = OpenReceive { endpoint: self, id, queue_url, answer };
        tokio::select! {
            biased;
            answer = &mut open.answer => answer.unwrap_or_else(|_| Ok(ReceiveMessageReply::default())),
            () = tokio::time::sleep(wait) => {
                self.lock().waiting.forget(id);
                // It may have been answered at the moment its time ran out.
                open.answer.try_recv().unwrap_or_else(|_| Ok(ReceiveMessageReply::default()))
            }
        }
    }

    /// Answers all waiting receives immediately with no messages. From now on no receive waits.
    ///
    /// Use it for a shutdown: consumers get the responses to their open receives without waiting up to 20 seconds.
    pub fn end_long_polls(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.waiting.end();
    }

    /// Returns the number of receives that are waiting for a message.
    pub fn waiting_receives(&self) -> usize {
        self.lock().waiting.count()
    }

    /// Returns the current time of the endpoint's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Moves the endpoint's clock forward by whole milliseconds: everything that is due by then happens at once.
    ///
    /// Use it in tests with a real clock, which then need not wait for delays. It does not shorten the waits of open receives.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        self.shared.clock.advance(by);
        self.after_change(&mut state, self.now());
        // The time until the alarm is now shorter.
        self.shared.alarm.notify_one();
    }

    /// Runs the alarm, which answers a waiting receive when time alone makes a message available: a visibility timeout or a
    /// delay has ended. Never returns.
    pub(super) async fn ring(self) {
        loop {
            let alarm_at = self.lock().alarm_at;
            match alarm_at {
                None => self.shared.alarm.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(self.shared.clock.instant(at)) => {
                        let mut state = self.lock();
                        state.alarm_at = None;
                        self.after_change(&mut state, self.now());
                    }
                    // No notification can be lost here: the time is read again in the next iteration.
                    () = self.shared.alarm.notified() => {}
                },
            }
        }
    }

    /// Answers waiting receives and sets the alarm for the others.
    fn after_change(&self, state: &mut State, now: Timestamp) {
        let State { sqs, waiting, alarm_at, .. } = state;
        waiting.serve(sqs, now);
        if let Some(next) = waiting.next_change(sqs)
            && alarm_at.is_none_or(|at| next < at)
        {
            *alarm_at = Some(next);
            self.shared.alarm.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the state machine does not panic")
    }
}

/// A waiting receive. If its future is dropped, the receive is removed from the waiting list, and messages of an unread
/// response become visible again.
struct OpenReceive<'a> {
    endpoint: &'a Endpoint,
    id: u64,
    queue_url: String,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for OpenReceive<'_> {
    fn drop(&mut self) {
        self.endpoint.lock().waiting.forget(self.id);
        // No response can arrive after that, and a response that was read is no longer here.
        let Ok(Ok(unread)) = self.answer.try_recv() else { return };
        self.endpoint.call(|sqs, now| {
            for message in unread.messages {
                let release = ChangeMessageVisibility {
                    queue_url: self.queue_url.clone(),
                    receipt_handle: message.receipt_handle,
                    visibility_timeout: Some(0),
                };
                // This is refused if the message is already visible.
                let _ = sqs.change_message_visibility(now, &release);
            }
        });
    }
}
