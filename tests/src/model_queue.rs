//! A queue without a network: SQS's state machine under a host, on tokio's paused clock, so that hours pass in
//! milliseconds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use drumline::core::{Action, CallError, MaybeReady, NextJob, Replies};
use drumline::message::{Attribute, AttributeValue, Message};
use drumline::run::NextError;
use drumline_producer::{Checks, next_job_message};
use drumline_queue::api::{
    ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchEntry, CreateQueue, DeleteMessage,
    DeleteMessageBatch, DeleteMessageBatchEntry, ReceiveMessage, ReceivedMessage, SendMessage,
    SettledBatchReply,
};
use drumline_queue::{Identity, PeekedMessage, Sqs, Timestamp};
use drumline_runtime::aws::is_fifo;
use drumline_runtime::{BoxFuture, NextJobRoute, NextJobSender, NextOrigin, Queue, SqsError, SqsErrorKind};
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

/// An arbitrary wall-clock time at which every test starts.
const START: u64 = 1_700_000_000_000;

/// The model, and its current faults.
#[derive(Clone)]
pub struct ModelQueue {
    sqs: Arc<Mutex<Sqs>>,
    begun: Instant,
    changed: Arc<Notify>,
    /// The queue's URL.
    pub queue_url: String,
    dead_letter_url: String,
    wait_time: Duration,
    /// The queue's visibility timeout.
    pub visibility: Duration,
    /// The requests to it.
    pub requests: Arc<Requests>,
    /// The number of further delete calls that fail, with all their entries.
    pub failing_deletes: Arc<AtomicUsize>,
    /// The same as [`failing_deletes`](Self::failing_deletes), for visibility changes.
    pub failing_renewals: Arc<AtomicUsize>,
    /// The number of further sends of next jobs that fail.
    pub failing_sends: Arc<AtomicUsize>,
    /// The number of further receives that fail.
    pub failing_receives: Arc<AtomicUsize>,
    /// True while the process on this end lives. A dead process receives no messages.
    alive: Arc<AtomicBool>,
    /// The number of further receives that never end.
    pub hanging_receives: Arc<AtomicUsize>,
}

/// Requests by action.
#[derive(Default)]
pub struct Requests {
    /// The number of `ReceiveMessage` requests.
    pub receives: AtomicUsize,
    /// The number of `DeleteMessageBatch` requests.
    pub deletes: AtomicUsize,
    /// The number of `ChangeMessageVisibilityBatch` requests.
    pub visibilities: AtomicUsize,
}

impl ModelQueue {
    /// Creates a queue called `name` with a DLQ, to which messages move after `max_receive_count` receives.
    pub fn new(name: &str, visibility: Duration, max_receive_count: u32) -> Self {
        Self::seeded(1, name, visibility, max_receive_count)
    }

    /// Does the same as [`new`](Self::new). Queues of different seeds have different message IDs, as in SQS.
    pub fn seeded(seed: u64, name: &str, visibility: Duration, max_receive_count: u32) -> Self {
        let mut sqs = Sqs::new(Identity::at("http://model"), seed);
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
            failing_sends: Arc::default(),
            failing_receives: Arc::default(),
            alive: Arc::new(AtomicBool::new(true)),
            hanging_receives: Arc::default(),
        }
    }

    /// Returns the route for the next jobs of this queue: into the queue itself.
    pub fn next_jobs(&self) -> NextJobRoute {
        let queue_url = Url::parse(&self.queue_url).unwrap();
        NextJobRoute { sender: Arc::new(self.clone()), queue_url, with_mark: false }
    }

    fn send_next(&self, origin: NextOrigin<'_>, jobs: Vec<NextJob>) -> Result<(), NextError> {
        let less = |left: usize| left.checked_sub(1);
        if self.failing_sends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(NextError::Retry("no route".to_owned()));
        }
        let fifo = is_fifo(&self.queue_url);
        for mut job in jobs {
            job.group = job.group.or_else(|| origin.group.map(str::to_owned));
            let outgoing = next_job_message(&Checks::default(), &job, fifo)
                .map_err(|refusal| NextError::Permanent(refusal.to_string()))?;
            let request = SendMessage {
                message_group_id: job.group,
                message_deduplication_id: fifo.then_some(outgoing.deduplication_id),
                delay_seconds: outgoing.delay_secs.map(i64::from),
                ..SendMessage::default()
            };
            self.send_with(&outgoing.body, request);
        }
        Ok(())
    }

    /// Returns the same queue for another process, and a flag that kills this process: while it is false, its receives return
    /// nothing.
    pub fn for_a_process(&self) -> (Self, Arc<AtomicBool>) {
        let alive = Arc::new(AtomicBool::new(true));
        (Self { alive: Arc::clone(&alive), ..self.clone() }, alive)
    }

    /// Sends a message, with or without a group, and returns its ID.
    pub fn send(&self, body: &str, group: Option<&str>) -> String {
        self.send_with(
            body,
            SendMessage {
                message_group_id: group.map(str::to_owned),
                message_deduplication_id: group
                    .filter(|_| is_fifo(&self.queue_url))
                    .map(|_| format!("{}", fastrand::u128(..))),
                ..SendMessage::default()
            },
        )
    }

    /// Sends a message with the other parts of this request, and returns its ID.
    pub fn send_with(&self, body: &str, request: SendMessage) -> String {
        let request =
            SendMessage { queue_url: self.queue_url.clone(), message_body: body.to_owned(), ..request };
        let now = self.now();
        let id = self.lock().send_message(now, request).unwrap().message_id.to_string();
        self.changed.notify_waiters();
        id
    }

    /// Returns the messages in the queue.
    pub fn left(&self) -> Vec<PeekedMessage> {
        let now = self.now();
        self.lock().peek(now, &self.queue_url).unwrap()
    }

    /// Returns the messages in its DLQ.
    pub fn dead(&self) -> Vec<PeekedMessage> {
        let now = self.now();
        self.lock().peek(now, &self.dead_letter_url).unwrap()
    }

    /// Waits until the queue is empty.
    pub async fn drained(&self) {
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

    /// Waits until the queue is empty. Returns true if it was in time.
    pub async fn drained_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.drained()).await.is_ok()
    }

    /// Returns the messages that a receive finds at once.
    pub fn messages_now(&self, max: usize) -> Vec<Message> {
        self.receive_now(max).into_iter().map(message).collect()
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

    async fn poll(self, max: usize, wait_time: Duration) -> Result<Vec<Message>, SqsError> {
        self.requests.receives.fetch_add(1, Ordering::SeqCst);
        if take_one(&self.hanging_receives) {
            std::future::pending::<()>().await;
        }
        if take_one(&self.failing_receives) {
            return Err(SqsError::new(SqsErrorKind::Unreachable, "no network today"));
        }
        let end = Instant::now() + wait_time;
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

    /// Deletes these messages, as Lambda does after a response.
    pub fn delete_receipts(&self, receipts: &[&str]) {
        let now = self.now();
        for receipt in receipts {
            let request =
                DeleteMessage { queue_url: self.queue_url.clone(), receipt_handle: (*receipt).to_owned() };
            self.lock().delete_message(now, &request).unwrap();
        }
    }

    fn delete(&self, entries: Vec<drumline::core::Entry>) -> Replies {
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

    fn change_visibility(&self, entries: Vec<drumline::core::VisibilityEntry>) -> Replies {
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

impl Queue for ModelQueue {
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(self.clone().poll(max, self.wait_time))
    }

    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(self.clone().poll(max, Duration::ZERO))
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

fn take_one(fencing_token: &AtomicUsize) -> bool {
    fencing_token.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
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
    let attribute = |value: &drumline_queue::api::MessageAttributeValue| {
        let text = AttributeValue::Text(value.string_value.clone().unwrap_or_default());
        Attribute::new(&value.data_type, text)
    };
    Message {
        id: received.message_id.to_string().into(),
        receipt: received.receipt_handle,
        body: received.body.to_string(),
        receive_count: received.attributes.approximate_receive_count.unwrap_or_default(),
        group: received.attributes.message_group_id.map(|group| group.to_string()),
        attributes: attributes.map(|(name, value)| (name.clone(), attribute(value))).collect(),
        ..Message::default()
    }
}

impl NextJobSender for ModelQueue {
    fn send<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<(), NextError>> {
        MaybeReady::later(async move { self.send_next(origin, jobs) })
    }

    fn check<'a>(
        &'a self,
        _: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Vec<NextJob>, NextError>> {
        MaybeReady::now(Ok(jobs))
    }
}
