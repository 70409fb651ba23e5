//! The driver against the queue's own state machine, on tokio's paused clock: hours pass in milliseconds.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use drumline::{Action, Attribute, CallError, Message, Policy, Replies, Router};
use drumline_queue::api::{
    ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchEntry, CreateQueue, DeleteMessageBatch,
    DeleteMessageBatchEntry, ReceiveMessage, ReceivedMessage, SendMessage, SettledBatchReply,
};
use drumline_queue::{Identity, PeekedMessage, Sqs, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::aws::is_fifo;
use crate::consumer::driver;
use crate::host::Nobody;
use crate::metrics::Metrics;
use crate::sqs::{BoxFuture, Queue, SqsError, SqsErrorKind};

/// An arbitrary wall-clock time at which every test starts.
const START: u64 = 1_700_000_000_000;

/// The model and what is wrong with it today.
#[derive(Clone)]
pub(super) struct Model {
    sqs: Arc<Mutex<Sqs>>,
    begun: Instant,
    changed: Arc<Notify>,
    pub(super) queue_url: String,
    dead_letter_url: String,
    wait_time: Duration,
    visibility: Duration,
    pub(super) requests: Arc<Requests>,
    /// The next so many of a kind of call fail, each of their entries.
    pub(super) failing_deletes: Arc<AtomicUsize>,
    pub(super) failing_renewals: Arc<AtomicUsize>,
    pub(super) failing_receives: Arc<AtomicUsize>,
    /// Whether the process on this end still lives: a dead one receives no more.
    alive: Arc<AtomicBool>,
    /// The next so many receives never end.
    pub(super) hanging_receives: Arc<AtomicUsize>,
}

/// Requests by action.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) receives: AtomicUsize,
    pub(super) deletes: AtomicUsize,
    pub(super) visibilities: AtomicUsize,
}

impl Model {
    /// A queue called `name` with a DLQ, whose messages are moved after `max_receive_count` receives.
    pub(super) fn new(name: &str, visibility: Duration, max_receive_count: u32) -> Self {
        let mut sqs = Sqs::new(Identity::at("http://model"), 1);
        let fifo = is_fifo(name);
        let dead = if fifo { "dead.fifo" } else { "dead" };
        let arn = sqs.queue_arn(dead);
        let mut create = |name: &str, more: &[(&str, String)]| {
            let mut attributes: BTreeMap<String, String> =
                more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            if fifo {
                attributes.insert("FifoQueue".into(), "true".into());
            }
            let request = CreateQueue { queue_name: name.to_owned(), attributes, tags: BTreeMap::new() };
            sqs.create_queue(Timestamp::from_millis(START), request).unwrap().queue_url
        };
        let dead_letter_url = create(dead, &[]);
        let redrive = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max_receive_count}}}"#);
        let queue_url = create(name, &[("RedrivePolicy", redrive)]);
        Self {
            sqs: Arc::new(Mutex::new(sqs)),
            begun: Instant::now(),
            changed: Arc::default(),
            queue_url,
            dead_letter_url,
            wait_time: Duration::from_secs(20),
            visibility,
            requests: Arc::default(),
            failing_deletes: Arc::default(),
            failing_renewals: Arc::default(),
            failing_receives: Arc::default(),
            alive: Arc::new(AtomicBool::new(true)),
            hanging_receives: Arc::default(),
        }
    }

    pub(super) fn send(&self, body: &str, group: Option<&str>) -> String {
        let request = SendMessage {
            queue_url: self.queue_url.clone(),
            message_body: body.to_owned(),
            message_group_id: group.map(str::to_owned),
            message_deduplication_id: group
                .filter(|_| is_fifo(&self.queue_url))
                .map(|_| format!("{}", fastrand::u128(..))),
            ..SendMessage::default()
        };
        let now = self.now();
        let id = self.lock().send_message(now, request).unwrap().message_id.to_string();
        self.changed.notify_waiters();
        id
    }

    pub(super) fn left(&self) -> Vec<PeekedMessage> {
        let now = self.now();
        self.lock().peek(now, &self.queue_url).unwrap()
    }

    pub(super) fn dead(&self) -> Vec<PeekedMessage> {
        let now = self.now();
        self.lock().peek(now, &self.dead_letter_url).unwrap()
    }

    /// Waits until the queue is empty.
    pub(super) async fn drained(&self) {
        while !self.left().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sqs> {
        self.sqs.lock().unwrap()
    }

    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(START + passed)
    }

    fn receive_now(&self, max: usize) -> Vec<ReceivedMessage> {
        let request = ReceiveMessage {
            queue_url: self.queue_url.clone(),
            message_system_attribute_names: vec!["All".into()],
            message_attribute_names: vec!["All".into()],
            max_number_of_messages: i64::try_from(max).ok(),
            visibility_timeout: i64::try_from(self.visibility.as_secs()).ok(),
            ..ReceiveMessage::default()
        };
        let now = self.now();
        self.lock().receive_message(now, &request).unwrap().messages
    }

    async fn long_poll(self, max: usize) -> Result<Vec<Message>, SqsError> {
        self.requests.receives.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.hanging_receives) {
            std::future::pending::<()>().await;
        }
        if take_one(&self.failing_receives) {
            return Err(SqsError { kind: SqsErrorKind::Unreachable, text: "no network today".into() });
        }
        let end = Instant::now() + self.wait_time;
        loop {
            let changed = self.changed.notified();
            if !self.alive.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let messages = self.receive_now(max);
            if !messages.is_empty() || Instant::now() >= end {
                return Ok(messages.into_iter().map(message).collect());
            }
            let next = self.lock().next_change(&self.queue_url);
            let until_next = next.map_or(Duration::MAX, |at| {
                Duration::from_millis(at.as_millis().saturating_sub(self.now().as_millis()).max(1))
            });
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(until_next.min(end.duration_since(Instant::now()))) => {}
            }
        }
    }

    fn delete(&self, entries: Vec<drumline::Entry>) -> Replies {
        self.requests.deletes.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.failing_deletes) {
            return entries.iter().map(|_| Err(CallError::Failed("throttled".into()))).collect();
        }
        let count = entries.len();
        let entries = entries.into_iter().enumerate().map(|(index, entry)| DeleteMessageBatchEntry {
            id: index.to_string(),
            receipt_handle: entry.receipt,
        });
        let request = DeleteMessageBatch { queue_url: self.queue_url.clone(), entries: entries.collect() };
        let now = self.now();
        let reply = self.lock().delete_message_batch(now, request).unwrap();
        self.changed.notify_waiters();
        replies(count, &reply)
    }

    fn change_visibility(&self, entries: Vec<drumline::VisibilityEntry>) -> Replies {
        self.requests.visibilities.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.failing_renewals) {
            return entries.iter().map(|_| Err(CallError::Failed("throttled".into()))).collect();
        }
        let count = entries.len();
        let entries =
            entries.into_iter().enumerate().map(|(index, entry)| ChangeMessageVisibilityBatchEntry {
                id: index.to_string(),
                receipt_handle: entry.receipt,
                visibility_timeout: Some(i64::from(entry.visibility_secs)),
            });
        let request =
            ChangeMessageVisibilityBatch { queue_url: self.queue_url.clone(), entries: entries.collect() };
        let now = self.now();
        let reply = self.lock().change_message_visibility_batch(now, request).unwrap();
        self.changed.notify_waiters();
        replies(count, &reply)
    }
}

impl Queue for Model {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(self.clone().long_poll(max))
    }

    fn perform(&self, action: Action) -> BoxFuture<Replies> {
        let model = self.clone();
        Box::pin(async move {
            match action {
                Action::Delete(entries) => model.delete(entries),
                Action::ChangeVisibility(entries) => model.change_visibility(entries),
                Action::DeadLetter { .. } => vec![Err(CallError::Failed("the model redrives".into()))],
            }
        })
    }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

fn replies(count: usize, reply: &SettledBatchReply) -> Replies {
    let mut replies: Replies = vec![Ok(()); count];
    for failed in &reply.failed {
        let gone = matches!(failed.code.as_str(), "ReceiptHandleIsInvalid" | "MessageNotInflight");
        let text = failed.code.clone();
        replies[failed.id.parse::<usize>().unwrap()] =
            Err(if gone { CallError::Gone(text) } else { CallError::Failed(text) });
    }
    replies
}

fn message(received: ReceivedMessage) -> Message {
    let attributes = received.message_attributes.iter();
    let text =
        |value: &drumline_queue::api::MessageAttributeValue| value.string_value.clone().unwrap_or_default();
    Message {
        id: received.message_id.to_string(),
        receipt: received.receipt_handle,
        body: received.body.to_string(),
        receive_count: received.attributes.approximate_receive_count.unwrap_or_default(),
        group: received.attributes.message_group_id.map(|group| group.to_string()),
        attributes: attributes.map(|(name, value)| (name.clone(), Attribute::Text(text(value)))).collect(),
        ..Message::default()
    }
}

/// A consumer that runs.
pub(super) struct Consumer {
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<drumline::DrainSummary>,
    pub(super) metrics: Metrics,
    alive: Arc<AtomicBool>,
}

impl Consumer {
    /// Starts one on `model`; the lease is the model's.
    pub(super) fn start(model: &Model, router: Router, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::new(model.visibility);
        let name = model.queue_url.rsplit('/').next().unwrap();
        policy.fifo = is_fifo(name);
        policy.retry = policy.retry.with_jitter(drumline::JitterMode::None);
        change(&mut policy);
        let metrics = Metrics::new();
        let alive = Arc::new(AtomicBool::new(true));
        let queue = Arc::new(Model { alive: Arc::clone(&alive), ..model.clone() });
        let driver =
            driver(name, policy, queue, Arc::new(router), &metrics, Arc::new(Nobody), Handle::current())
                .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let running = tokio::spawn(driver.run(shutdown, Duration::from_secs(25)));
        Self { stop: Some(stop), running, metrics, alive }
    }

    /// As SIGTERM does.
    pub(super) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops it and tells how the drain went.
    pub(super) async fn stop(mut self) -> drumline::DrainSummary {
        self.begin_stop();
        self.running.await.unwrap()
    }

    /// As SIGKILL does: nothing is said to anybody.
    pub(super) fn kill(self) {
        self.alive.store(false, Ordering::SeqCst);
        self.running.abort();
    }
}
