#![allow(clippy::unwrap_used)]
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use drumline::Failure;
use drumline::core::{
    Duplicate, DuplicateCause, Ending, JobClass, LedgerEvent, LimitRules, Limits, Outcome, Pause,
    PauseReason, PriorRun, Probe, SlotPool, SlotRules, SqsAction, SqsErrorKind, SqsResult, TypeRules,
};
use drumline_runtime::{MAX_TENANTS, MAX_TYPES, SqsPrice, age};

use super::*;
use crate::every_event::{
    QUEUE, TYPE, done_of_group, emit_a_run, emit_a_run_of_group, emit_decided, emit_every_event, emit_note,
    stalled,
};

const THROTTLED: SqsResult = SqsResult::Failed(SqsErrorKind::Throttled);

#[test]
fn names_are_those_of_the_contract() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let action = SqsAction::ReceiveMessage;
    emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    emit_decided(
        &queue,
        TYPE,
        Outcome::RetryAfter(Duration::ZERO),
        Ending::Panicked { reason: "!".to_owned() },
    );
    emit_note(&queue, &LedgerEvent::Renewed(1));
    emit_note(&queue, &stalled());
    emit_note(&queue, &LedgerEvent::Paused(Pause { reason: PauseReason::StoreDown, probe: Probe::Host }));
    for result in [SqsResult::Ok, THROTTLED] {
        queue.observe(&Event::SqsRequest { action, result });
    }
    let text = metrics.encode();
    for line in [
        r#"drumline_jobs_total{queue="jobs",type="a.b",outcome="ack"} 1"#,
        r#"drumline_jobs_total{queue="jobs",type="a.b",outcome="retry"} 1"#,
        r#"drumline_job_duration_seconds_bucket{le="0.25",queue="jobs",type="a.b"} 2"#,
        r#"drumline_failures_total{queue="jobs",type="a.b",class="panicked"} 1"#,
        r#"drumline_lease_renewals_total{queue="jobs",result="ok"} 1"#,
        r#"drumline_sqs_requests_total{action="ReceiveMessage",result="ok"} 1"#,
        r#"drumline_sqs_requests_total{action="ReceiveMessage",result="throttled"} 1"#,
        r#"drumline_deliveries_in_hand{queue="jobs"} 0"#,
        r#"drumline_paused{queue="jobs",reason="store_down"} 1"#,
        r#"drumline_paused{queue="jobs",reason="operator"} 0"#,
        r#"drumline_pickup_delay_seconds_count{queue="jobs"} 0"#,
        r#"drumline_job_dwell_seconds_count{queue="jobs",type="a.b"} 1"#,
        r#"drumline_oldest_message_age_seconds{queue="jobs"} 0"#,
        r#"drumline_jobs_stalled_total{queue="jobs",type="a.b"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn types_are_bounded() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    for n in 0..2 * MAX_TYPES {
        emit_decided(&queue, &format!("type{n}"), Outcome::Ack, Ending::Done);
    }
    let text = metrics.encode();
    assert_eq!(text.matches("drumline_jobs_total{").count(), MAX_TYPES + 1);
    assert!(text.contains(r#"type="other",outcome="ack"} 100"#));
}

/// The number of the lines of each metric, its parts of a histogram included.
fn series(metrics: &Metrics) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for line in metrics.encode().lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn no_metric_has_more_series_than_the_types_that_have_a_label() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    // One of every event first, so that each metric has a series.
    emit_every_event(&queue);
    let outcomes = [Outcome::Ack, Outcome::RetryAfter(Duration::ZERO), Outcome::LeaseLost];
    let send = |types: std::ops::Range<usize>| {
        for n in types {
            for outcome in &outcomes {
                let failed = Ending::RetryAsked { after: None, reason: "later".to_owned() };
                emit_decided(&queue, &format!("type{n}"), outcome.clone(), failed);
            }
        }
    };
    let labelled = MAX_TYPES + 1;
    send(0..labelled);
    let bounded = series(&metrics);
    send(labelled..20 * MAX_TYPES);
    assert_eq!(series(&metrics), bounded, "further types add nothing");
    let per_type = ["drumline_jobs_total", "drumline_failures_total", "drumline_job_dwell_seconds_bucket"];
    for name in per_type {
        // The types with a label, `other`, and `unknown`, each with few values of the other labels.
        assert!((MAX_TYPES..40 * (MAX_TYPES + 2)).contains(&bounded[name]), "{name}: {}", bounded[name]);
    }
    let others = bounded.iter().filter(|(name, _)| !name.contains("job") && !name.contains("failures"));
    for (name, count) in others {
        assert!(*count < 10 * MAX_TYPES, "{name} has {count} series");
    }
}

#[test]
fn the_cost_of_a_job_is_shown_once_one_is_done() {
    let metrics = Metrics::new();
    metrics.set_sqs_price(SqsPrice::new(0.5).expect("a price"));
    let queue = metrics.queue(QUEUE);
    let request = |action| queue.observe(&Event::SqsRequest { action, result: SqsResult::Ok });
    request(SqsAction::ReceiveMessage);
    assert!(!metrics.encode().contains("drumline_sqs_requests_per_message"), "none is done");
    request(SqsAction::DeleteMessageBatch);
    metrics.observe(&Event::SqsRequest { action: SqsAction::GetQueueAttributes, result: THROTTLED });
    for job_type in ["a", "a", "b", "b"] {
        emit_decided(&queue, job_type, Outcome::Ack, Ending::Done);
    }
    let text = metrics.encode();
    for line in ["drumline_sqs_requests_per_message 0.75", "drumline_sqs_dollars_per_million_jobs 0.375"] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
}

#[test]
fn a_run_is_running_from_its_start_to_its_end() {
    /// Checks the gauge while the run reports its progress.
    struct Meanwhile(Metrics, Arc<dyn Observer>);
    impl Observer for Meanwhile {
        fn observe(&self, event: &Event<'_>) {
            self.1.observe(event);
            if matches!(event, Event::Progress { .. }) {
                assert!(self.0.encode().contains(r#"drumline_jobs_running{queue="jobs",type="a.b"} 1"#));
            }
        }
    }
    let metrics = Metrics::new();
    let observer = Meanwhile(metrics.clone(), metrics.queue(QUEUE));
    emit_a_run(&(Arc::new(observer) as Arc<dyn Observer>), Err(Failure::retry("later")));
    let text = metrics.encode();
    for line in [
        r#"drumline_jobs_running{queue="jobs",type="a.b"} 0"#,
        r#"drumline_pickup_delay_seconds_count{queue="jobs"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("drumline_failures_total{"), "the ledger decides what has failed: {text}");
}

#[test]
fn a_message_that_failed_before_is_not_counted_again() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let (outcome, reason) = (Outcome::DeadLetter("never".to_owned()), "never".to_owned());
    emit_decided(&queue, TYPE, outcome.clone(), Ending::Rejected { reason: reason.clone() });
    for _ in 0..3 {
        emit_decided(&queue, TYPE, outcome.clone(), Ending::FailedPermanently { reason: reason.clone() });
    }
    let line = r#"drumline_jobs_total{queue="jobs",type="a.b",outcome="dead_letter"} 1"#;
    assert!(metrics.encode().contains(line), "{}", metrics.encode());
}

#[test]
fn a_payload_that_was_not_read_is_a_failure_without_a_duration() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let ending = Ending::PayloadUnavailable { reason: "no answer".to_owned() };
    emit_decided(&queue, TYPE, Outcome::RetryAfter(Duration::ZERO), ending);
    let text = metrics.encode();
    let line = r#"drumline_failures_total{queue="jobs",type="a.b",class="payload_unavailable"} 1"#;
    assert!(text.contains(line), "{text}");
    let duration = |text: &str, count| {
        text.contains(&format!(r#"drumline_job_duration_seconds_count{{queue="jobs",type="a.b"}} {count}"#))
    };
    assert!(!duration(&text, 1), "{text}");
    emit_decided(&queue, TYPE, Outcome::RetryAfter(Duration::ZERO), Ending::TimedOut);
    assert!(duration(&metrics.encode(), 1), "that of a run");
}

#[test]
fn every_event_is_counted_once_by_the_queue_and_by_the_process() {
    let metrics = Metrics::new();
    let for_queue = metrics.queue(QUEUE);
    emit_every_event(&for_queue);
    let text = metrics.encode();
    for line in [
        r#"drumline_deliveries_in_hand{queue="jobs"} 3"#,
        r#"drumline_lease_renewals_total{queue="jobs",result="ok"} 2"#,
        r#"drumline_lease_renewals_total{queue="jobs",result="failed"} 1"#,
        r#"drumline_leases_lost_total{queue="jobs"} 1"#,
        r#"drumline_empty_receives_total{queue="jobs"} 1"#,
        r#"drumline_deduplicated_total{queue="jobs",type="unknown",cause="redelivered"} 1"#,
        r#"drumline_deduplicated_total{queue="jobs",type="a.b",cause="replayed"} 1"#,
        r#"drumline_failures_total{queue="jobs",type="a.b",class="timed_out"} 5"#,
        r#"drumline_failures_total{queue="jobs",type="a.b",class="payload_unavailable"} 5"#,
        r#"drumline_paused{queue="jobs",reason="store_down"} 0"#,
        r#"drumline_last_attempts_total{queue="jobs",type="a.b"} 1"#,
        r#"drumline_limit_waiting{queue="jobs",type="a.b",reason="rate"} 1"#,
        r#"drumline_limit_returned_total{queue="jobs",type="a.b",reason="rate"} 1"#,
        r#"drumline_limit_returned_total{queue="jobs",type="a.b",reason="operator"} 1"#,
        r#"drumline_store_requests_total{operation="claim",result="ok"} 1"#,
        r#"drumline_store_requests_total{operation="attempted",result="failed"} 1"#,
        r#"drumline_sqs_requests_total{action="SendMessage",result="error"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }

    let metrics = Metrics::new();
    emit_every_event(&(Arc::new(metrics.clone()) as Arc<dyn Observer>));
    let text = metrics.encode();
    for line in [
        r#"drumline_store_requests_total{operation="claim",result="ok"} 1"#,
        r#"drumline_sqs_requests_total{action="SendMessage",result="error"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("queue="), "a process has no queue: {text}");
}

#[test]
fn the_age_of_the_oldest_message_received_lately_is_shown() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let sent = |secs_ago| Some(age(Duration::from_secs(secs_ago)));
    for (count, oldest_sent_at) in [(3, sent(90)), (10, sent(30)), (0, None)] {
        emit_note(&queue, &LedgerEvent::Received { count, oldest_sent_at });
    }
    let text = metrics.encode();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"drumline_oldest_message_age_seconds{queue="jobs"} "#));
    let age: f64 = line.and_then(|age| age.parse().ok()).expect("the gauge is there");
    assert!((90.0..100.0).contains(&age), "{text}");
}

#[test]
fn a_job_has_a_dwell_time_once_it_is_done() {
    let metrics = Metrics::new();
    let queue = metrics.queue(QUEUE);
    let failed = Ending::RetryAsked { after: None, reason: "later".to_owned() };
    emit_decided(&queue, TYPE, Outcome::RetryAfter(Duration::ZERO), failed);
    let shows = |count| {
        let line = format!(r#"drumline_job_dwell_seconds_count{{queue="jobs",type="a.b"}} {count}"#);
        assert!(metrics.encode().contains(&line), "{line} in\n{}", metrics.encode());
    };
    shows(0);
    emit_decided(&queue, TYPE, Outcome::Ack, Ending::Done);
    shows(1);
    let prior = PriorRun::default();
    let duplicate = Ending::DoneBefore(Box::new(Duplicate { cause: DuplicateCause::Duplicate, prior }));
    emit_decided(&queue, TYPE, Outcome::Ack, duplicate);
    shows(1);
}

#[test]
fn limits_are_shown_as_they_are_at_the_scrape() {
    let metrics = Metrics::new();
    assert!(!metrics.encode().contains("drumline_limit_running"), "a worker without limits has none of them");
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    let of_mail = TypeRules { concurrency: NonZeroUsize::new(2), ..TypeRules::default() };
    rules.types.extend([("mail".to_owned(), of_mail), ("report".to_owned(), TypeRules::default())]);
    let limits = Limits::new(rules);
    metrics.limits(&limits);
    let now = tokio::time::Instant::now().into_std();
    let permit = limits.ask(now, &JobClass::of_type("mail")).expect("two may run");
    let text = metrics.encode();
    for line in [
        r#"drumline_limit_running{type="mail"} 1"#,
        r#"drumline_limit_running{type="report"} 0"#,
        r#"drumline_limit_slots{type="mail"} 2"#,
        r#"drumline_limit_closed{type="mail",reason="throttled"} 0"#,
        r#"drumline_limit_closed{type="mail",reason="operator"} 0"#,
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
    assert!(!text.contains(r#"drumline_limit_slots{type="report"}"#), "it has none: {text}");
    drop(permit);
    assert!(metrics.encode().contains(r#"drumline_limit_running{type="mail"} 0"#));
}

#[test]
fn tenants_are_counted_once_that_is_asked_for_and_are_bounded() {
    let (text, standard) = (|metrics: &Metrics| metrics.encode(), "jobs");
    let start = |metrics: &Metrics, queue: &str, tenant: &str| {
        emit_a_run_of_group(&metrics.queue(queue), Some(tenant));
    };
    let metrics = Metrics::new();
    start(&metrics, standard, "acme");
    assert!(!text(&metrics).contains("tenant="), "not without being asked for");
    metrics.count_tenants();
    let queue = metrics.queue(standard);
    for n in 0..MAX_TENANTS + 5 {
        emit_a_run_of_group(&queue, Some(&format!("t{n}")));
    }
    emit_a_run_of_group(&queue, None);
    for tenant in ["t0", "t21", "none"] {
        emit_note(&queue, &done_of_group((tenant != "none").then_some(tenant)));
    }
    start(&metrics, "orders.fifo", "a-group");
    let shown = text(&metrics);
    for line in [
        r#"drumline_tenant_jobs_total{queue="jobs",tenant="t0"} 1"#,
        r#"drumline_tenant_jobs_total{queue="jobs",tenant="other"} 5"#,
        r#"drumline_tenant_dwell_seconds_count{queue="jobs",tenant="t0"} 1"#,
        r#"drumline_tenant_dwell_seconds_count{queue="jobs",tenant="other"} 1"#,
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert_eq!(shown.matches("drumline_tenant_jobs_total{").count(), MAX_TENANTS + 1);
    assert!(!shown.contains("a-group"), "a group of a FIFO queue is no tenant: {shown}");
    for _ in 0..3 {
        emit_a_run_of_group(&queue, Some("flood"));
    }
    let shown = text(&metrics);
    assert!(shown.contains(r#"drumline_tenant_jobs_total{queue="jobs",tenant="flood"} 2"#), "{shown}");
    assert_eq!(shown.matches("drumline_tenant_jobs_total{").count(), MAX_TENANTS + 1, "one has ended");
}

#[test]
fn shared_slots_are_shown_by_queue() {
    let metrics = Metrics::new();
    let pool = SlotPool::new(NonZeroUsize::new(8).expect("not zero"));
    metrics.slots(&pool);
    let three = SlotRules { weight: NonZeroU32::new(3).expect("not zero"), ..SlotRules::default() };
    let (_orders, _mail) = (pool.join("orders", three), pool.join("mail", SlotRules::default()));
    let text = metrics.encode();
    for line in [
        r#"drumline_slots{queue="orders",state="running"} 0"#,
        r#"drumline_slots{queue="mail",state="wanted"} 0"#,
        r#"drumline_slots_share{queue="orders"} 8.0"#,
        r#"drumline_slots_late{queue="mail"} 0"#,
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
}

#[test]
fn every_metric_is_documented() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let pages = ["metrics.md", "outbox.md", "watch.md"]
        .map(|page| std::fs::read_to_string(folder.join(page)).unwrap());
    let metrics = Metrics::new();
    emit_every_event(&metrics.queue(QUEUE));
    let text = metrics.encode();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap());
    let missing: Vec<String> = names
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .filter(|name| !pages.iter().any(|page| page.contains(name.as_str())))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn both_histograms_of_a_traced_job_have_exemplars_if_they_are_requested() {
    let metrics = Metrics::new();
    let mut note = done_of_group(None);
    if let LedgerEvent::Decided { message, .. } = &mut note {
        let header = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
        Arc::make_mut(message).trace_header = Some(header.to_owned());
    }
    emit_note(&metrics.queue(QUEUE), &note);
    let text = metrics.encode_with_exemplars();
    let is_traced = |line: &&str| line.contains(r#" # {trace_id="0af7651916cd43dd8448eb211c80319c"} "#);
    let traced = text.lines().filter(is_traced).filter_map(|line| line.split('{').next());
    let mut traced: Vec<&str> = traced.collect();
    traced.sort_unstable();
    let expected = ["drumline_job_duration_seconds_bucket", "drumline_job_dwell_seconds_bucket"];
    assert_eq!(traced, expected, "{text}");
    assert!(!metrics.encode().contains("trace_id"));
}
