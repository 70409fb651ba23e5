#![allow(clippy::unwrap_used)]

use std::time::Duration;

use drumline::run::FailureKind;
use http::StatusCode;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: Ok(body.to_owned()) }
}

fn failure(status: u16, body: &str) -> Failure {
    verdict(&answer(status, body)).unwrap_err()
}

#[test]
fn a_success_gives_the_providers_id() {
    for status in [200, 201, 202] {
        let receipt = verdict(&answer(status, r#"{"id":"ch_1","status":"succeeded","more":1}"#)).unwrap();
        assert_eq!(serde_json::to_string(&receipt).unwrap(), r#"{"providerId":"ch_1"}"#);
    }
}

#[test]
fn a_success_that_says_something_else_is_none() {
    let long = format!(r#"{{"id":"{}","status":"succeeded"}}"#, "x".repeat(256));
    for body in [
        "",
        "ok",
        "[]",
        r#"{"id":"ch_1"}"#,
        r#"{"id":"ch_1","status":"pending"}"#,
        r#"{"id":"","status":"succeeded"}"#,
        r#"{"id":7,"status":"succeeded"}"#,
        r#"{"status":"succeeded"}"#,
        r#"{"id":"ch_1","status":"succeeded""#,
        &long,
    ] {
        let failure = failure(200, body);
        assert_eq!(failure.kind(), FailureKind::Retry, "{body}");
        assert!(failure.reason().contains(AMBIGUOUS), "{failure}");
    }
    let unread = Answer { body: Err("broke off".into()), ..answer(200, "") };
    let failure = verdict(&unread).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Retry);
    assert!(failure.reason().contains("broke off") && failure.reason().contains(AMBIGUOUS), "{failure}");
}

#[test]
fn a_decline_is_final_and_has_its_reason() {
    for (status, body, words) in [
        (402, r#"{"reason":"insufficient_funds"}"#, "insufficient_funds"),
        (402, r#"{"error":{"message":"card expired"}}"#, "card expired"),
        (402, r#"{"error":"stolen"}"#, "stolen"),
        (402, r#"{"title":"No","detail":"limit reached"}"#, "limit reached"),
        (402, "sorry\r\nno", "sorry  no"),
        (402, "", "without a word"),
        (200, r#"{"id":"ch_1","status":"declined","reason":"do_not_honor"}"#, "do_not_honor"),
        (200, r#"{"status":"declined","message":"  ","reason":""}"#, r#"{"status":"declined""#),
    ] {
        let failure = failure(status, body);
        assert_eq!(failure.kind(), FailureKind::Reject, "{body}");
        let expected = format!("the provider declines the charge: {words}");
        assert!(failure.reason().starts_with(&expected), "{failure}");
    }
    let failure = failure(402, &"ä".repeat(5000));
    assert!(failure.reason().chars().count() < 340 && failure.reason().ends_with('…'), "{failure}");
}

#[test]
fn the_status_decides() {
    for status in [400, 410, 413, 415, 422] {
        let failure = failure(status, r#"{"message":"bad currency"}"#);
        assert_eq!(failure.kind(), FailureKind::Reject, "{status}");
        assert!(failure.reason().contains("bad currency"), "{failure}");
    }
    for (status, part) in [
        (401, BILLING_TOKEN),
        (403, BILLING_TOKEN),
        (404, BILLING_URL),
        (405, BILLING_URL),
        (301, BILLING_URL),
        (408, "408"),
        (409, "earlier try"),
        (425, "425"),
        (418, "418"),
        (500, AMBIGUOUS),
        (502, AMBIGUOUS),
        (503, AMBIGUOUS),
        (504, AMBIGUOUS),
    ] {
        let now = failure(status, r#"{"message":"in words"}"#);
        assert_eq!(now.kind(), FailureKind::Retry, "{status}");
        assert!(now.reason().contains(part) && now.reason().contains("in words"), "{now}");
        let later = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(status, "") };
        assert_eq!(
            verdict(&later).unwrap_err().kind(),
            FailureKind::RetryAfter(Duration::from_secs(7)),
            "{status}"
        );
    }
    assert_eq!(failure(429, "{}").kind(), FailureKind::Throttled(None));
    let later = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(429, "") };
    assert_eq!(verdict(&later).unwrap_err().kind(), FailureKind::Throttled(Some(Duration::from_secs(7))));
    // A permanent refusal stays one, regardless of the rest of the response.
    let later = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(402, "") };
    assert_eq!(verdict(&later).unwrap_err().kind(), FailureKind::Reject);
}
