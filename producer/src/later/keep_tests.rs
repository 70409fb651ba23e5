#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::Job;
use drumline::core::MaybeReady;
use drumline::message::{Attribute, AttributeValue};
use drumline_store::outbox::{
    Answer, Conclusion, Due, Lag, Lease, MemoryOutbox, Outbox, OutboxRow, Rows, TakenJob, Unique,
};

use super::*;
use crate::producer::Producer;
use crate::send_job::SendJob;
use crate::sender::{Sender, SenderOptions};
use drumline_store::StoreError;

const JOBS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
const ORDERS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(serde::Serialize, serde::Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
    const VERSION: u32 = 3;
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
}

impl Job for Order {
    const TYPE: &'static str = "order";

    fn idempotency_key(&self) -> Option<String> {
        Some(format!("order:{}", self.id))
    }
}

fn producer(outbox: Arc<dyn Outbox>) -> Producer {
    let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
    Producer::new(Client::from_conf(config.build()), JOBS).queue_for("order", ORDERS).outbox(outbox)
}

fn greet(producer: &Producer, name: &str) -> SendJob {
    producer.send(&Greet { name: name.to_owned() })
}

async fn rows(outbox: &dyn Outbox) -> Vec<OutboxRow> {
    outbox.rows(&Rows::new(None, 2_000)).await.unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_is_a_row_with_all_that_its_message_needs() {
    let outbox = Arc::new(MemoryOutbox::with_clock(Duration::ZERO, 1_000));
    let producer = producer(outbox.clone());
    let job = greet(&producer, "Ada\u{FFFE}")
        .delay(24 * HOUR)
        .idempotency_key("k")
        .correlation("c")
        .traceparent(TRACE);
    let before = std::time::SystemTime::now();
    let receipt = job.attribute("tenant", "acme").await.unwrap();
    assert_eq!((receipt.message_id, &*receipt.queue, receipt.existing), (None, "jobs", None));
    assert!(receipt.due.unwrap() >= before + 24 * HOUR, "{:?}", receipt.due);
    let row = rows(&*outbox).await.remove(0);
    let mut expected = OutboxJob::new(&*receipt.job_id, "greet", r#"{"name":"Ada\ufffe"}"#);
    expected.schema_version = 3;
    expected.queue = Some(JOBS.to_owned());
    expected.idempotency_key = Some("k".to_owned());
    expected.correlation_id = Some("c".to_owned());
    expected.traceparent = Some(TRACE.to_owned());
    expected.attributes = [("tenant".to_owned(), "acme".to_owned())].into();
    expected.due = Due::After(24 * HOUR);
    assert_eq!((row.job, row.due_ms), (expected, 1_000 + 24 * 3_600_000));
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_fifo_queue_waits_with_its_group() {
    let outbox = Arc::new(MemoryOutbox::with_clock(Duration::ZERO, 0));
    let time = UNIX_EPOCH + Duration::from_millis(1_500);
    let producer = producer(outbox.clone());
    let later = producer.send(&Order { id: 1 }).group("g").at(time).await.unwrap();
    assert_eq!((later.due, &*later.queue), (Some(time), "orders.fifo"));
    producer.send(&Order { id: 2 }).group("g").delay(Duration::from_millis(1)).await.unwrap();
    let [first, second] = &rows(&*outbox).await[..] else { panic!() };
    assert_eq!((first.due_ms, first.job.group.as_deref()), (1_500, Some("g")));
    assert_eq!((second.due_ms, second.job.idempotency_key.as_deref()), (1, Some("order:2")));
    let past = producer.send(&Order { id: 3 }).group("g").at(UNIX_EPOCH).await.unwrap();
    assert_eq!(past.due, Some(UNIX_EPOCH), "it is sent by the relay at once");
}

#[tokio::test(start_paused = true)]
async fn what_an_outbox_cannot_keep_is_refused_by_name() {
    let outbox = Arc::new(MemoryOutbox::new(Duration::ZERO));
    let producer = producer(outbox.clone());
    let number = Attribute::new("Number", AttributeValue::Text("7".to_owned()));
    let order = || producer.send(&Order { id: 1 }).group("g").delay(HOUR);
    let table = [
        (
            greet(&producer, "x").delay(HOUR).attribute("size", number),
            "attribute size",
            "and this is of type Number",
        ),
        (
            greet(&producer, "x").delay(HOUR).attribute("b", Attribute::binary([1])),
            "attribute b",
            "of type Binary",
        ),
        (order().dedup("d"), "dedup", "is sent under its own id"),
        (greet(&producer, "x").delay(HOUR).dedup("d"), "dedup", "leave it out"),
        (producer.send(&Order { id: 1 }).delay(HOUR), "group", "which needs one"),
        (greet(&producer, "AKIAIOSFODNN7EXAMPLE").delay(HOUR), "payload.name", "AWS access key"),
        (greet(&producer, "x").at(UNIX_EPOCH).delay(HOUR), "at", "leave at or delay out"),
        (greet(&producer, "x").at(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), "at", "year 9999"),
        (greet(&producer, "x").delay(2_000 * 366 * 24 * HOUR), "the outbox", "due after a thousand years"),
    ];
    for (job, field, says) in table {
        let Err(ProduceError::Refused(refusal)) = job.await else { panic!("{field}: {says}") };
        assert_eq!(refusal.field, field, "{refusal}");
        assert!(refusal.reason.contains(says), "{refusal}");
    }
    assert_eq!(rows(&*outbox).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_row_for_a_transaction_has_passed_all_checks() {
    let producer = producer(Arc::new(MemoryOutbox::new(Duration::ZERO)));
    let job = greet(&producer, "x").delay(Duration::from_secs(60)).to_outbox_job().unwrap();
    assert_eq!((&*job.payload, job.due), (r#"{"name":"x"}"#, Due::After(Duration::from_secs(60))));
    assert_eq!(greet(&producer, "x").to_outbox_job().unwrap().due, Due::Now);
    let unique = greet(&producer, "x").unique(crate::Unique::within(HOUR)).to_outbox_job().unwrap_err();
    assert!(unique.to_string().contains("not added in a transaction"), "{unique}");
    let secret = greet(&producer, "AKIAIOSFODNN7EXAMPLE").to_outbox_job().unwrap_err();
    assert!(secret.to_string().contains("payload.name"), "{secret}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_refuses_a_job_that_waits() {
    let producer = producer(Arc::new(MemoryOutbox::new(Duration::ZERO)));
    let sender = Sender::new(producer.clone(), SenderOptions::default());
    let job = greet(&producer, "x").delay(HOUR).prepare().unwrap();
    let error = sender.send_prepared(job).await.unwrap_err().to_string();
    assert!(
        error.contains("outbox: a job that waits goes into the outbox, and not through a Sender"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_added_in_few_calls_and_each_stands_for_itself() {
    let outbox = Arc::new(Moody::default());
    let producer = producer(outbox.clone());
    let all = producer.send_all((0..1_200).map(|n| greet(&producer, &format!("{n:04}")))).spread(HOUR);
    let receipts = all.await.unwrap();
    let rows = rows(&outbox.inner).await;
    assert_eq!((receipts.len(), rows.len(), outbox.calls()), (1_200, 1_200, [500, 500, 200].to_vec()));
    for (n, (receipt, row)) in receipts.iter().zip(&rows).enumerate() {
        assert_eq!((&receipt.job_id, &*row.job.payload), (&row.job.id, &*format!(r#"{{"name":"{n:04}"}}"#)));
        assert_eq!(
            row.job.due,
            if n == 0 { Due::Now } else { Due::After(Duration::from_secs(3 * n as u64)) }
        );
    }

    let outbox = Arc::new(Moody::default());
    let producer = self::producer(outbox.clone());
    let jobs = ["a", "refuse", "c"].map(|name| greet(&producer, name).delay(HOUR));
    let failure = producer.send_all(jobs).await.unwrap_err();
    let [failed] = &failure.failed[..] else { panic!("{failure}") };
    assert_eq!((failed.position, outbox.calls()), (1, vec![3, 1, 1, 1]));
    assert!(failed.error.to_string().contains("the outbox: it is refused"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_is_lost_is_the_same_job_the_next_time() {
    let outbox = Arc::new(Moody::default());
    let producer = producer(outbox.clone());
    let failure = producer.send_all([greet(&producer, "lose").delay(HOUR)]).await.unwrap_err();
    assert!(matches!(failure.failed[0].error, ProduceError::InDoubt(_)), "{failure}");
    assert!(
        failure.to_string().contains("may be in the outbox, since the answer was lost: gone"),
        "{failure}"
    );
    let receipts = producer.send_prepared(failure.into_prepared()).await.unwrap();
    let rows = rows(&outbox.inner).await;
    assert_eq!((rows.len(), &rows[0].job.id), (1, &receipts[0].job_id));
}

#[tokio::test]
async fn an_outbox_is_opened_by_the_first_job_that_needs_it() {
    let environment = |name: &str| match name {
        "DRUMLINE_QUEUE_URL" => Some("http://127.0.0.1:9/000000000000/jobs".to_owned()),
        // Nothing listens there.
        "DRUMLINE_OUTBOX_URL" => Some("redis://127.0.0.1:9".to_owned()),
        _ => None,
    };
    let settings =
        drumline_runtime::Settings::read_for_tool(&std::collections::BTreeMap::default(), environment, None)
            .unwrap();
    let producer = Producer::from_settings(&settings).await.unwrap();
    assert!(producer.prepare(&Greet { name: "x".to_owned() }).is_ok());
    let job = greet(&producer, "x").delay(HOUR).prepare().unwrap();
    let error = producer.send_prepared([job]).await.unwrap_err();
    let error = &error.failed[0].error;
    assert!(matches!(error, ProduceError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("is not in the outbox, and can be sent again"), "{error}");
}

/// An outbox that refuses all jobs of a call that contains one named `refuse`, and loses the first answer about one named
/// `lose`.
struct Moody {
    inner: MemoryOutbox,
    calls: std::sync::Mutex<Vec<usize>>,
}

impl Default for Moody {
    fn default() -> Self {
        Self { inner: MemoryOutbox::with_clock(Duration::ZERO, 0), calls: std::sync::Mutex::default() }
    }
}

impl Moody {
    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }
}

impl Outbox for Moody {
    fn add<'a>(&'a self, jobs: &'a [OutboxJob]) -> Answer<'a, ()> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(jobs.len());
        let has = |name: &str| jobs.iter().any(|job| job.payload.contains(name));
        if has("refuse") {
            return MaybeReady::now(Err(StoreError::Refused("it is refused".into())));
        }
        if has("lose") && calls.len() == 1 {
            let added = self.inner.add(jobs).at_once();
            assert_eq!(added, Some(Ok(())));
            return MaybeReady::now(Err(StoreError::Unanswered("gone".into())));
        }
        self.inner.add(jobs)
    }

    fn add_unique<'a>(&'a self, job: &'a OutboxJob, unique: &'a Unique) -> Answer<'a, Added> {
        self.inner.add_unique(job, unique)
    }

    fn take<'a>(&'a self, relay: &'a str, max: usize, length: Duration) -> Answer<'a, Vec<TakenJob>> {
        self.inner.take(relay, max, length)
    }

    fn conclude<'a>(&'a self, concluded: &'a [(TakenJob, Conclusion)]) -> Answer<'a, usize> {
        self.inner.conclude(concluded)
    }

    fn leave<'a>(&'a self, relay: &'a str) -> Answer<'a, ()> {
        self.inner.leave(relay)
    }

    fn wait(&self, longest: Duration) -> MaybeReady<'_, ()> {
        self.inner.wait(longest)
    }

    fn lag(&self) -> Answer<'_, Lag> {
        self.inner.lag()
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> Answer<'a, Vec<OutboxRow>> {
        self.inner.rows(rows)
    }

    fn retry<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.retry(ids)
    }

    fn remove<'a>(&'a self, ids: &'a [String]) -> Answer<'a, usize> {
        self.inner.remove(ids)
    }

    fn states(&self) -> Answer<'_, Vec<(String, String)>> {
        self.inner.states()
    }

    fn change<'a>(
        &'a self,
        name: &'a str,
        before: Option<&'a str>,
        after: Option<&'a str>,
        jobs: &'a [OutboxJob],
    ) -> Answer<'a, bool> {
        self.inner.change(name, before, after, jobs)
    }

    fn lead<'a>(&'a self, name: &'a str, owner: &'a str, length: Duration) -> Answer<'a, Option<Lease>> {
        self.inner.lead(name, owner, length)
    }

    fn now_ms(&self) -> Answer<'_, i64> {
        self.inner.now_ms()
    }
}
