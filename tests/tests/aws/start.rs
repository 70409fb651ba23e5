//! AWS's errors at the start of a worker: which it waits out, which end it, and the texts.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_queue::Server;
use drumline_tests::{
    Answer, App, Call, Fault, Finished, Launch, LocalQueue, Proxy, Setup, Worker, client, eventually,
    eventually_within, free_address, status_of,
};
use serde_json::json;

use crate::{QUEUE, UNAVAILABLE};

/// The number of runs by which `doctor` judges a handler.
const ENOUGH: usize = 20;

const NOT_YET: &str = "the queue does not answer yet";

fn run(queue_url: &str) -> Launch {
    Launch::new(&["run"])
        .env("DRUMLINE_QUEUE_URL", queue_url)
        .env("DRUMLINE_WAIT_TIME", "1s")
        .env("DRUMLINE_ALLOW_UNBOUNDED", "true")
}

/// Starts an SQS that responds to every request with this error.
async fn sqs_with(status: u16, code: &'static str, message: &'static str) -> App {
    App::start(move |_| async move {
        Answer::status(status).body(&json!({ "__type": code, "message": message }).to_string())
    })
    .await
}

#[track_caller]
fn expect_end(finished: &Finished, words: &[&str]) {
    let errors = finished.errors();
    assert_eq!(finished.status, Some(UNAVAILABLE), "{errors}");
    assert!(finished.logged(NOT_YET).is_empty(), "it waited for what does not pass:\n{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
}

#[tokio::test]
async fn permanent_errors_end_the_start_at_once_with_advice() {
    let table = [
        (
            "com.amazonaws.sqs#QueueDoesNotExist",
            400,
            "The specified queue does not exist.",
            "check DRUMLINE_QUEUE_URL",
        ),
        (
            "com.amazonaws.sqs#InvalidAddress",
            404,
            "The address is not valid for this endpoint.",
            "AWS_REGION",
        ),
        (
            "com.amazon.coral.service#UnrecognizedClientException",
            403,
            "The security token included in the request is invalid.",
            "get-caller-identity",
        ),
        (
            "InvalidSignatureException",
            403,
            "Credential should be scoped to a valid region.",
            "queue's region",
        ),
    ];
    for (code, status, message, advice) in table {
        let sqs = sqs_with(status, code, message).await;
        let finished = run(QUEUE).env("AWS_ENDPOINT_URL_SQS", &sqs.root()).finish().await;
        let host = sqs.root().replace("http://", "");
        expect_end(&finished, &["jobs", message, advice, &host]);
        assert_eq!(sqs.count(), 1, "{code}");
    }
}

#[tokio::test]
async fn an_error_names_where_the_credentials_come_from() {
    let sqs =
        sqs_with(403, "InvalidClientTokenId", "The security token included in the request is invalid.").await;
    let finished = run(QUEUE).env("AWS_ENDPOINT_URL_SQS", &sqs.root()).finish().await;
    expect_end(&finished, &["credentials of EnvironmentVariable"]);
}

#[tokio::test]
async fn errors_that_pass_are_waited_out() {
    let table = [
        ("com.amazonaws.sqs#RequestThrottled", 400, "Request is throttled."),
        (
            "com.amazon.coral.service#ExpiredTokenException",
            403,
            "The security token included in the request is expired",
        ),
        (
            "InvalidSignatureException",
            403,
            "Signature expired: 20261128T200000Z is now earlier than 20261128T205500Z",
        ),
        ("com.amazonaws.sqs#InternalFailure", 500, "try again"),
    ];
    for (code, status, message) in table {
        let sqs = sqs_with(status, code, message).await;
        let worker = run(QUEUE).env("AWS_ENDPOINT_URL_SQS", &sqs.root()).spawn();
        let logged = worker.until_logged(NOT_YET, 2).await;
        assert!(logged[0]["error"].as_str().unwrap().contains(message), "{logged:?}");
        let finished = worker.stop().await;
        assert!(finished.logged("consuming").is_empty());
    }
}

#[tokio::test]
async fn an_endpoint_that_comes_up_late_is_waited_for() {
    let address = free_address().to_string();
    let worker = run(&format!("http://{address}/000000000000/jobs")).spawn();
    worker.until_logged(NOT_YET, 2).await;
    let server = Server::bind(&address).await.unwrap();
    server.endpoint().create_queue("jobs", &[]).unwrap();
    worker.until_logged("consuming", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_missing_queue_is_named_and_consumed_when_it_is_created() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = server.endpoint().create_queue("jobs", &[]).unwrap();
    let late = url.replace("/jobs", "/late");
    let address = free_address();
    let worker = run(&format!("{late},{url}")).env("DRUMLINE_HTTP_ADDR", &address.to_string()).spawn();
    worker.until_logged("consuming", 1).await;
    assert_eq!(worker.logged("consuming")[0]["queue"], "jobs");
    let ready = format!("http://{address}/readyz");
    let missing = worker.logged_beginning("queue does not exist");
    assert_eq!(missing[0]["queue"], "late", "{missing:?}");
    assert_eq!(status_of(&ready).await, Some(503));
    server.endpoint().create_queue("late", &[]).unwrap();
    // It is requested every ten seconds.
    let patience = Duration::from_secs(30);
    eventually_within(patience, "the other is consumed too", async || is_consuming(&worker, "late")).await;
    eventually_within(patience, "it is ready", async || status_of(&ready).await == Some(200)).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_missing_dlq_ends_the_start_with_its_name() {
    let queue = LocalQueue::create(Setup::default()).await;
    let client = client(&queue.endpoint_url());
    let dead = client.create_queue().queue_name("sick-dlq").send().await.unwrap().queue_url.unwrap();
    let policy = json!({
        "deadLetterTargetArn": queue.arn.replace("jobs", "sick-dlq"),
        "maxReceiveCount": 3,
    });
    let sick = client.create_queue().queue_name("sick").attributes(Name::RedrivePolicy, policy.to_string());
    let sick = sick.send().await.unwrap().queue_url.unwrap();
    client.delete_queue().queue_url(dead).send().await.unwrap();
    let both = format!("{},{sick}", queue.url);
    let finished = run(&both).env("DRUMLINE_PERMANENT_FAILURES", "dead-letter").finish().await;
    expect_end(&finished, &["the DLQ of the queue sick cannot be used", ":sick-dlq does not exist"]);
    assert!(!finished.errors().contains("queue does not exist"), "{}", finished.errors());
    assert!(!finished.errors().contains("check DRUMLINE_QUEUE_URL"), "{}", finished.errors());
}

#[tokio::test]
async fn a_dlq_that_does_not_answer_is_waited_for() {
    let queue = LocalQueue::create(Setup::default()).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail("GetQueueUrl", Fault::Internal, 1);
    let launch = run(&queue.url).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    let worker = launch.env("DRUMLINE_PERMANENT_FAILURES", "dead-letter").spawn();
    worker.until_logged("consuming", 1).await;
    let waits = worker.logged("the DLQ does not answer yet");
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0]["queue"], "jobs");
    worker.stop().await;
}

#[tokio::test]
async fn the_time_that_sqs_asks_for_is_waited() {
    let asked_for = Duration::from_secs(3);
    let sqs = App::start(async |call: Call| match call.header("x-amz-target") {
        Some("AmazonSQS.ReceiveMessage") => {
            let body = json!({ "__type": "com.amazonaws.sqs#RequestThrottled", "message": "slower" });
            Answer::status(400).header("x-amz-retry-after", "3000").body(&body.to_string())
        }
        _ => Answer::ok().body("{}"),
    })
    .await;
    let worker = run(QUEUE).env("AWS_ENDPOINT_URL_SQS", &sqs.root()).spawn();
    let receives = || {
        let is_receive = |call: &Call| call.header("x-amz-target") == Some("AmazonSQS.ReceiveMessage");
        sqs.calls().into_iter().filter(is_receive).map(|call| call.begun).collect::<Vec<_>>()
    };
    eventually("it asks again", async || receives().len() >= 3).await;
    let begun = receives();
    assert!(begun[2] - begun[1] >= asked_for && begun[1] - begun[0] >= asked_for, "{begun:?}");
    worker.stop().await;
}

#[tokio::test]
async fn a_queue_is_found_by_its_name() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let launch = Launch::on(&queue).env("DRUMLINE_QUEUE_URL", "jobs");
    let launch = launch.env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url());
    let worker = launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let started = worker.until_logged("consuming", 1).await;
    assert_eq!((&started[0]["queue"], &started[0]["scope"]), (&json!("jobs"), &json!(queue.arn)));
    let commands: [&[&str]; 5] = [
        &["send", "--queue-url", "jobs", "--type", "a.b", "--payload", "{}"],
        &["dlq", "ls", "--dlq-url", "jobs-dlq"],
        &["dlq", "ls"],
        &["config", "--check"],
        &["doctor", "queue"],
    ];
    for command in commands {
        let launch = Launch::new(command).env("DRUMLINE_QUEUE_URL", "jobs");
        let finished = launch.env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url()).finish().await;
        assert!(matches!(finished.status, Some(0 | 1)), "{command:?}: {}", finished.errors());
        assert!(!finished.errors().contains("sqs-name"), "{}", finished.errors());
    }
    eventually("the job that was sent is done", async || !app.ids().is_empty()).await;
    worker.stop().await;
    let missing = run("no-such-queue").env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url()).finish().await;
    expect_end(&missing, &["no-such-queue", "does not exist", "check DRUMLINE_QUEUE_URL"]);
    let no_region = run("jobs").without("AWS_REGION").finish().await;
    assert_eq!(no_region.status, Some(crate::USAGE), "{}", no_region.errors());
    assert!(no_region.errors().contains("jobs names none: set AWS_REGION"), "{}", no_region.errors());
}

#[tokio::test]
async fn a_queue_is_found_by_its_arn() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let id = queue.send("a");
    let launch = Launch::on(&queue).env("DRUMLINE_QUEUE_URL", &queue.arn);
    let worker = launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("its message is done", async || queue.count() == 0).await;
    assert_eq!(app.ids(), [id]);
    worker.stop().await;
}

#[tokio::test]
async fn queues_of_one_name_are_told_apart_and_jobs_see_the_name() {
    let (one, other) =
        (Server::bind("127.0.0.1:0").await.unwrap(), Server::bind("127.0.0.1:0").await.unwrap());
    let urls = [&one, &other].map(|server| server.endpoint().create_queue("jobs", &[]).unwrap());
    let (app, address) = (App::always_ok().await, free_address().to_string());
    let worker =
        run(&urls.join(",")).env("DRUMLINE_HTTP_ADDR", &address).env("DRUMLINE_FORWARD_TO", &app.url());
    let worker = worker.env("DRUMLINE_LOG", "debug").spawn();
    let labels = urls.each_ref().map(|url| url.replace("http://", "").replace("000000000000/", ""));
    worker.until_logged("consuming", 2).await;
    assert!(labels.iter().all(|label| is_consuming(&worker, label)), "{labels:?}");
    let client = client(&one.endpoint_url());
    for _ in 0..ENOUGH {
        client.send_message().queue_url(&urls[0]).message_body("a").send().await.unwrap();
    }
    worker.until_logged("done", ENOUGH).await;
    assert_eq!(app.calls()[0].header("x-aws-sqsd-queue"), Some("jobs"));
    let doctor = launch_on(&["doctor", "queue"], &urls, &address).finish().await;
    let too_little = |label: &str| doctor.errors().contains(&format!("has run too little of {label} "));
    assert_eq!(labels.each_ref().map(|label| too_little(label)), [false, true], "{}", doctor.errors());
    let check = launch_on(&["config", "--check", "--output", "json"], &urls, &address).finish().await;
    for label in labels {
        assert!(
            check.stdout.iter().any(|line| line.contains(&format!("\"queue\":\"{label}\""))),
            "{check:?}"
        );
    }
    worker.stop().await;
}

/// Returns a command about these queues and the worker at `address`.
fn launch_on(command: &[&str], urls: &[String], address: &str) -> Launch {
    Launch::new(command)
        .env("DRUMLINE_QUEUE_URL", &urls.join(","))
        .env("DRUMLINE_ALLOW_UNBOUNDED", "true")
        .env("DRUMLINE_HTTP_ADDR", address)
}

fn is_consuming(worker: &Worker, queue: &str) -> bool {
    worker.logged("consuming").iter().any(|entry| entry["queue"] == queue)
}
