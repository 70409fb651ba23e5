//! The shared state of a server: the state machine, a clock, and those who wait.

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

/// A handle to the queues of a [`Server`](super::Server) or of one [process](super::InProcess), for use in the same process. Clones share the queues.
///
/// Calls take a lock for some microseconds and are safe from any thread. What they send is received over HTTP, and the
/// other way round.
#[derive(Debug, Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells the alarm that its time has moved forward.
    alarm: Notify,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    sqs: Sqs,
    waiting: Waiting,
    /// When the alarm rings next.
    alarm_at: Option<Timestamp>,
    /// No receive waits any more.
    ended: bool,
}

impl Endpoint {
    pub(super) fn new(identity: Identity) -> Self {
        // The standard library's hasher is the one source of randomness at hand. Ids need to differ between runs, not
        // to be secret.
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

    /// Runs any call of the state machine at the present time, then answers the receives that it lets through.
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

    /// Sends a message that is nothing but a body, and returns its id.
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

    /// All messages of a queue in the order they came. Counts as no receive and changes nothing.
    ///
    /// # Errors
    ///
    /// `QueueDoesNotExist`.
    pub fn peek(&self, queue_url: &str) -> Result<Vec<PeekedMessage>, SqsError> {
        self.call(|sqs, now| sqs.peek(now, queue_url))
    }

    /// Receives messages, waiting for one as long as the request or the queue says.
    ///
    /// Dropping the future before it is ready leaves no message hidden: what was handed over in that instant is released, and counts
    /// as received.
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
                // It may have been answered in the instant its time ran out.
                open.answer.try_recv().unwrap_or_else(|_| Ok(ReceiveMessageReply::default()))
            }
        }
    }

    /// Answers all waiting receives at once with no messages. From now on no receive waits.
    ///
    /// For shutting down: consumers get their open receives back without waiting up to 20 seconds for them.
    pub fn end_long_polls(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.waiting.end();
    }

    /// How many receives wait for a message at present.
    pub fn waiting_receives(&self) -> usize {
        self.lock().waiting.count()
    }

    /// The present time on the endpoint's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Moves the endpoint's clock forward, by whole milliseconds: what is due by then happens at once.
    ///
    /// For tests on a real clock, which need not wait for delays. The waits of open receives are not shortened by it.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        self.shared.clock.advance(by);
        self.after_change(&mut state, self.now());
        // The alarm's time is nearer than it was.
        self.shared.alarm.notify_one();
    }

    /// Rings when time alone lets a waiting receive through: a visibility timeout or a delay has ended. Never returns.
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
                    // Losing a notification here is impossible: the time is read again in the next turn.
                    () = self.shared.alarm.notified() => {}
                },
            }
        }
    }

    /// Serves those who wait and sets the alarm for the rest.
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

/// A receive that waits. When its future goes away, it is taken off the waiting list, and messages that it was answered with and that
/// its caller has not read are made visible again.
struct OpenReceive<'a> {
    endpoint: &'a Endpoint,
    id: u64,
    queue_url: String,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for OpenReceive<'_> {
    fn drop(&mut self) {
        self.endpoint.lock().waiting.forget(self.id);
        // No answer can come after that, and an answer that was read is not here any more.
        let Ok(Ok(unread)) = self.answer.try_recv() else { return };
        self.endpoint.call(|sqs, now| {
            for message in unread.messages {
                let release = ChangeMessageVisibility {
                    queue_url: self.queue_url.clone(),
                    receipt_handle: message.receipt_handle,
                    visibility_timeout: Some(0),
                };
                // It is refused if the message is visible already.
                let _ = sqs.change_message_visibility(now, &release);
            }
        });
    }
}
