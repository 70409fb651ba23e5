//! The producer on the embedded queue, over HTTP.

use std::time::Duration;

use drumline::Job;
use drumline::message::limits::MAX_MESSAGE_BYTES;
use drumline::message::{Attribute, AttributeValue, Envelope, Message, Traceparent};
use drumline_producer::{Outgoing, ProduceError, Producer, SendJob};
use drumline_queue::MessageState;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{LocalQueue, ModelQueue, Setup, client};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
}

impl Job for Note {
    const TYPE: &'static str = "note";
}

pub(crate) fn note(text: impl Into<String>) -> Note {
    Note { text: text.into() }
}

pub(crate) async fn queue(fifo: bool) -> LocalQueue {
    LocalQueue::create(Setup { fifo, ..Setup::default() }).await
}

pub(crate) fn producer(queue: &LocalQueue) -> Producer {
    Producer::new(client(&queue.endpoint_url()), &queue.url)
}

/// Returns the request that sends a message to a queue without a network.
pub(crate) fn request(outgoing: &Outgoing) -> SendMessage {
    let value = |attribute: &Attribute| MessageAttributeValue {
        data_type: attribute.data_type().to_owned(),
        ..match attribute.value() {
            AttributeValue::Text(text) => MessageAttributeValue::string(text),
            AttributeValue::Binary(bytes) => MessageAttributeValue::binary(bytes.clone()),
        }
    };
    let attributes = outgoing.attributes.iter().map(|(name, attribute)| (name.clone(), value(attribute)));
    let header = outgoing.trace_header.iter();
    let header = header.map(|text| ("AWSTraceHeader".to_owned(), MessageAttributeValue::string(text)));
    SendMessage {
        message_attributes: attributes.collect(),
        message_system_attributes: header.collect(),
        message_group_id: outgoing.group.as_deref().map(str::to_owned),
        delay_seconds: outgoing.delay_secs.map(i64::from),
        ..SendMessage::default()
    }
}

#[tokio::test]
async fn a_receipt_names_the_job_and_its_message() {
    let queue = queue(false).await;
    let producer = producer(&queue);
    let job = producer.send(&note("hello")).delay(Duration::from_secs(60)).group("acme");
    let receipt = job.attribute("tenant", "acme").await.unwrap();
    let message = queue.find(receipt.message_id.as_deref().unwrap()).unwrap();
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(body["jobId"], *receipt.job_id);
    assert_eq!((&*receipt.queue, receipt.sequence_number), ("jobs", None));
    assert_eq!(message.message_group_id.as_deref(), Some("acme"));
    assert_eq!(message.attributes["tenant"].string_value.as_deref(), Some("acme"));
    assert!(matches!(message.state, MessageState::Delayed { .. }), "{:?}", message.state);
    let left = queue.hidden_for(receipt.message_id.as_deref().unwrap());
    assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
}

#[tokio::test]
async fn a_fifo_queue_numbers_jobs_and_drops_what_has_an_id_again() {
    let queue = queue(true).await;
    let producer = producer(&queue);
    let first = producer.send(&note("1")).group("g").dedup("d").await.unwrap();
    let second = producer.send(&note("2")).group("g").await.unwrap();
    assert!(first.sequence_number < second.sequence_number && first.sequence_number.is_some());
    let again = producer.send(&note("3")).group("g").dedup("d").await.unwrap();
    assert_eq!((again.message_id, queue.count()), (first.message_id, 2));
}

#[tokio::test]
async fn jobs_of_several_queues_are_packed_and_answered_in_order() {
    #[derive(Serialize, Deserialize)]
    struct Mail {}
    impl Job for Mail {
        const TYPE: &'static str = "mail";
    }
    let (jobs, mails) = (queue(false).await, queue(true).await);
    // A queue of another endpoint, which accepts its name in the path of any URL.
    let other = jobs.endpoint().create_queue("mails.fifo", &[("FifoQueue", "true")]).unwrap();
    let producer = producer(&jobs).queue_for("mail", &*other);
    drop(mails);
    let all = (0..45).map(|n| match n % 3 {
        0 => producer.send(&Mail {}).group("all"),
        _ => producer.send(&note(format!("{n}"))),
    });
    let receipts = producer.send_all(all).await.unwrap();
    assert_eq!(receipts.len(), 45);
    for (n, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.queue, if n % 3 == 0 { "mails.fifo" } else { "jobs" });
        if n % 3 != 0 {
            let message = jobs.find(receipt.message_id.as_deref().unwrap()).unwrap();
            assert!(message.body.contains(&format!("\"text\":\"{n}\"")), "{n}: {}", message.body);
        }
    }
    assert_eq!((jobs.count(), jobs.endpoint().peek(&other).unwrap().len()), (30, 15));
    assert_eq!(producer.send_all([]).await.unwrap(), []);
}

#[tokio::test]
async fn refused_jobs_hold_up_no_others_and_are_named() {
    let queue = queue(false).await;
    let producer = producer(&queue);
    let jobs = ["fine", "AKIAIOSFODNN7EXAMPLE", "fine too", "AKIAIOSFODNN7EXAMPLF"];
    let failure = producer.send_all(jobs.map(|text| producer.send(&note(text)))).await.unwrap_err();
    let text = failure.to_string();
    assert!(
        text.starts_with("2 of 4 jobs were not sent; the first, at position 1: a job note was not sent"),
        "{text}"
    );
    assert_eq!(
        failure.failed.iter().map(|job| (job.position, &*job.job_type)).collect::<Vec<_>>(),
        [(1, "note"), (3, "note")]
    );
    assert_eq!(failure.sent.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 2]);
    assert!(
        failure
            .failed
            .iter()
            .all(|job| matches!(job.error, ProduceError::Refused(_)) && job.prepared.is_none())
    );
    assert_eq!((queue.count(), failure.into_prepared()), (2, vec![]));
}

/// A job with any options.
#[derive(Debug, Clone)]
struct Draft {
    text: String,
    attributes: Vec<(String, Attribute)>,
    group: Option<String>,
    dedup: Option<String>,
    key: Option<String>,
    correlation: Option<String>,
    delay: Option<u64>,
    spread: Option<u64>,
    trace: bool,
}

impl Draft {
    fn job(&self, producer: &Producer) -> SendJob {
        let mut job = producer.send(&note(&*self.text));
        for (name, value) in self.attributes.clone() {
            job = job.attribute(name, value);
        }
        let secs = |secs| Duration::from_secs(secs);
        let set = |job: SendJob, value: &Option<String>, set: fn(SendJob, String) -> SendJob| match value {
            Some(text) => set(job, text.clone()),
            None => job,
        };
        job = set(job, &self.group, SendJob::group);
        job = set(job, &self.dedup, SendJob::dedup);
        job = set(job, &self.key, SendJob::idempotency_key);
        job = set(job, &self.correlation, SendJob::correlation);
        job = self.delay.into_iter().fold(job, |job, delay| job.delay(secs(delay)));
        job = self.spread.into_iter().fold(job, |job, spread| job.spread(secs(spread)));
        if self.trace {
            job.traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        } else {
            job
        }
    }
}

/// Returns mostly valid options, because a refused job leaves nothing to test.
fn draft(fifo: bool) -> impl Strategy<Value = Draft> {
    let text = prop_oneof![
        8 => any::<String>(),
        1 => (MAX_MESSAGE_BYTES - 400..MAX_MESSAGE_BYTES + 10).prop_map(|bytes| "x".repeat(bytes)),
    ];
    let number = |text: String| Attribute::new("Number", AttributeValue::Text(text));
    let value = prop_oneof![
        8 => r"\PC{1,12}".prop_map(Attribute::text),
        4 => any::<[u8; 5]>().prop_map(Attribute::binary),
        4 => r"[-+]?[0-9]{1,4}(\.[0-9]{1,2})?(e[0-9])?".prop_map(number),
        1 => r"NaN|inf|1e999|[0-9.e+-]{0,4}".prop_map(number),
        1 => any::<String>().prop_map(Attribute::text),
        1 => (r"(String|Number|Binary|Text)?(\.[ -~]{0,6})?", r"[0-9]{0,2}")
            .prop_map(|(data_type, text)| Attribute::new(&data_type, AttributeValue::Text(text))),
    ];
    let name = prop_oneof![40 => r"[A-Za-z][A-Za-z0-9_-]{0,11}", 1 => r"[A-Za-z0-9_.-]{1,12}|traceparent|messageType|\PC{0,3}"];
    let attributes = proptest::collection::vec((name, value), 0..12);
    let id = || prop_oneof![15 => r"[!-~]{1,128}", 1 => r"[!-~]{0,130}|\PC{0,3}"];
    let group = proptest::option::weighted(if fifo { 0.95 } else { 0.5 }, id());
    let dedup = proptest::option::weighted(if fifo { 0.5 } else { 0.05 }, id());
    let secs = || {
        proptest::option::weighted(
            if fifo { 0.03 } else { 0.5 },
            prop_oneof![15 => 0..=450_u64, 1 => 0..1000_u64],
        )
    };
    let any_text = || proptest::option::of(any::<String>());
    (text, attributes, group, dedup, (any_text(), any_text()), (secs(), secs()), any::<bool>()).prop_map(
        |(text, attributes, group, dedup, (key, correlation), (delay, spread), trace)| Draft {
            text,
            attributes,
            group,
            dedup,
            key,
            correlation,
            delay,
            spread,
            trace,
        },
    )
}

#[test]
fn prepared_messages_are_accepted_by_queues_and_read_by_workers() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    let queues = [("jobs", false), ("jobs.fifo", true)].map(|(name, fifo)| {
        let queue = ModelQueue::new(name, Duration::from_secs(30), 5);
        let producer = Producer::new(client("http://127.0.0.1:9"), &queue.queue_url);
        (fifo, queue, producer)
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let taken = std::cell::Cell::new(0);
    let drafts = any::<bool>().prop_flat_map(|fifo| (draft(fifo), Just(fifo)));
    let result = runner.run(&drafts, |(draft, fifo)| {
        let (_, queue, producer) = queues.iter().find(|queue| queue.0 == fifo).unwrap();
        let Ok(prepared) = draft.job(producer).prepare() else { return Ok(()) };
        let outgoing = prepared.outgoing();
        taken.set(taken.get() + 1);
        let deduplication_id = fifo.then(|| outgoing.deduplication_id.clone());
        // Panics if the queue refuses it.
        let id = queue.send_with(
            &outgoing.body,
            SendMessage { message_deduplication_id: deduplication_id, ..request(outgoing) },
        );
        prop_assert!(!id.is_empty());
        let message = Message {
            body: outgoing.body.clone(),
            attributes: outgoing.attributes.as_ref().clone(),
            trace_header: outgoing.trace_header.clone(),
            ..Message::default()
        };
        let envelope = Envelope::decode(&message).unwrap();
        prop_assert_eq!(&*envelope.job_type, Note::TYPE);
        prop_assert_eq!(&envelope.job_id, &outgoing.job_id);
        let payload: Note = serde_json::from_str(envelope.payload.get()).unwrap();
        prop_assert_eq!(payload.text, &*draft.text);
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        prop_assert_eq!(envelope.idempotency_key.map(|key| key.to_string()), filled(&draft.key));
        prop_assert_eq!(envelope.correlation_id, filled(&draft.correlation));
        if draft.trace {
            let trace = message.traceparent().and_then(|trace| Traceparent::parse(&trace));
            prop_assert!(trace.is_some());
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!((300..950).contains(&taken.get()), "{} of 1000 were taken", taken.get());
}
