//! The view of a caller of the function, and of a reader of its log.

use std::sync::Arc;

use drumline_tests::{Answer, App, Deployment, Record, can_deploy, eventually, sqs_event};
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// The lines of a log that are JSON.
fn entries(log: &[String]) -> Vec<Value> {
    log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_answer_lists_what_failed_and_nothing_else() {
    if !can_deploy() {
        return;
    }
    let app =
        App::start(|call| async move { if call.body == "bad" { Answer::status(503) } else { Answer::ok() } })
            .await;
    let function = Deployment::forwarding_to(&app).create("answer").await;
    let [good, bad] = ["good", "bad"].map(Record::hand_made);
    let answer = function.invoke(sqs_event([&good])).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    let answer = function.invoke(sqs_event([&bad, &Record::hand_made("good")])).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [{ "itemIdentifier": bad.id() }] })));
}

#[tokio::test]
async fn an_event_that_is_not_from_sqs_is_an_error_and_runs_nothing() {
    if !can_deploy() {
        return;
    }
    let app = App::always_ok().await;
    let function = Deployment::forwarding_to(&app).create("not-sqs").await;
    let error = function.invoke(json!({ "httpMethod": "GET" }).to_string()).await.unwrap_err();
    assert_eq!(error["errorType"], "NotAnSqsEvent", "{error}");
    assert_eq!(app.count(), 0);
    let good = Record::hand_made("good");
    let answer = function.invoke(sqs_event([&good])).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })), "the function continues");
}

#[tokio::test]
async fn wrong_settings_are_all_told_to_whoever_invokes() {
    if !can_deploy() {
        return;
    }
    let app = App::always_ok().await;
    let function = Deployment::forwarding_to(&app)
        .env("DRUMLINE_CONCURRENCY", "none")
        .env("DRUMLINE_DEADLINE_MARGIN", "soon")
        .create("settings")
        .await;
    let error = function.invoke(sqs_event([&Record::hand_made("good")])).await.unwrap_err();
    let text = error.to_string();
    for word in ["DRUMLINE_CONCURRENCY", "none", "DRUMLINE_DEADLINE_MARGIN", "soon"] {
        assert!(text.contains(word), "{word:?} in {text}");
    }
    assert_eq!(app.count(), 0);
}

#[tokio::test]
async fn invocations_at_once_run_side_by_side() {
    if !can_deploy() {
        return;
    }
    // Neither job ends before the other has started.
    let barrier = Arc::new(Barrier::new(2));
    let app = App::start(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Answer::ok()
        }
    })
    .await;
    let function = Deployment::forwarding_to(&app).create("at-once").await;
    let [one, two] = ["one", "two"].map(|body| sqs_event([&Record::hand_made(body)]));
    let answers = tokio::join!(function.invoke(one), function.invoke(two));
    let done = Ok(json!({ "batchItemFailures": [] }));
    assert_eq!(answers, (done.clone(), done));
}

#[tokio::test]
async fn log_and_metrics_tell_of_the_invocation() {
    if !can_deploy() {
        return;
    }
    let app =
        App::start(|call| async move { if call.body == "bad" { Answer::status(503) } else { Answer::ok() } })
            .await;
    let function = Deployment::forwarding_to(&app).create("log").await;
    for _ in 0..2 {
        let [good, bad] = ["good", "bad"].map(Record::hand_made);
        let answer = function.invoke(sqs_event([&good, &bad])).await;
        assert_eq!(answer, Ok(json!({ "batchItemFailures": [{ "itemIdentifier": bad.id() }] })));
    }
    eventually("both invocations are logged", async || function.invocations().await == 2).await;

    let log = function.log().await;
    let ids: Vec<&str> =
        log.iter().filter_map(|line| line.strip_prefix("START RequestId: ")?.split(' ').next()).collect();
    let entries = entries(&log);
    let failures: Vec<&Value> =
        entries.iter().filter(|entry| entry["message"] == "failed, trying again later").collect();
    assert_eq!(failures.len(), 2, "{log:#?}");
    for (failure, (id, cold)) in failures.iter().zip(ids.into_iter().zip([true, false])) {
        let text = failure.to_string();
        assert!(text.contains(&format!("\"request_id\":\"{id}\"")), "{id} in {text}");
        assert!(text.contains(&format!("\"cold_start\":{cold}")), "{text}");
    }
    let metrics: Vec<&Value> = entries.iter().filter(|entry| entry["_aws"].is_object()).collect();
    assert!(!metrics.is_empty(), "{log:#?}");
    assert!(metrics.iter().any(|entry| entry.get("drumline_jobs_total").is_some()), "{metrics:#?}");
}
