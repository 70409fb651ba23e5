#![allow(clippy::unwrap_used)]
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::message::Envelope;
use drumline::message::Message;

use super::*;

const JOBS: &str = "http://127.0.0.1:9324/000000000000/jobs";
const MAIL: &str = "http://127.0.0.1:9324/000000000000/mail.fifo";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn job() -> NextJob {
    let mut job = NextJob::new("next-1", "lead.crm", r#"{"lead":7}"#);
    job.correlation_id = "request-1".to_owned();
    job.traceparent = Some(TRACE.to_owned());
    job
}

fn with(change: impl FnOnce(&mut NextJob)) -> NextJob {
    let mut job = job();
    change(&mut job);
    job
}

fn queue(url: &str) -> TargetQueue {
    let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest()).build();
    TargetQueue::new(Client::from_conf(config), url.to_owned())
}

#[test]
fn a_message_is_the_job_under_its_id() {
    let mut job = job();
    (job.schema_version, job.idempotency_key) = (3, Some("crm:7".to_owned()));
    (job.group, job.delay) = (Some("acme".to_owned()), Duration::from_secs(60));
    let outgoing = next_job_message(&Checks::default(), &job, false).unwrap();
    assert_eq!((&*outgoing.deduplication_id, outgoing.job_id.as_deref()), ("next-1", Some("next-1")));
    assert_eq!((outgoing.group.as_deref(), outgoing.delay_secs), (Some("acme"), Some(60)));
    assert!(outgoing.trace_header.unwrap().starts_with("Root=1-0af76519-"));
    assert_eq!(outgoing.attributes["traceparent"].as_text(), Some(TRACE));
    let message = Message { body: outgoing.body, ..Message::default() };
    let envelope = Envelope::decode(&message).unwrap();
    assert_eq!((&*envelope.job_type, envelope.version), ("lead.crm", 3));
    assert_eq!(envelope.job_id.as_deref(), Some("next-1"));
    assert_eq!(envelope.idempotency_key.as_deref(), Some("crm:7"));
    assert_eq!(envelope.correlation_id.as_deref(), Some("request-1"));
    assert_eq!(envelope.payload.get(), r#"{"lead":7}"#);
}

#[test]
fn what_sqs_or_the_guards_would_refuse_is_refused_by_its_field() {
    let delayed = |delay| with(|job| job.delay = delay);
    let with_group = |group: &str| with(|job| job.group = Some(group.to_owned()));
    let with_payload = |payload: &str| with(|job| job.payload = payload.to_owned());
    let delayed_in_group =
        with(|job| (job.group, job.delay) = (Some("g".to_owned()), Duration::from_secs(1)));
    let table = [
        (delayed(Duration::from_secs(901)), false, "delay"),
        (delayed(Duration::from_millis(1_500)), false, "delay"),
        (delayed_in_group, true, "delay"),
        (job(), true, "group"),
        (with_group("a b"), false, "group"),
        (with_group("AKIAIOSFODNN7EXAMPLE"), false, "group"),
        (with_payload(r#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#), false, "payload.key"),
        (with_payload("{"), false, "payload"),
    ];
    for (job, is_fifo, field) in table {
        let refusal = next_job_message(&Checks::default(), &job, is_fifo).unwrap_err();
        assert_eq!(refusal.field, field, "{job:?}");
    }
}

#[test]
fn a_job_has_the_group_of_the_one_that_it_follows() {
    let group = |from: &str, to: &str, own: Option<&str>, of_origin: Option<&str>| {
        let job = with(|job| job.group = own.map(str::to_owned));
        let from = Url::parse(from).unwrap();
        in_group(job, &queue(to), NextOrigin { queue_url: &from, group: of_origin }).group
    };
    let table = [
        (MAIL, MAIL, None, Some("g"), Some("g")),
        (MAIL, MAIL, Some("own"), Some("g"), Some("own")),
        (JOBS, JOBS, None, Some("tenant"), Some("tenant")),
        (JOBS, MAIL, None, Some("tenant"), Some("tenant")),
        (JOBS, JOBS, None, None, None),
        // A FIFO group is not used as a tenant.
        (MAIL, JOBS, None, Some("g"), None),
    ];
    for (from, to, own, of_origin, expected) in table {
        assert_eq!(group(from, to, own, of_origin).as_deref(), expected, "{from} {to} {own:?}");
    }
}
