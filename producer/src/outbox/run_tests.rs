//! The relay on tokio's paused clock, with an outbox in memory and an SQS whose responses the test controls.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::message::{Attribute, Envelope, Message};
use drumline_runtime::{SqsError, SqsErrorKind};
use drumline_store::StoreError;
use drumline_store::outbox::{MemoryOutbox, Outbox, OutboxJob, RowState, Rows};
use tokio::time::{Instant, sleep, timeout};

use super::observer::{FailureClass, ParkedClass, RelayObserver, RelaySummary};
use super::relay::Relay;
use super::scripted_sqs::{Fate, ScriptedSqs};
use crate::producer::Producer;
use crate::requests::Requests;
use crate::send::Why;

const JOBS: &str = "https://sqs.eu-central-1.amazonaws.com/1/jobs";
const MAIL: &str = "https://sqs.eu-central-1.amazonaws.com/1/mail";
const FIFO: &str = "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo";

/// The groups that relays share.
const GROUPS: usize = 60;
const T0: i64 = 1_700_000_000_000;

#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    fn add(&self, name: String, jobs: u64) {
        *self.0.lock().unwrap().entry(name).or_default() += jobs;
    }

    fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

impl RelayObserver for Counts {
    fn sent(&self, queue: &str, jobs: u64) {
        self.add(format!("sent {queue}"), jobs);
    }

    fn failed(&self, queue: Option<&str>, class: FailureClass, jobs: u64) {
        self.add(format!("failed {} {}", queue.unwrap_or("-"), class.label()), jobs);
    }

    fn parked(&self, queue: Option<&str>, class: ParkedClass) {
        self.add(format!("parked {} {}", queue.unwrap_or("-"), class.label()), 1);
    }

    fn outbox_unanswered(&self) {
        self.add("unanswered".to_owned(), 1);
    }
}

struct World {
    outbox: Arc<MemoryOutbox>,
    sqs: Arc<ScriptedSqs>,
    counts: Arc<Counts>,
}

impl World {
    fn new(script: impl Fn(usize, &str, &[&str]) -> Fate + Send + Sync + 'static) -> Self {
        let outbox = Arc::new(MemoryOutbox::with_clock(Duration::from_secs(86_400), T0));
        Self { outbox, sqs: ScriptedSqs::new(script), counts: Arc::default() }
    }

    fn relay(&self) -> Relay {
        self.relay_of(Arc::clone(&self.outbox) as Arc<dyn Outbox>)
    }

    fn relay_of(&self, outbox: Arc<dyn Outbox>) -> Relay {
        let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
        let producer = Producer::new(Client::from_conf(config.build()), JOBS);
        let producer = producer.queue_for("mail", MAIL).queue_for("order", FIFO);
        let relay = Relay::new(outbox, producer);
        let relay = relay.over(Arc::clone(&self.sqs) as Arc<dyn Requests>);
        relay.observed(Arc::clone(&self.counts) as Arc<dyn RelayObserver>)
    }

    async fn add(&self, jobs: impl IntoIterator<Item = OutboxJob>) {
        self.outbox.add(&jobs.into_iter().collect::<Vec<_>>()).await.unwrap();
    }

    async fn drain(&self) -> RelaySummary {
        timeout(Duration::from_secs(600), self.relay().drain()).await.unwrap().unwrap()
    }

    /// Drains until nothing waits.
    async fn run_for(&self, time: Duration) -> RelaySummary {
        self.relay().run(sleep(time)).await
    }

    async fn count(&self, state: RowState) -> usize {
        self.outbox.rows(&Rows::new(Some(state), 100_000)).await.unwrap().len()
    }

    async fn parked(&self) -> Vec<(String, String)> {
        let rows = self.outbox.rows(&Rows::new(Some(RowState::Parked), 100)).await.unwrap();
        rows.into_iter().map(|row| (row.job.id, row.reason.unwrap())).collect()
    }
}

fn job(id: &str) -> OutboxJob {
    OutboxJob::new(id, "work", r#"{"n": 1}"#)
}

fn typed(id: &str, job_type: &str) -> OutboxJob {
    OutboxJob::new(id, job_type, "{}")
}

/// Returns a job whose group is the first letter of its id.
fn order(id: &str) -> OutboxJob {
    let mut job = OutboxJob::new(id, "order", "{}");
    job.group = Some(id[..1].to_owned());
    job
}

fn error(kind: SqsErrorKind) -> Fate {
    Fate::Error(SqsError::new(kind, "SendMessageBatch: made to fail"))
}

fn except(ids: &[&str], why: Why, text: &'static str) -> Fate {
    Fate::Except(ids.iter().map(|&id| id.to_owned()).collect(), why, text)
}

fn all_taken(_: usize, _: &str, _: &[&str]) -> Fate {
    Fate::Taken
}

#[tokio::test(start_paused = true)]
async fn due_jobs_are_sent_in_full_batches_to_their_types_queues() {
    let world = World::new(all_taken);
    world.add((0..95).map(|n| job(&format!("j{n}")))).await;
    world.add((0..20).map(|n| typed(&format!("m{n}"), "mail"))).await;
    let mut elsewhere = job("elsewhere");
    elsewhere.queue = Some("arn:aws:sqs:eu-west-1:1:other".to_owned());
    let mut named = job("named");
    named.queue = Some("mail".to_owned());
    world.add([elsewhere, named]).await;
    let summary = world.drain().await;
    assert_eq!((summary.sent, summary.put_back, summary.parked), (117, 0, 0));
    assert_eq!((world.sqs.taken("jobs").len(), world.sqs.taken("mail").len()), (95, 21));
    assert_eq!(world.sqs.taken("other"), ["elsewhere"]);
    assert_eq!(world.sqs.seen().len(), 10 + 3 + 1);
    assert_eq!((world.count(RowState::Sent).await, world.count(RowState::Waiting).await), (117, 0));
    assert_eq!(world.counts.get("sent jobs"), 95);
    let rows = world.outbox.rows(&Rows::new(Some(RowState::Sent), 1)).await.unwrap();
    assert_eq!(rows[0].message_id.as_deref(), Some("m-j0"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_what_a_producer_sends() {
    let world = World::new(all_taken);
    let mut job = OutboxJob::new("id-1", "work", r#"{ "b": 1.0,  "a": "é" }"#);
    job.schema_version = 3;
    job.group = Some("tenant".to_owned());
    job.idempotency_key = Some("key".to_owned());
    job.correlation_id = Some("cause".to_owned());
    job.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    job.attributes.insert("tenant".to_owned(), "acme".to_owned());
    world.add([job]).await;
    world.drain().await;
    let messages = world.sqs.messages.lock().unwrap().clone();
    let [message] = &messages[..] else { panic!("{messages:?}") };
    let attributes = (*message.attributes).clone();
    let received = Message { body: message.body.clone(), attributes, ..Message::default() };
    let envelope = Envelope::decode(&received).unwrap();
    assert_eq!((&*envelope.job_type, envelope.version), ("work", 3));
    assert_eq!(envelope.payload.get(), r#"{ "b": 1.0,  "a": "é" }"#, "as it was written");
    assert_eq!(envelope.job_id.as_deref(), Some("id-1"));
    assert_eq!(envelope.idempotency_key.as_deref(), Some("key"));
    assert_eq!(envelope.correlation_id.as_deref(), Some("cause"));
    assert_eq!((&*message.deduplication_id, message.group.as_deref()), ("id-1", Some("tenant")));
    assert_eq!(message.attributes.get("tenant").and_then(Attribute::as_text), Some("acme"));
    assert!(message.attributes.contains_key("traceparent"));
    let xray = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    assert_eq!(message.trace_header.as_deref(), Some(xray));
}

#[tokio::test(start_paused = true)]
async fn jobs_that_can_never_be_sent_are_parked_and_block_none() {
    let world = World::new(|_, _, ids| match ids {
        ids if ids.contains(&"x-refused") && ids.len() > 1 => Fate::Error(SqsError::new(
            SqsErrorKind::Other,
            "SendMessageBatch: InvalidMessageContents: U+0001",
        )),
        ["x-refused"] => Fate::Error(SqsError::new(
            SqsErrorKind::Other,
            "SendMessageBatch: InvalidMessageContents: U+0001",
        )),
        _ => except(&["y-entry"], Why::Refused, "InvalidParameterValue: no"),
    });
    let mut secret = job("secret");
    secret.payload = r#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#.to_owned();
    let mut no_queue = job("no-queue");
    no_queue.queue = Some("https://example.com/1/jobs".to_owned());
    let mut trace = job("trace");
    trace.traceparent = Some("no".to_owned());
    world.add([secret, no_queue, trace, typed("no-group", "order")]).await;
    world.add(["x-refused", "x2", "y-entry", "y2", "z1"].map(order)).await;
    let summary = world.drain().await;
    assert_eq!((summary.sent, summary.put_back, summary.parked), (3, 0, 6));
    let parked = world.parked().await;
    let expected = [
        ("secret", "payload.key: it has an AWS access key ID"),
        ("no-queue", "example.com is no host of AWS"),
        ("trace", "traceparent: \"no\" is not a W3C traceparent"),
        ("no-group", "group: a FIFO queue needs one"),
        ("x-refused", "InvalidMessageContents"),
        ("y-entry", "InvalidParameterValue: no"),
    ];
    for ((id, reason), (expected, says)) in parked.iter().zip(expected) {
        assert_eq!(id, expected);
        assert!(reason.contains(says), "{reason}");
    }
    assert_eq!(parked.len(), expected.len());
    let mut taken = world.sqs.taken("orders.fifo");
    taken.sort();
    assert_eq!(taken, ["x2", "y2", "z1"]);
    assert_eq!(world.counts.get("parked - no_queue"), 1);
    assert_eq!(world.counts.get("parked orders.fifo refused"), 1);
    assert_eq!(world.counts.get("parked orders.fifo refused_by_sqs"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_keeps_its_order_while_its_first_job_fails_in_passing() {
    let world = World::new(|request, _, _| match request {
        0..3 => except(&["a1"], Why::Unavailable, "InternalError: try again"),
        _ => Fate::Taken,
    });
    world.add(["a1", "a2", "b1", "a3", "b2", "c1"].map(order)).await;
    world.run_for(Duration::from_secs(60)).await;
    let taken = world.sqs.taken("orders.fifo");
    let of = |group: &str| taken.iter().filter(|id| id.starts_with(group)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (of("a"), of("b")),
        (vec!["a1".to_owned(), "a2".into(), "a3".into()], vec!["b1".into(), "b2".into()])
    );
    assert_eq!(taken[..2], ["b1", "c1"], "others do not wait");
    let first = world.sqs.seen();
    assert_eq!(first[0].ids, ["a1", "b1", "c1"], "one of a group at a time");
    assert_eq!(world.count(RowState::Waiting).await, 0);
}

#[tokio::test(start_paused = true)]
async fn passing_failures_of_all_kinds_park_nothing_and_end_some_time() {
    for kind in [
        SqsErrorKind::Denied,
        SqsErrorKind::NoQueue,
        SqsErrorKind::Throttled,
        SqsErrorKind::Unreachable,
        SqsErrorKind::ExpiredCredentials,
        SqsErrorKind::NoCredentials,
    ] {
        let begun = Instant::now();
        let world = World::new(move |_, queue, _| match begun.elapsed() {
            time if queue == "jobs" && time < Duration::from_secs(300) => error(kind),
            _ => Fate::Taken,
        });
        world.add((0..1_000).map(|n| job(&format!("j{n}")))).await;
        world.add((0..50).map(|n| typed(&format!("m{n}"), "mail"))).await;
        let relay = tokio::spawn(world.relay().run(sleep(Duration::from_secs(500))));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.sqs.taken("mail").len(), 50, "another queue does not wait");
        world.add((50..60).map(|n| typed(&format!("m{n}"), "mail"))).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(world.sqs.taken("mail").len(), 60);
        let summary = relay.await.unwrap();
        assert_eq!((summary.sent, summary.parked), (1_060, 0), "{kind:?}");
        assert_eq!((world.count(RowState::Waiting).await, world.sqs.taken("jobs").len()), (0, 1_000));
        let requests = world.sqs.seen().iter().filter(|seen| seen.queue == "jobs").count();
        assert!(requests < 100 + 40, "{kind:?}: {requests} requests");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_holds_up_no_other() {
    let world = World::new(|_, queue, _| if queue == "jobs" { Fate::Hangs } else { Fate::Taken });
    world.add((0..5_000).map(|n| job(&format!("j{n}")))).await;
    world.add((0..50).map(|n| typed(&format!("m{n}"), "mail"))).await;
    let relay = tokio::spawn(world.relay().run(sleep(Duration::from_secs(10))));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.sqs.taken("mail").len(), 50);
    let begun = Instant::now();
    relay.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(21), "the end does not wait for ever");
    assert_eq!((world.count(RowState::Waiting).await, world.count(RowState::Parked).await), (5_000, 0));
    // Its leases are released before they end.
    world.outbox.advance(Duration::from_secs(5));
    assert_eq!(world.outbox.take("next", 10_000, Duration::from_secs(1)).await.unwrap().len(), 5_000);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_resent_with_its_ids_before_its_group() {
    let world = World::new(|request, _, _| if request == 0 { Fate::Lost } else { Fate::Taken });
    world.add(["a1", "a2"].map(order)).await;
    world.run_for(Duration::from_secs(10)).await;
    assert_eq!(world.sqs.taken("orders.fifo"), ["a1", "a1", "a2"]);
    assert_eq!(world.counts.get("failed orders.fifo in_doubt"), 1);
    let bodies =
        world.sqs.messages.lock().unwrap().iter().map(|message| message.body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies[0], bodies[1], "the very same message");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_request_loses_nothing() {
    let world = World::new(|request, _, _| if request == 0 { Fate::Panics } else { Fate::Taken });
    world.add(["a1", "a2", "b1"].map(order)).await;
    world.run_for(Duration::from_secs(10)).await;
    let taken = world.sqs.taken("orders.fifo");
    assert_eq!(taken.len(), 3, "{taken:?}");
    assert_eq!(world.count(RowState::Waiting).await, 0);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_are_due_later_are_sent_then() {
    let world = World::new(all_taken);
    let mut later = job("later");
    later.due = drumline_store::outbox::Due::After(Duration::from_secs(100));
    world.add([later, job("now")]).await;
    let summary = world.drain().await;
    assert_eq!((summary.sent, summary.left, world.sqs.taken("jobs")), (1, 0, vec!["now".to_owned()]));
    world.run_for(Duration::from_secs(200)).await;
    let seen = world.sqs.seen();
    assert_eq!(seen[1].ids, ["later"]);
    assert!(
        seen[1].at >= Duration::from_secs(100) && seen[1].at < Duration::from_millis(101_100),
        "{:?}",
        seen[1].at
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_reports_the_jobs_that_another_relay_has() {
    let world = World::new(all_taken);
    world.add(["1", "2", "3"].map(job)).await;
    assert_eq!(world.outbox.take("killed", 2, Duration::from_secs(30)).await.unwrap().len(), 2);
    let summary = world.drain().await;
    assert_eq!((summary.sent, summary.left), (1, 2));
    world.outbox.advance(Duration::from_secs(30));
    let summary = world.drain().await;
    assert_eq!((summary.sent, summary.left), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_relay_sends_a_new_job_at_once() {
    let world = World::new(all_taken);
    let relay = tokio::spawn(world.relay().run(sleep(Duration::from_secs(60))));
    sleep(Duration::from_secs(30)).await;
    world.add([job("new")]).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.sqs.taken("jobs"), ["new"]);
    relay.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_relays_share_the_jobs_and_keep_the_order_of_groups() {
    let world = World::new(|request, _, ids| match ids.first() {
        Some(_) if request % 7 == 3 => error(SqsErrorKind::Throttled),
        _ => Fate::Taken,
    });
    let group = |n: usize| format!("g{:02}", n % GROUPS);
    world
        .add((0..600).map(|n| {
            let mut job = order(&format!("{}-{n:04}", group(n)));
            job.group = Some(group(n));
            job
        }))
        .await;
    let relays = [0, 1].map(|_| tokio::spawn(world.relay().batch(20).run(sleep(Duration::from_secs(120)))));
    for relay in relays {
        let summary = relay.await.unwrap();
        assert!(summary.sent > 0, "{summary:?}");
    }
    let taken = world.sqs.taken("orders.fifo");
    assert_eq!(taken.len(), 600, "each was sent once");
    for group in (0..GROUPS).map(group) {
        assert!(taken.iter().filter(|id| id.starts_with(&group)).is_sorted(), "{group}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_under_a_lease_that_has_ended() {
    // One request takes so long that the lease of the other jobs ends meanwhile.
    let world = World::new(|request, _, _| if request < 8 { Fate::Hangs } else { Fate::Taken });
    world.add((0..200).map(|n| job(&format!("j{n}")))).await;
    world.relay().lease(Duration::from_secs(6)).run(sleep(Duration::from_secs(60))).await;
    assert_eq!(world.count(RowState::Waiting).await, 0);
    let taken = world.sqs.taken("jobs");
    assert_eq!(taken.len(), 200, "those that hung were sent by the next lease");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_error_of_a_silent_outbox() {
    let world = World::new(all_taken);
    let relay = world.relay_of(Arc::new(Silent));
    let error = timeout(Duration::from_secs(30), relay.drain()).await.unwrap().unwrap_err();
    assert_eq!(error, StoreError::Unanswered("down".into()));
    assert_eq!(world.counts.get("unanswered"), 3);
}

/// An outbox whose server is down.
struct Silent;

macro_rules! silent {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        $(#[allow(clippy::elidable_lifetime_names, reason = "some arguments have the lifetime")]
        fn $name<'a>(&'a self, $(_: $argument),*) -> drumline_store::outbox::Answer<'a, $answer> {
            drumline::core::MaybeReady::now(Err(StoreError::Unanswered("down".into())))
        })*
    };
}

impl Outbox for Silent {
    silent! {
        add(&'a [OutboxJob]) -> ();
        add_unique(&'a OutboxJob, &'a drumline_store::outbox::Unique) -> drumline_store::outbox::Added;
        take(&'a str, usize, Duration) -> Vec<drumline_store::outbox::TakenJob>;
        conclude(&'a [(drumline_store::outbox::TakenJob, drumline_store::outbox::Conclusion)]) -> usize;
        leave(&'a str) -> ();
        lag() -> drumline_store::outbox::Lag;
        rows(&'a Rows) -> Vec<drumline_store::outbox::OutboxRow>;
        retry(&'a [String]) -> usize;
        remove(&'a [String]) -> usize;
        states() -> Vec<(String, String)>;
        change(&'a str, Option<&'a str>, Option<&'a str>, &'a [OutboxJob]) -> bool;
        lead(&'a str, &'a str, Duration) -> Option<drumline_store::outbox::Lease>;
        now_ms() -> i64;
    }

    fn wait(&self, _: Duration) -> drumline::core::MaybeReady<'_, ()> {
        drumline::core::MaybeReady::now(())
    }
}
