#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use drumline::Failure;
use drumline::core::{Ending, Outcome, SqsAction, SqsResult, StoreOperation, StoreResult};

use serde_json::{Value, json};

use drumline_runtime::{MAX_TYPES, OTHER_TYPE};

use super::*;
use crate::every_event::{
    QUEUE, done_of_group, emit_a_run, emit_a_run_of_group, emit_decided, emit_every_event, emit_note,
};

const NOW: Duration = Duration::from_millis(1_800_000_000_123);

fn for_queue(emf: &Arc<Emf>) -> Arc<dyn Observer> {
    Arc::new(emf.for_queue(QUEUE, &Arc::default(), None))
}

#[test]
fn a_common_batch_is_one_line() {
    let emf = Arc::new(Emf::default());
    let queue = for_queue(&emf);
    for _ in 0..2 {
        emit_a_run(&queue, Ok(()));
        emit_decided(&queue, "a.b", Outcome::Ack, Ending::Done);
    }
    let mut lines = emf.lines().json(NOW);
    for name in ["drumline_pickup_delay_seconds", "drumline_job_dwell_seconds"] {
        let times = lines[0][name].take();
        assert!(times.as_array().is_some_and(|values| values.len() == 2), "{name}: {times}");
    }
    let expected = json!({
        "queue": "jobs", "type": "a.b", "outcome": "ack",
        "drumline_jobs_total": 2.0,
        "drumline_job_duration_seconds": [0.25, 0.25],
        "drumline_pickup_delay_seconds": null,
        "drumline_job_dwell_seconds": null,
        "_aws": { "Timestamp": 1_800_000_000_123_u64, "CloudWatchMetrics": [
            { "Namespace": "Drumline", "Dimensions": [["outcome", "queue", "type"]],
              "Metrics": [{ "Name": "drumline_jobs_total", "Unit": "Count" }] },
            { "Namespace": "Drumline", "Dimensions": [["queue"]],
              "Metrics": [{ "Name": "drumline_pickup_delay_seconds", "Unit": "Seconds" }] },
            { "Namespace": "Drumline", "Dimensions": [["queue", "type"]],
              "Metrics": [{ "Name": "drumline_job_duration_seconds", "Unit": "Seconds" },
                          { "Name": "drumline_job_dwell_seconds", "Unit": "Seconds" }] },
        ] },
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn labels_that_differ_are_on_lines_of_their_own() {
    let emf = Arc::new(Emf::default());
    let queue = for_queue(&emf);
    emit_decided(&queue, "a", Outcome::Ack, Ending::Done);
    let panicked = Ending::Panicked { reason: "!".to_owned() };
    emit_decided(&queue, "b", Outcome::RetryAfter(Duration::ZERO), panicked);
    queue.observe(&Event::SqsRequest {
        action: SqsAction::ChangeMessageVisibilityBatch,
        result: SqsResult::Ok,
    });
    let lines = emf.lines().json(NOW);
    let told = |line: &Value| {
        let of = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        (of("type"), of("outcome"), of("class"), line.get("drumline_jobs_total").is_some())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| told(line) == (some("b"), some("retry"), some("panicked"), true)));
}

#[test]
fn the_cost_of_a_job_is_written_if_done_jobs_made_requests() {
    let price = SqsPrice::new(0.5).unwrap();
    let (emf, request) = (
        Arc::new(Emf::default()),
        Event::SqsRequest { action: SqsAction::ChangeMessageVisibilityBatch, result: SqsResult::Ok },
    );
    let queue = for_queue(&emf);
    queue.observe(&request);
    let failed = Ending::RetryAsked { after: None, reason: "later".to_owned() };
    emit_decided(&queue, "a", Outcome::RetryAfter(Duration::ZERO), failed);
    emf.add_cost(price);
    assert!(
        !emf.lines().json(NOW).iter().any(|line| line.to_string().contains("per_message")),
        "none is done"
    );
    for _ in 0..4 {
        emit_decided(&queue, "a", Outcome::Ack, Ending::Done);
    }
    emf.add_cost(price);
    let lines = emf.lines().json(NOW);
    let value = |name: &str| lines.iter().find_map(|line| line.get(name).cloned()).unwrap_or_default();
    assert_eq!(value("drumline_sqs_requests_per_message"), 0.25);
    assert_eq!(value("drumline_sqs_dollars_per_million_jobs"), 0.125);
}

#[test]
fn nothing_counted_is_nothing_written() {
    assert_eq!(Emf::default().lines().json(NOW), Vec::<Value>::new());
}

/// Returns the values of a metric by its labels.
fn counts(emf: &Emf, name: &str) -> BTreeMap<Vec<String>, f64> {
    let metrics = emf.0.lock().unwrap();
    let named = metrics.iter().filter(|((known, _), _)| *known == name);
    named.map(|((_, labels), values)| (labels.values().cloned().collect(), values.iter().sum())).collect()
}

#[test]
fn requests_to_the_store_are_counted_by_operation_and_result() {
    let process = Arc::new(Emf::default());
    let answered = |operation, result| process.observe(&Event::StoreRequest { operation, result });
    answered(StoreOperation::Claim, StoreResult::Ok);
    answered(StoreOperation::Claim, StoreResult::Ok);
    answered(StoreOperation::Finish, StoreResult::Failed);
    let line = |operation: &str, result: &str, count: f64| {
        json!({
            "operation": operation, "result": result, "drumline_store_requests_total": count,
            "_aws": { "Timestamp": 1_800_000_000_123_u64, "CloudWatchMetrics": [
                { "Namespace": "Drumline", "Dimensions": [["operation", "result"]],
                  "Metrics": [{ "Name": "drumline_store_requests_total", "Unit": "Count" }] },
            ] },
        })
    };
    assert_eq!(process.lines().json(NOW), [line("claim", "ok", 2.0), line("finish", "failed", 1.0)]);
}

#[test]
fn the_counts_of_the_process_are_written_once() {
    let process = Emf::default();
    let answered = || {
        let (operation, result) = (StoreOperation::Claim, StoreResult::Ok);
        process.observe(&Event::StoreRequest { operation, result });
    };
    let written = || {
        let invocation = Emf::default();
        invocation.absorb(&process);
        counts(&invocation, "drumline_store_requests_total").into_values().next()
    };
    answered();
    answered();
    let first = written();
    answered();
    assert_eq!([first, written(), written()], [Some(2.0), Some(1.0), None]);
}

#[test]
fn every_event_is_counted_once_by_the_queue_and_by_the_process() {
    let (emf, process) = (Arc::new(Emf::default()), Arc::new(Emf::default()));
    emit_every_event(&for_queue(&emf));
    emit_every_event(&(Arc::clone(&process) as Arc<dyn Observer>));
    for emf in [&emf, &process] {
        let store = counts(emf, "drumline_store_requests_total");
        assert_eq!(store.len(), StoreOperation::ALL.len() * StoreResult::ALL.len());
        assert!(store.values().all(|count| (count - 1.0).abs() < 0.1), "{store:?}");
    }
    let renewals = counts(&emf, "drumline_lease_renewals_total").into_values().collect::<Vec<_>>();
    assert_eq!(renewals, [1.0, 2.0], "not renewed, renewed");
    assert_eq!(counts(&emf, "drumline_deduplicated_total").len(), 4, "by type and cause");
    let names: BTreeSet<_> = process.0.lock().unwrap().keys().map(|(name, _)| *name).collect();
    let expected = [
        "drumline_sqs_client_replaced_total",
        "drumline_sqs_requests_total",
        "drumline_store_requests_total",
    ];
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn a_payload_that_was_not_read_is_a_failure_without_a_duration() {
    let emf = Arc::new(Emf::default());
    let ending = Ending::PayloadUnavailable { reason: "no answer".to_owned() };
    emit_decided(&for_queue(&emf), "a.b", Outcome::RetryAfter(Duration::ZERO), ending);
    assert_eq!(counts(&emf, "drumline_failures_total").len(), 1);
    assert!(!emf.0.lock().unwrap().keys().any(|(name, _)| *name == "drumline_job_duration_seconds"));
}

#[test]
fn a_run_that_fails_is_counted_when_the_ledger_decides() {
    let emf = Arc::new(Emf::default());
    emit_a_run(&for_queue(&emf), Err(Failure::retry("later")));
    assert!(counts(&emf, "drumline_failures_total").is_empty());
}

#[test]
fn the_oldest_message_of_a_batch_is_counted_with_its_age() {
    let emf = Arc::new(Emf::default());
    let sent = |secs_ago| Message { sent_at: Some(age(Duration::from_secs(secs_ago))), ..Message::default() };
    emf.for_queue(QUEUE, &Arc::default(), None).received(&[Message::default(), sent(30), sent(90), sent(60)]);
    emf.for_queue(QUEUE, &Arc::default(), None).received(&[Message::default()]);
    let ages: Vec<f64> = counts(&emf, "drumline_oldest_message_age_seconds").into_values().collect();
    assert!(matches!(ages[..], [90.0..100.0]), "{ages:?}");
}

#[test]
fn types_are_bounded_over_all_invocations() {
    let types = Arc::default();
    let mut labels = BTreeSet::new();
    for n in 0..2 * MAX_TYPES {
        let emf = Arc::new(Emf::default());
        let queue: Arc<dyn Observer> = Arc::new(emf.for_queue(QUEUE, &types, None));
        emit_decided(&queue, &format!("type{n}"), Outcome::Ack, Ending::Done);
        for name in ["drumline_jobs_total", "drumline_job_duration_seconds"] {
            let metrics = emf.0.lock().unwrap();
            let named = metrics.keys().filter(|(known, _)| *known == name);
            labels.extend(named.map(|(_, labels)| labels["type"].clone()));
        }
    }
    assert_eq!(labels.len(), MAX_TYPES + 1);
    assert!(labels.contains("type0") && labels.contains(OTHER_TYPE), "{labels:?}");
}

#[test]
fn tenants_are_counted_if_they_have_labels() {
    let emf = Arc::new(Emf::default());
    let counted: Arc<dyn Observer> = Arc::new(emf.for_queue(QUEUE, &Arc::default(), Some(&Arc::default())));
    for observer in [&counted, &for_queue(&emf)] {
        emit_a_run_of_group(observer, Some("acme"));
        emit_note(observer, &done_of_group(Some("acme")));
        emit_note(observer, &done_of_group(None));
    }
    let lines = emf.lines().json(NOW);
    let of_tenant: Vec<&Value> = lines.iter().filter(|line| line["tenant"] == "acme").collect();
    assert_eq!(of_tenant.len(), 1, "{lines:?}");
    assert_eq!(of_tenant[0]["drumline_tenant_jobs_total"], 1.0);
    assert!(of_tenant[0]["drumline_tenant_dwell_seconds"].is_number(), "one: {}", of_tenant[0]);
}
