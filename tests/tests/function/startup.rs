//! The start: quick and without output, or an end with all problems.

use std::process::Stdio;
use std::time::Duration;

use drumline_tests::{Finished, FunctionLaunch, LocalQueue, Proxy, Record, RuntimeApi, Setup, binary};

use crate::apps::{obedient, run};

/// `EX_USAGE`.
const USAGE: i32 = 64;

async fn refused(launch: FunctionLaunch) -> (Finished, RuntimeApi) {
    let (finished, api) = launch.spawn().await.finish().await;
    assert_eq!(finished.status, Some(USAGE), "{}", finished.errors());
    assert!(!finished.errors().contains("panicked"), "{}", finished.errors());
    assert!(api.asked().is_empty(), "it does not ask for work");
    (finished, api)
}

/// Expects all of these words in the log and in the error that Lambda gets.
fn expect_told(finished: &Finished, api: &RuntimeApi, words: &[&str]) {
    let errors = api.init_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].error_type.is_some(), "{errors:?}");
    let message = errors[0].body["errorMessage"].as_str().unwrap();
    assert_eq!(errors[0].body["errorType"].as_str(), errors[0].error_type.as_deref());
    for word in words {
        assert!(message.contains(word), "{word:?} in\n{message}");
        assert!(finished.errors().contains(word), "{word:?} in\n{}", finished.errors());
    }
}

#[tokio::test]
async fn wrong_settings_are_all_told_at_once() {
    let launch = FunctionLaunch::new()
        .env("DRUMLINE_FORWARD_TO", "localhost:8080")
        .env("DRUMLINE_CONCURRENCY", "none")
        .env("DRUMLINE_DEADLINE_MARGIN", "soon")
        .env("DRUMLINE_FIFO_STOP", "never")
        .env("DRUMLINE_ALL_FAILED", "throw")
        .env("DRUMLINE_RETRY", "linear(1s)")
        .env("DRUMLINE_VISIBILITY_TIMEOUT", "1500ms")
        .env("DRUMLINE_PERMANENT_FAILURES", "drop");
    let (finished, api) = refused(launch).await;
    let words = [
        "8 problems",
        "DRUMLINE_FORWARD_TO = \"***\"",
        "DRUMLINE_CONCURRENCY = \"none\": must be a whole number",
        "DRUMLINE_DEADLINE_MARGIN = \"soon\": is not a duration",
        "DRUMLINE_FIFO_STOP = \"never\": must be one of group, batch",
        "DRUMLINE_ALL_FAILED = \"throw\": must be one of list, error",
        "DRUMLINE_RETRY = \"linear(1s)\"",
        "DRUMLINE_VISIBILITY_TIMEOUT = \"1500ms\"",
        "DRUMLINE_PERMANENT_FAILURES = \"drop\"",
    ];
    expect_told(&finished, &api, &words);
}

#[tokio::test]
async fn wrong_settings_of_the_jobs_are_told_with_them() {
    let launch = FunctionLaunch::new()
        .env("DRUMLINE_CONCURRENCY", "none")
        .env("DRUMLINE_MAX_PIXELS", "many")
        .env("DRUMLINE_SMTP_URL", "smtp://mail.example.com");
    let (finished, api) = refused(launch).await;
    expect_told(&finished, &api, &["DRUMLINE_CONCURRENCY", "DRUMLINE_MAX_PIXELS", "DRUMLINE_MAIL_FROM"]);
}

#[tokio::test]
async fn wrong_settings_of_the_jobs_alone_are_told_too() {
    let (finished, api) = refused(FunctionLaunch::new().env("DRUMLINE_MAX_PIXELS", "many")).await;
    expect_told(&finished, &api, &["DRUMLINE_MAX_PIXELS"]);
}

#[tokio::test]
async fn the_start_says_nothing_to_sqs_and_is_quick() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .env("AWS_ENDPOINT_URL_SQS", &proxy.url())
        .env("DRUMLINE_PERMANENT_FAILURES", "dead-letter");
    let function = launch.spawn().await;
    let ready = function.until_ready().await;
    assert!(ready < Duration::from_secs(5), "Lambda gives ten seconds: {ready:?}");
    for action in ["GetQueueAttributes", "GetQueueUrl", "ReceiveMessage", "ListQueues", ""] {
        assert_eq!(proxy.count(action), 0, "{action}");
    }
    run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
}

#[tokio::test]
async fn no_credentials_and_no_region_are_needed_to_do_jobs() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .without("AWS_REGION")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .without("AWS_SESSION_TOKEN")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let function = launch.spawn().await;
    run(&function, &queue.batch(&["200 a"]).await).await.expect_all_done();
    let batch = queue.batch(&["503 b", "200 c"]).await;
    run(&function, &batch).await.expect_failed(&[batch[0].id()]);
}

#[tokio::test]
async fn outside_of_lambda_it_says_where_it_belongs() {
    let mut command = tokio::process::Command::new(binary("drumline-lambda", "drumline-lambda"));
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{errors}");
    for word in ["AWS_LAMBDA_RUNTIME_API", "Lambda", "drumline run"] {
        assert!(errors.contains(word), "{word:?} in {errors}");
    }
}

#[tokio::test]
async fn a_queue_of_the_settings_is_used_for_its_records() {
    // The same account and name at another address: the settings take precedence.
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .without("AWS_ENDPOINT_URL_SQS")
        .env("DRUMLINE_RETRY", "schedule(20s)")
        .env("DRUMLINE_QUEUE_URL", &queue.url);
    let function = launch.spawn().await;
    let batch = queue.batch(&["503 a"]).await;
    run(&function, &batch).await.expect_failed(&[batch[0].id()]);
    let hidden = queue.hidden_for(&batch[0].id());
    assert!(hidden <= Duration::from_secs(20) && hidden > Duration::from_secs(15), "{hidden:?}");
}
