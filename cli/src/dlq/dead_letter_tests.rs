#![allow(clippy::unwrap_used)]

use std::time::Duration;

use drumline::message::{Attribute, Intake, TYPE_ATTRIBUTE};
use drumline_dlq::CauseSource;
use drumline_dlq::letter::{ORIGINAL_ATTRIBUTE, REASON_ATTRIBUTE};
use drumline_store::{JobRecord, JobState};

use super::*;
use crate::examples::{attempt, claim, job};

fn message(body: &str) -> Message {
    Message {
        id: "m-1".into(),
        body: body.to_owned(),
        receive_count: 4,
        sent_at: Some(Duration::from_millis(1_700_000_000_000)),
        ..Message::default()
    }
}

fn letter(history: Option<JobRecord>) -> DeadLetter {
    let mut letter =
        DeadLetter::new(message(r#"{"type":"email.send","jobId":"j-1","payload":{}}"#), &Intake::default());
    letter.learn(history.map(JobView::from));
    letter
}

#[test]
fn the_job_is_named_by_its_producer_or_by_its_first_message() {
    assert_eq!(letter(None).letter().job_id(), "j-1");
    assert_eq!(
        DeadLetter::new(message(r#"{"type":"a.b","payload":1}"#), &Intake::default()).letter().job_id(),
        "m-1"
    );
    assert_eq!(DeadLetter::new(message("no job"), &Intake::default()).letter().job_id(), "m-1");
    let mut copy = message("no job");
    copy.attributes.insert(ORIGINAL_ATTRIBUTE.to_owned(), Attribute::text("m-0"));
    let copy = DeadLetter::new(copy, &Intake::default());
    assert_eq!(copy.letter().job_id(), "m-0");
    assert!(
        copy.letter().is_called("m-0") && copy.letter().is_called("m-1") && !copy.letter().is_called("m-2")
    );
}

#[test]
fn the_last_failure_of_the_message_itself_is_the_reason() {
    let mut other = attempt("retry", "in another message");
    other.message_id = "m-2".to_owned();
    let own = [attempt("retry", "first"), attempt("retry", "second"), other.clone()];
    let why = letter(Some(job(None, own.to_vec()))).letter().why();
    assert_eq!((why.to_string().as_str(), why.from), ("rejected: second", CauseSource::History));
    let why = letter(Some(job(None, vec![other]))).letter().why();
    assert_eq!(why.reason, "in another message", "better than nothing");
}

#[test]
fn the_cause_without_failures_is_verdict_attribute_or_receives() {
    let mut condemned = claim(JobState::Failed);
    condemned.failure_reason = Some("no such user".to_owned());
    let why = letter(Some(job(Some(condemned), Vec::new()))).letter().why();
    assert_eq!((why.to_string().as_str(), why.from), ("no such user", CauseSource::History));

    let mut copy = message("x");
    copy.attributes.insert(REASON_ATTRIBUTE.to_owned(), Attribute::text("422"));
    let why = DeadLetter::new(copy, &Intake::default()).letter().why();
    assert_eq!((why.reason.as_str(), why.from), ("422", CauseSource::Attribute));

    let why = letter(None).letter().why();
    assert_eq!((why.reason.as_str(), why.from), ("no history: received 3 times", CauseSource::Nothing));
    let crashed = letter(Some(job(Some(claim(JobState::Waiting)), Vec::new()))).letter().why();
    assert!(crashed.reason.contains("crash") && crashed.reason.contains("host-7"), "{crashed}");
}

#[test]
fn the_type_comes_from_the_body_the_attribute_or_the_history() {
    assert_eq!(letter(None).letter().job_type(), Some("email.send"));
    let mut raw = message("bytes");
    raw.attributes.insert(TYPE_ATTRIBUTE.to_owned(), Attribute::text("raw.text"));
    assert_eq!(DeadLetter::new(raw, &Intake::default()).letter().job_type(), Some("raw.text"));
    let mut unknown = DeadLetter::new(message("no job"), &Intake::default());
    assert_eq!(unknown.letter().job_type(), None);
    assert!(unknown.letter().envelope().is_err());
    unknown.learn(Some(job(None, vec![attempt("retry", "x")]).into()));
    assert_eq!(unknown.letter().job_type(), Some("email.send"));
}

#[test]
fn a_summary_has_all_that_a_program_picks_by() {
    let history = job(Some(claim(JobState::Failed)), vec![attempt("dead_letter", "no such user")]);
    let json = serde_json::to_value(letter(Some(history)).summary()).unwrap();
    let expected = serde_json::json!({
        "messageId": "m-1", "jobId": "j-1", "type": "email.send", "sentAt": "2023-11-14T22:13:20Z",
        "receives": 3, "state": "failed",
        "why": { "reason": "no such user", "class": "rejected", "from": "history" },
    });
    assert_eq!(json, expected);
}

#[test]
fn a_letter_is_decoded_by_its_queues_settings() {
    let intake = Intake { default_type: Some("report.nightly".into()), ..Intake::default() };
    let letter = DeadLetter::new(message(r#"{"day":"2026-11-28"}"#), &intake);
    assert_eq!(
        (letter.letter().job_type(), letter.letter().envelope().err()),
        (Some("report.nightly"), None)
    );
}
