//! The state machine's state, and the code that its calls share; each group of calls has its own file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::move_task::MoveTask;
use crate::dedup::Deduplication;
use crate::error::{ErrorCode, SqsError};
use crate::ids::IdSource;
use crate::limits::{DEDUPLICATION_ENTRY_BYTES, MAX_IN_FLIGHT, MAX_STORED_BYTES};
use crate::settings::Settings;
use crate::store::Store;
use crate::time::Timestamp;

/// The URL, region and account that the endpoint uses.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The prefix of queue URLs, without a slash at the end: `http://127.0.0.1:9324`.
    pub endpoint_url: String,
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs and queue URLs: twelve digits.
    pub account: String,
}

impl Identity {
    /// Creates the identity of an endpoint at `endpoint_url` in region `us-east-1` and account `000000000000`.
    pub fn at(endpoint_url: impl Into<String>) -> Self {
        Self { endpoint_url: endpoint_url.into(), region: "us-east-1".into(), account: "000000000000".into() }
    }
}

/// All queues of one endpoint, as a state machine.
///
/// It performs no I/O, reads no clock and has no threads. Every method takes the current time, which must not go backwards
/// between calls (if it does, the machine stays consistent, but past events are not undone). Identifiers are derived from the
/// seed, so equal calls on equal machines return equal results.
///
/// ```
/// use drumline_queue::api::{CreateQueue, ReceiveMessage, SendMessage};
/// use drumline_queue::{Identity, Sqs, Timestamp};
///
/// let mut sqs = Sqs::new(Identity::at("http://127.0.0.1:9324"), 1);
/// let noon = Timestamp::from_secs(43_200);
/// let url = sqs.create_queue(noon, CreateQueue { queue_name: "jobs".into(), ..Default::default() })?.queue_url;
/// sqs.send_message(noon, SendMessage { queue_url: url.clone(), message_body: "hello".into(), ..Default::default() })?;
/// let received = sqs.receive_message(noon, &ReceiveMessage { queue_url: url, ..Default::default() })?;
/// assert_eq!(&*received.messages[0].body, "hello");
/// # Ok::<(), drumline_queue::SqsError>(())
/// ```
#[derive(Debug)]
pub struct Sqs {
    pub(super) identity: Identity,
    pub(super) ids: IdSource,
    pub(super) queues: BTreeMap<String, Queue>,
    /// Deletion times of queues whose names are still blocked.
    pub(super) deleted: HashMap<String, Timestamp>,
    pub(super) tasks: Vec<MoveTask>,
    /// [`MAX_STORED_BYTES`], or a smaller value in the test that fills it.
    pub(super) max_stored_bytes: usize,
    /// [`MAX_IN_FLIGHT`], unless [`Sqs::limit_in_flight`] has set it.
    pub(super) max_in_flight: usize,
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Distinguishes this queue from an earlier queue of the same name in receipt handles.
    pub(super) instance: u64,
    pub(super) arn: Arc<str>,
    pub(super) settings: Settings,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created_at: Timestamp,
    pub(super) modified_at: Timestamp,
    pub(super) purged_at: Option<Timestamp>,
    pub(super) deduplication: Deduplication,
    pub(super) next_sequence_number: u64,
    pub(super) store: Store,
}

impl Queue {
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.store.advance(now, self.settings.retention);
        self.deduplication.forget_expired(now);
    }

    /// Returns the next FIFO sequence number. It has 20 digits and grows by one.
    pub(super) fn sequence_number(&mut self) -> Arc<str> {
        let number = self.next_sequence_number;
        self.next_sequence_number += 1;
        number.to_string().into()
    }
}

/// The first sequence number of a FIFO queue: the smallest number with 20 digits, like SQS's.
pub(super) const FIRST_SEQUENCE_NUMBER: u64 = 10_000_000_000_000_000_000;

impl Sqs {
    /// Creates an endpoint without queues. Message ids and task handles are derived from `seed`.
    pub fn new(identity: Identity, seed: u64) -> Self {
        Self {
            identity,
            ids: IdSource::new(seed),
            queues: BTreeMap::new(),
            deleted: HashMap::new(),
            tasks: Vec::new(),
            max_stored_bytes: MAX_STORED_BYTES,
            max_in_flight: MAX_IN_FLIGHT,
        }
    }

    /// Limits the messages in flight of each queue to this number instead of [`MAX_IN_FLIGHT`], for tests of programs that
    /// reach the limit.
    pub fn limit_in_flight(&mut self, messages: usize) {
        self.max_in_flight = messages;
    }

    /// Returns the endpoint's URL, region and account.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the URL that a queue called `name` has or would have.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.identity.endpoint_url, self.identity.account)
    }

    /// Returns the ARN that a queue called `name` has or would have; redrive policies name queues by ARN.
    pub fn queue_arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.identity.region, self.identity.account)
    }

    /// Returns the queue's name in one of this endpoint's ARNs.
    pub(super) fn name_in_arn<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let name = arn.rsplit(':').next()?;
        (arn == self.queue_arn(name)).then_some(name)
    }

    /// Returns the queue at `url`, with time advanced to `now`.
    pub(super) fn queue_at(&mut self, now: Timestamp, url: &str) -> Result<&mut Queue, SqsError> {
        self.run_moves(now);
        let queue = self.queues.get_mut(queue_name(url)).ok_or_else(no_such_queue)?;
        queue.advance(now);
        Ok(queue)
    }

    /// Returns true if a receive on the queue would find something at `now`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::QueueDoesNotExist`].
    pub fn has_receivable(&mut self, now: Timestamp, queue_url: &str) -> Result<bool, SqsError> {
        Ok(self.queue_at(now, queue_url)?.store.has_receivable())
    }

    /// Returns the next time at which a receive could find a message without any call in between: a visibility timeout or delay
    /// ends, a message that blocks its group expires, or a move task moves a message.
    ///
    /// `None` when there is no such time, or no such queue.
    pub fn next_change(&self, queue_url: &str) -> Option<Timestamp> {
        let queue = self.queues.get(queue_name(queue_url))?;
        let expiry = queue.store.oldest_sent_at().map(|sent_at| sent_at.plus(queue.settings.retention));
        let expiry = expiry.filter(|_| queue.settings.fifo);
        let moves = self.tasks.iter().filter_map(MoveTask::next_move_at);
        moves.chain(expiry).chain(queue.store.next_visible_at()).min()
    }

    /// Returns the bytes charged for all stored data.
    pub(super) fn stored_bytes(&self) -> usize {
        self.queues
            .values()
            .map(|queue| queue.store.charge() + queue.deduplication.len() * DEDUPLICATION_ENTRY_BYTES)
            .sum()
    }
}

/// Returns the queue's name in a queue URL; a bare name is returned unchanged.
pub(crate) fn queue_name(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

pub(super) fn no_such_queue() -> SqsError {
    SqsError::new(ErrorCode::QueueDoesNotExist, "The specified queue does not exist.")
}
