#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::api::context::Context;
use crate::api::job::Job;
use crate::api::router::Router;
use crate::api::run_environment::RunEnvironment;
use crate::core::control::{CancelReason, RunControl};
use crate::core::ids::DeliveryId;
use crate::core::maybe_ready::MaybeReady;
use crate::core::next_job::next_job_id;
use crate::core::run_report::RunReport;
use crate::message::intake::RequiredFields;

#[path = "replay_tests.rs"]
mod replays;

const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";

/// A host that records its requests, and gives the same answer to all.
#[derive(Default)]
struct Asked {
    requests: Mutex<Vec<ClaimRequest>>,
    prior: Option<PriorRun>,
    /// The answers to single requests, the last one first.
    answers: Mutex<Vec<ClaimResult>>,
    /// The number of requests that are not answered, before those that are.
    outages: AtomicUsize,
    /// The reports to the ledger.
    reported: Mutex<Vec<Claimed>>,
}

impl RunEnvironment for Asked {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        self.requests.lock().unwrap().push(request.clone());
        MaybeReady::now(match &self.prior {
            _ if self.outages.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() => {
                Err("no route".to_owned())
            }
            _ if !self.answers.lock().unwrap().is_empty() => Ok(self.answers.lock().unwrap().pop().unwrap()),
            Some(prior) => Ok(ClaimResult::Done(Box::new(prior.clone()))),
            None => Ok(ClaimResult::Unclaimed),
        })
    }

    fn claimed(&self, delivery: DeliveryId, answer: Claimed) -> MaybeReady<'_, ()> {
        assert_eq!(delivery, DeliveryId(7));
        self.reported.lock().unwrap().push(answer);
        MaybeReady::now(())
    }
}

#[derive(serde::Deserialize)]
struct Order {
    #[serde(default)]
    number: u64,
}

impl Job for Order {
    const TYPE: &'static str = "order";
}

#[derive(serde::Deserialize)]
struct Mail {
    delivery: String,
}

impl Job for Mail {
    const TYPE: &'static str = "mail";

    fn idempotency_key(&self) -> Option<String> {
        Some(self.delivery.clone())
    }
}

#[derive(serde::Deserialize)]
struct Charge {
    invoice: String,
}

impl Job for Charge {
    const TYPE: &'static str = "charge";
    const KEY_SCOPE: KeyScope = KeyScope::Global;

    fn idempotency_key(&self) -> Option<String> {
        Some(self.invoice.clone())
    }
}

fn router() -> Router {
    Router::new()
        .handle(|_: Context, order: Order| async move {
            let _ = order.number;
            Ok(())
        })
        .handle(|_: Context, _: Mail| async { Ok(()) })
        .handle(|_: Context, _: Charge| async { Ok(()) })
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn attempt(host: &Arc<Asked>, intake: &Intake, message: Message) -> Attempt {
    Attempt {
        delivery: DeliveryId(7),
        queue: "jobs".into(),
        intake: Arc::new(intake.clone()),
        message: Arc::new(message),
        number: NonZeroU32::MIN,
        started_at: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        latest_deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control: RunControl::new(),
        host: Arc::clone(host) as Arc<dyn RunEnvironment>,
    }
}

fn run(host: &Arc<Asked>, intake: &Intake, message: Message) -> RunReport {
    router().run(attempt(host, intake, message)).now_or_never().expect("nothing to wait for")
}

fn message(body: &serde_json::Value) -> Message {
    Message { id: "m-1".into(), body: body.to_string(), receive_count: 1, ..Message::default() }
}

/// The claim request for a message.
fn claimed(intake: &Intake, body: &serde_json::Value) -> ClaimRequest {
    let host = Arc::new(Asked::default());
    let report = run(&host, intake, message(body));
    assert_eq!(report.ending, Ending::Done, "{body}");
    let request = host.requests.lock().unwrap().pop().unwrap();
    assert_eq!(report.identity.as_ref(), Some(&request.identity), "{body}");
    request
}

fn failure(intake: &Intake, body: &serde_json::Value) -> String {
    let host = Arc::new(Asked::default());
    let report = run(&host, intake, message(body));
    assert!(host.requests.lock().unwrap().is_empty(), "nothing is claimed: {body}");
    assert!(matches!(report.ending, Ending::InvalidPayload { .. }), "{:?}", report.ending);
    report.ending.reason().unwrap().to_owned()
}

#[test]
fn an_identity_is_made_of_scope_type_source_and_the_first_id() {
    let intake = Intake::new(ARN);
    let sns = |inner: &str| json!({ "Type": "Notification", "TopicArn": "arn:t", "MessageId": "n-1", "Message": inner });
    let native = json!({ "type": "order", "jobId": "j-1", "payload": {} });
    let table = [
        (json!({ "type": "order", "payload": {} }), ARN, None, "m-1", "m-1"),
        (native.clone(), ARN, None, "j-1", "j-1"),
        (
            json!({ "type": "order", "jobId": "j-1", "idempotencyKey": "k", "payload": {} }),
            ARN,
            None,
            "k",
            "j-1",
        ),
        (
            json!({ "specversion": "1.0", "type": "order", "id": "1", "source": "/a", "data": {} }),
            ARN,
            Some("/a"),
            "1",
            "1",
        ),
        (sns(&native.to_string()), ARN, Some("arn:t"), "j-1", "j-1"),
        (sns(r#"{"type":"order","payload":{}}"#), ARN, Some("arn:t"), "n-1", "n-1"),
        (
            json!({ "id": "e-1", "source": "shop", "detail-type": "order", "detail": {} }),
            ARN,
            Some("shop"),
            "e-1",
            "e-1",
        ),
        (
            json!({ "type": "mail", "jobId": "j", "idempotencyKey": "k", "payload": { "delivery": "d-1" } }),
            ARN,
            None,
            "d-1",
            "j",
        ),
        // A job's code may compute no key.
        (json!({ "type": "mail", "jobId": "j", "payload": { "delivery": "" } }), ARN, None, "j", "j"),
    ];
    for (body, scope, source, id, job_id) in table {
        let identity = claimed(&intake, &body).identity;
        let job_type = Arc::clone(identity.job_type());
        let expected = match id {
            "m-1" => Identity::of_message(scope, job_type, source, id),
            id => Identity::new(scope, job_type, source, id),
        };
        let expected = expected.with_job_id(job_id);
        assert_eq!(*identity, expected, "{body}");
    }
}

#[test]
fn a_global_key_is_the_same_in_every_scope_and_of_every_source() {
    let key = |scope: &str, source: &str| {
        let body = json!({
            "specversion": "1.0", "type": "charge", "id": "1", "source": source,
            "data": { "invoice": "7", "from": source },
        });
        let request = claimed(&Intake::new(scope), &body);
        assert_eq!((request.payload_hash, request.legacy_key), (0, None), "payloads may differ");
        Arc::clone(request.identity.key())
    };
    assert_eq!(key("a", "/x"), key("b", "/y"));
    let mail = |scope: &str| {
        let body = json!({ "type": "mail", "payload": { "delivery": "7" } });
        Arc::clone(claimed(&Intake::new(scope), &body).identity.key())
    };
    assert_ne!(mail("a"), mail("b"), "keys are scoped unless they say otherwise");
    assert_ne!(mail("a"), key("a", "/x"));
}

#[test]
fn a_type_may_have_a_scope_of_its_own() {
    let mut intake = Intake::new(ARN);
    intake.scope_by_type.insert("mail".to_owned(), "letters".into());
    let scope = |body| Arc::clone(claimed(&intake, &body).identity.scope());
    assert_eq!(&*scope(json!({ "type": "mail", "payload": { "delivery": "7" } })), "letters");
    assert_eq!(&*scope(json!({ "type": "order", "payload": {} })), ARN);
}

#[test]
fn old_records_are_found_by_id_alone_unless_switched_off() {
    let mut intake = Intake::new(ARN);
    let body = json!({ "type": "order", "jobId": "j-1", "payload": {} });
    assert_eq!(claimed(&intake, &body).legacy_key.as_deref(), Some("j-1"));
    intake.legacy_keys = false;
    assert_eq!(claimed(&intake, &body).legacy_key, None);
}

#[test]
fn a_message_without_a_required_field_is_not_run() {
    let both = RequiredFields { idempotency_key: true, job_id: true };
    let mut intake = Intake::new(ARN);
    intake.require = both;
    intake
        .require_by_type
        .insert("mail".to_owned(), RequiredFields { job_id: true, ..RequiredFields::default() });
    let cloud = |id: &str| json!({ "specversion": "1.0", "type": "order", "id": id, "idempotencykey": "k", "data": {} });
    let complete = [
        json!({ "type": "order", "jobId": "j", "idempotencyKey": "k", "payload": {} }),
        json!({ "type": "mail", "jobId": "j", "payload": { "delivery": "7" } }),
        cloud("1"),
    ];
    for body in complete {
        claimed(&intake, &body);
    }
    let sns = json!({
        "Type": "Notification", "TopicArn": "t", "MessageId": "n",
        "Message": r#"{"type":"order","idempotencyKey":"k","payload":{}}"#,
    });
    let missing = [
        (json!({ "type": "order", "jobId": "j", "payload": {} }), "idempotencyKey"),
        (json!({ "type": "order", "jobId": "j", "idempotencyKey": "", "payload": {} }), "idempotencyKey"),
        (json!({ "type": "order", "idempotencyKey": "k", "payload": {} }), "jobId"),
        (json!({ "type": "order", "jobId": null, "idempotencyKey": "k", "payload": {} }), "jobId"),
        (json!({ "type": "mail", "payload": { "delivery": "7" } }), "jobId"),
        (cloud(""), "jobId"),
        (sns, "jobId"),
    ];
    for (body, field) in missing {
        let reason = failure(&intake, &body);
        assert!(reason.contains(&format!("`{field}`")), "{body}: {reason}");
    }
    // A computed key counts as a key.
    intake
        .require_by_type
        .insert("mail".to_owned(), RequiredFields { idempotency_key: true, ..RequiredFields::default() });
    claimed(&intake, &json!({ "type": "mail", "payload": { "delivery": "7" } }));
}

#[test]
fn a_payload_that_does_not_fit_fails_unless_its_job_is_done() {
    let mail = json!({ "type": "mail", "jobId": "j", "payload": { "delivery": 7 } });
    let order = json!({ "type": "order", "jobId": "j", "payload": { "number": "seven" } });
    for body in [mail, order] {
        let host = Arc::new(Asked::default());
        let report = run(&host, &Intake::new(ARN), message(&body));
        assert!(
            matches!(&report.ending, Ending::InvalidPayload { reason } if reason.contains("does not fit"))
        );
        let asked: Vec<String> =
            host.requests.lock().unwrap().iter().map(|request| request.identity.id().to_string()).collect();
        assert_eq!(asked, ["j"], "claimed under what its envelope says");
        let host = Arc::new(Asked { prior: Some(PriorRun::default()), ..Asked::default() });
        let ending = run(&host, &Intake::new(ARN), message(&body)).ending;
        assert!(matches!(ending, Ending::DoneBefore(_)), "{ending:?}");
    }
    // Its code might have computed the required key.
    let mut intake = Intake::new(ARN);
    intake.require = RequiredFields { idempotency_key: true, ..RequiredFields::default() };
    let body = json!({ "type": "mail", "payload": { "delivery": 7 } });
    let ending = run(&Arc::new(Asked::default()), &intake, message(&body)).ending;
    assert!(ending.reason().unwrap().contains("does not fit"), "{ending:?}");
}

#[test]
fn what_is_too_long_to_be_kept_is_not_run() {
    let intake = Intake::new(ARN);
    let long = "x".repeat(MAX_KEY_BYTES + 1);
    let table = [
        (json!({ "type": "order", "jobId": long, "payload": {} }), "jobId"),
        (json!({ "type": "order", "idempotencyKey": long, "payload": {} }), "idempotency key"),
        (json!({ "type": "mail", "payload": { "delivery": long } }), "idempotency key"),
        (json!({ "specversion": "1.0", "type": "order", "id": "1", "source": long, "data": {} }), "source"),
    ];
    for (body, part) in table {
        let reason = failure(&intake, &body);
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_duplicate_names_its_cause_and_the_run_that_was_done() {
    let prior = PriorRun {
        job_id: "j-0".to_owned(),
        message_id: "m-0".to_owned(),
        queue: "jobs".to_owned(),
        worker: "w".to_owned(),
        ..PriorRun::default()
    };
    let raw_replay = json!({ "type": "order", "jobId": "raw", "payload": {} });
    let ending = |message_id: &str, body: serde_json::Value| {
        let host = Arc::new(Asked { prior: Some(prior.clone()), ..Asked::default() });
        let mut message = Message { id: message_id.into(), ..message(&body) };
        if body == raw_replay {
            // With raw delivery SNS marks the SQS message itself.
            message.attributes.insert("Replayed".to_owned(), Attribute::text("true"));
        }
        let Ending::DoneBefore(duplicate) = run(&host, &Intake::new(ARN), message).ending else { panic!() };
        assert_eq!(duplicate.prior, prior);
        duplicate.cause
    };
    let plain = json!({ "type": "order", "jobId": "j-1", "payload": {} });
    let replay =
        json!({ "id": "e", "source": "s", "detail-type": "order", "replay-name": "r", "detail": {} });
    assert_eq!(ending("m-0", plain.clone()), DuplicateCause::Redelivered);
    assert_eq!(ending("m-1", plain), DuplicateCause::Duplicate);
    assert_eq!(ending("m-1", replay.clone()), DuplicateCause::Replayed);
    assert_eq!(ending("m-0", replay), DuplicateCause::Redelivered);
    assert_eq!(ending("m-1", raw_replay.clone()), DuplicateCause::Replayed);
}

#[test]
fn what_is_not_run_has_an_identity_too() {
    let intake = Intake::new(ARN);
    let host = Arc::new(Asked::default());
    let identity = |body: &str| {
        let message = Message { id: "m-1".into(), body: body.to_owned(), ..Message::default() };
        run(&host, &intake, message).identity.unwrap()
    };
    assert_eq!(*identity("nonsense"), Identity::of_message(ARN, "", None, "m-1"));
    assert_eq!(
        *identity(r#"{"type":"unknown","jobId":"j","payload":{}}"#),
        Identity::new(ARN, "unknown", None, "j")
    );
    let newer = identity(r#"{"type":"order","schemaVersion":9,"jobId":"j","payload":{}}"#);
    assert_eq!(*newer, Identity::new(ARN, "order", None, "j"));
}

#[test]
fn what_is_handed_on_as_it_is_has_the_ids_of_its_envelopes() {
    let identity = |body: &str, default_type: Option<&str>| {
        let host = Arc::new(Asked::default());
        let mut intake = Intake::new(ARN);
        intake.default_type = default_type.map(Into::into);
        let router = Router::passthrough(|_| async { Ok(()) });
        let message = Message { id: "m-1".into(), body: body.to_owned(), ..Message::default() };
        let report = router.run(attempt(&host, &intake, message)).now_or_never().unwrap();
        assert_eq!(report.ending, Ending::Done, "{body}");
        report.identity.unwrap()
    };
    let sns = r#"{"Type":"Notification","TopicArn":"arn:t","MessageId":"n-1","Message":"text"}"#;
    let table = [
        ("text", None, Identity::of_message(ARN, "raw", None, "m-1")),
        (r#"{"foo":1}"#, None, Identity::of_message(ARN, "raw", None, "m-1")),
        (r#"{"foo":1}"#, Some("report"), Identity::of_message(ARN, "report", None, "m-1")),
        (sns, None, Identity::new(ARN, "raw", Some("arn:t"), "n-1")),
        (r#"{"type":"a","jobId":"j","payload":1}"#, None, Identity::new(ARN, "a", None, "j")),
        // The application has to judge an envelope with a mistake.
        (r#"{"type":"a","jobId":7,"payload":1}"#, None, Identity::new(ARN, "a", None, "7")),
        (r#"{"type":"a","jobId":[7],"payload":1}"#, None, Identity::of_message(ARN, "raw", None, "m-1")),
    ];
    for (body, default_type, expected) in table {
        assert_eq!(*identity(body, default_type), expected, "{body}");
    }
}

#[test]
fn no_producer_can_name_a_message_of_another() {
    let intake = Intake::new(ARN);
    let own = claimed(&intake, &json!({ "type": "order", "payload": {} }));
    let named = claimed(&intake, &json!({ "type": "order", "jobId": "m-1", "payload": {} }));
    assert_eq!(own.identity.id(), named.identity.id());
    assert_ne!(own.identity.key(), named.identity.key());
    assert_eq!(own.payload_hash, 0);
    assert_ne!(named.payload_hash, 0);
}

/// Another attempt at the job that it follows may have fetched other data.
#[test]
fn a_job_that_follows_is_the_same_job_with_another_payload() {
    let first = claimed(&Intake::new(ARN), &json!({ "type": "order", "jobId": "j", "payload": {} }));
    let id = next_job_id(&first.identity, "order", 0);
    let [one, other] = [1, 2].map(|data| {
        claimed(&Intake::new(ARN), &json!({ "type": "order", "jobId": id, "payload": { "data": data } }))
    });
    assert_eq!(one.identity.key(), other.identity.key());
    assert_eq!((one.payload_hash, other.payload_hash), (0, 0));
}

#[test]
fn old_records_count_only_under_the_scope_of_their_queue() {
    let body = json!({ "type": "order", "jobId": "j", "payload": {} });
    let looks_up = |scope: &str| claimed(&Intake::new(scope), &body).legacy_key.is_some();
    assert!(looks_up(ARN), "it ends with the queue's name");
    for scope in ["reindex-2026-11", "arn:aws:sqs:eu-west-1:123456789012:other", "jobs2"] {
        assert!(!looks_up(scope), "{scope}");
    }
}

#[test]
fn a_run_without_an_answer_waits_for_the_ledgers_decision() {
    let unavailable = Ending::StoreUnavailable { reason: "the store does not answer: no route".to_owned() };
    let unanswered = || Claimed::Unanswered("no route".to_owned());
    let table = [
        (
            vec![ClaimStep::Ask(Duration::from_secs(9)), ClaimStep::RunUnclaimed],
            Ending::Done,
            [27, 9].to_vec(),
        ),
        (
            vec![ClaimStep::Ask(Duration::from_secs(9)), ClaimStep::Ask(Duration::from_secs(8))],
            Ending::Done,
            vec![27, 9, 8],
        ),
        (vec![ClaimStep::GiveUp], unavailable.clone(), vec![27]),
        (vec![], unavailable, vec![27]),
    ];
    for (steps, ending, lengths) in table {
        let host = Arc::new(Asked { outages: AtomicUsize::new(2), ..Asked::default() });
        let body = json!({ "type": "order", "payload": {} });
        let attempt = attempt(&host, &Intake::new(ARN), message(&body));
        let control = attempt.control.clone();
        let router = router();
        let mut run = Box::pin(router.run(attempt));
        for step in &steps {
            assert!((&mut run).now_or_never().is_none());
            control.claim_step(*step);
        }
        if steps.is_empty() {
            assert!((&mut run).now_or_never().is_none());
            control.cancel(CancelReason::Shutdown);
        }
        assert_eq!(run.now_or_never().unwrap().ending, ending, "{steps:?}");
        let asked: Vec<u64> = host.requests.lock().unwrap().iter().map(|r| r.length.as_secs()).collect();
        assert_eq!(asked, lengths);
        let reported = host.reported.lock().unwrap();
        assert!(reported.iter().all(|answer| *answer == unanswered()), "{reported:?}");
    }
}

#[test]
fn a_panic_of_a_jobs_key_is_an_ending() {
    #[derive(serde::Deserialize)]
    struct Broken {}

    impl Job for Broken {
        const TYPE: &'static str = "broken";

        fn idempotency_key(&self) -> Option<String> {
            panic!("no key")
        }
    }

    let host = Arc::new(Asked::default());
    let router = Router::new().handle(|_: Context, _: Broken| async { Ok(()) });
    let message = message(&json!({ "type": "broken", "payload": {} }));
    let report = router.run(attempt(&host, &Intake::new(ARN), message)).now_or_never().unwrap();
    assert_eq!(report.ending, Ending::Panicked { reason: "no key".to_owned() });
}

#[test]
fn only_s3_itself_sends_its_test_event() {
    let mut intake = Intake::new(ARN);
    intake.require = RequiredFields { idempotency_key: true, job_id: true };
    let real = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-28T00:00:00.000Z", "Bucket": "b",
        "RequestId": "r", "HostId": "h",
    });
    let host = Arc::new(Asked::default());
    assert_eq!(run(&host, &intake, message(&real)).ending, Ending::Done);
    let others = [
        json!({ "type": "s3.testEvent", "payload": {} }),
        json!({ "Event": "s3:TestEvent", "important": 1 }),
        json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" }),
    ];
    for body in others {
        let mut intake = Intake::new(ARN);
        intake.default_type = Some("s3.testEvent".into());
        let ending = run(&host, &intake, message(&body)).ending;
        assert!(matches!(ending, Ending::NoHandler { .. }), "{body}: {ending:?}");
    }
}
