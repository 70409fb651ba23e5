#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use drumline::core::Outcome;
use drumline::message::Message;
use serde_json::Value;

use super::*;
use crate::every_event::{TYPE, emit_a_run, emit_decided, emit_every_event};
use crate::log_lines;

/// Returns the lines that `emit` makes a new observer log.
fn logged(emit: impl FnOnce(&Arc<dyn Observer>)) -> Vec<Value> {
    let observer: Arc<dyn Observer> = Arc::new(Logs::new(None));
    log_lines::logged(|| emit(&observer))
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

#[test]
fn every_event_is_logged_under_its_text() {
    let lines = logged(emit_every_event);
    let texts: BTreeSet<(&str, &str)> = lines
        .iter()
        .filter(|line| text(line, "target").starts_with("drumline_runtime::logs"))
        .map(|line| (text(line, "level"), text(line, "message")))
        .collect();
    let expected = BTreeSet::from([
        ("INFO", "the queue answers"),
        ("ERROR", "the queue is out of reach: not ready until it answers again"),
        ("INFO", "draining"),
        ("INFO", "drained"),
        ("WARN", "drained, but abandoned some: they come back when their leases end"),
        ("DEBUG", "settled"),
        ("WARN", "SQS did not confirm the outcome: the message comes back"),
        (
            "ERROR",
            "visibility may not be changed: what is to be tried again comes back at the queue's visibility timeout, \
             not after its backoff, until the permission sqs:ChangeMessageVisibility is there; told once",
        ),
        ("WARN", "a call failed, trying again"),
        ("INFO", "already done: deleted without a run"),
        ("INFO", "received again while in hand"),
        ("WARN", "copied to the DLQ"),
        (
            "ERROR",
            "a permanent failure has no DLQ to go to, so it stays in the queue and comes back until it expires: give \
             the queue a redrive policy",
        ),
        ("DEBUG", "renewed leases"),
        ("WARN", "a lease could not be renewed"),
        ("ERROR", "lease lost: the message may be somebody else's by now"),
        ("WARN", "a claim could not be renewed"),
        (
            "ERROR",
            "claim lost: another run of the job has it by now, so this one is stopped, or its effect may happen twice",
        ),
        (
            "ERROR",
            "unmarked: the job is done and its message deleted, but the store does not know it, so a duplicate would run",
        ),
        ("WARN", "runs without a claim, since the store does not answer"),
        ("WARN", "the job is done, and stays in hand until the store remembers that"),
        ("WARN", "the store refuses the result: marked without it"),
        ("WARN", "the claim could not be released in time: it ends by itself"),
        (
            "WARN",
            "suspect: earlier runs have no known ending, so it waits for its turn in case it kills the process",
        ),
        ("WARN", "stalled job taken over: its worker left it without an ending"),
        ("DEBUG", "target unhealthy, trying again later"),
        ("DEBUG", "target unhealthy: kept in hand"),
        ("DEBUG", "throttled, trying again later"),
        ("DEBUG", "throttled: kept in hand"),
        ("WARN", "out of resources, trying again later"),
        ("WARN", "out of resources: kept in hand"),
        (
            "WARN",
            "empty receives do not wait: slowed to ten a second; set DRUMLINE_WAIT_TIME above 0, or check that the \
             endpoint supports long polling",
        ),
        ("DEBUG", "received"),
        ("ERROR", "receiving failed"),
        ("WARN", "receiving paused"),
        ("INFO", "pause ended"),
        ("ERROR", "a receive does not end, another one takes its place: not ready until it is over"),
        ("INFO", "done"),
        ("INFO", "started"),
        ("DEBUG", "progress"),
        ("INFO", "retried"),
        ("INFO", "waits its turn"),
        ("INFO", "waiting for lock"),
        ("INFO", "waiting for limit"),
        ("DEBUG", "held for limit"),
        ("DEBUG", "returned for a limit"),
        ("WARN", "the handler panicked, trying again later"),
        ("WARN", "not run without a claim, trying again later"),
        ("WARN", "payload not read, trying again later"),
        ("WARN", "failed, trying again later"),
        ("WARN", "out of resources, trying again later"),
        ("WARN", "out of resources: kept in hand"),
        (
            "WARN",
            "empty receives do not wait: slowed to ten a second; set DRUMLINE_WAIT_TIME above 0, or check that the \
             endpoint supports long polling",
        ),
        ("DEBUG", "not run again: it has failed for good"),
        ("ERROR", "failed for good"),
        ("ERROR", "last attempt failed: SQS moves the message to the DLQ"),
        ("INFO", "given back"),
        ("WARN", "left alone"),
    ]);
    assert_eq!(texts, expected);
    assert!(lines.iter().all(|line| text(line, "queue") == "jobs"), "{lines:?}");
}

#[test]
fn a_failure_is_logged_with_its_class_and_its_reason() {
    let reason = "no route".to_owned();
    let lines = logged(|logs| {
        let outcome = Outcome::RetryAfter(std::time::Duration::from_secs(2));
        emit_decided(logs, TYPE, outcome, Ending::RetryAsked { after: None, reason });
    });
    let [line, retried] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((text(retried, "event"), &retried["retry_in_ms"]), ("retried", &2_000.into()));
    let fields = ["message_id", "job_id", "type", "class", "reason"].map(|field| text(line, field));
    assert_eq!(fields, ["m1", "k", TYPE, "retry_asked", "no route"]);
    assert_eq!(
        (&line["attempt"], &line["took_secs"], &line["retry_in_secs"]),
        (&1.into(), &0.25.into(), &2.0.into())
    );
}

#[test]
fn a_payload_that_was_not_read_is_no_attempt() {
    let lines = logged(|logs| {
        let outcome = Outcome::RetryAfter(std::time::Duration::from_secs(60));
        emit_decided(logs, TYPE, outcome, Ending::PayloadUnavailable { reason: "no answer".to_owned() });
    });
    let [line, _retried] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((text(line, "class"), text(line, "reason")), ("payload_unavailable", "no answer"));
    assert_eq!((line.get("attempt"), &line["receive_count"]), (None, &1.into()));
}

#[test]
fn a_last_attempt_is_logged_as_such() {
    let lines = logged(emit_every_event);
    let mut lines = lines.iter().filter(|line| text(line, "message").starts_with("last attempt"));
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("one line") };
    assert_eq!((text(line, "level"), &line["last_attempt"]), ("ERROR", &true.into()));
    assert_eq!((text(line, "reason"), line.get("retry_in_secs")), ("no route", None));
}

#[test]
fn a_missing_permission_is_logged_once() {
    let lines = logged(|logs| {
        emit_every_event(logs);
        emit_every_event(logs);
    });
    let refusals =
        lines.iter().filter(|line| text(line, "message").starts_with("visibility may not be changed"));
    assert_eq!(refusals.count(), 1);
}

#[test]
fn each_step_of_a_life_is_one_line_with_the_same_fields() {
    let reason = || "no route".to_owned();
    let later = || Outcome::RetryAfter(std::time::Duration::from_secs(2));
    let table = [
        (Outcome::Ack, Ending::Done, vec!["done"]),
        (Outcome::Ack, Ending::DoneBefore(Box::default()), vec!["duplicate"]),
        (later(), Ending::RetryAsked { after: None, reason: reason() }, vec!["failed", "retried"]),
        (later(), Ending::Throttled { after: None, reason: reason() }, vec!["retried"]),
        (Outcome::Requeue, Ending::Interrupted, vec!["released"]),
        (Outcome::DeadLetter(reason()), Ending::Rejected { reason: reason() }, vec!["dead"]),
        (Outcome::LeaseLost, Ending::LeaseLost, vec!["lost"]),
    ];
    for (outcome, ending, expected) in table {
        let lines = logged(|logs| emit_decided(logs, TYPE, outcome, ending));
        let events: Vec<&str> = lines.iter().map(|line| text(line, "event")).collect();
        assert_eq!(events, expected);
        for line in &lines {
            let fields =
                ["queue", "type", "job_id", "message_id", "correlation_id"].map(|field| text(line, field));
            assert_eq!(fields, ["jobs", TYPE, "k", "m1", "req-1"], "{line}");
            assert!(
                line["attempt"] == 1 && line["receive_count"] == 1 && line["dwell_ms"].is_u64(),
                "{line}"
            );
        }
    }
    let lines = logged(|logs| emit_a_run(logs, Ok(())));
    let of_all = ["queue", "type", "job_id", "message_id", "correlation_id"];
    let events: Vec<&str> = lines.iter().map(|line| text(line, "event")).collect();
    assert_eq!(events, ["started", "progress"]);
    assert!(lines.iter().all(|line| of_all.iter().all(|field| line[*field].is_string())), "{lines:?}");
}

#[test]
fn the_setting_moves_the_lines_that_every_job_has_to_debug() {
    let levels = |job_log| {
        let observer: Arc<dyn Observer> = Arc::new(Logs::new(None).with_job_log(job_log));
        let lines = log_lines::logged(|| {
            emit_a_run(&observer, Ok(()));
            emit_decided(&observer, TYPE, Outcome::Ack, Ending::Done);
        });
        let of =
            |event| lines.iter().find(|line| text(line, "event") == event).map(|line| text(line, "level"));
        (of("started").map(str::to_owned), of("done").map(str::to_owned))
    };
    let at = |level: &str| (Some(level.to_owned()), Some(level.to_owned()));
    assert_eq!(levels(JobLog::Info), at("INFO"));
    assert_eq!(levels(JobLog::Debug), at("DEBUG"));
}

#[test]
fn a_message_that_was_not_run_is_logged_by_its_body() {
    let body = r#"{"type":"email.send","jobId":"j","correlationId":"req-77","payload":{}}"#;
    let message = Message { id: "m1".into(), body: body.to_owned(), ..Message::default() };
    let lines = log_lines::logged(|| jobs::decided(JobLog::Info, "jobs", &message, &Outcome::Requeue, None));
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let fields = ["event", "type", "job_id", "correlation_id"].map(|field| text(line, field));
    assert_eq!(fields, ["released", "email.send", "j", "req-77"]);
}
