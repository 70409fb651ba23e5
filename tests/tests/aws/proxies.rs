//! Proxies and certificates.

use drumline_tests::{Answer, App, ConnectProxy, Launch, LocalQueue, Setup, eventually};
use serde_json::json;

use crate::{QUEUE, USAGE};

fn run(queue_url: &str) -> Launch {
    Launch::new(&["run"]).env("DRUMLINE_QUEUE_URL", queue_url).env("DRUMLINE_WAIT_TIME", "1s")
}

#[tokio::test]
async fn the_proxy_s_password_goes_to_the_proxy_and_into_no_log() {
    let proxy = ConnectProxy::start().await;
    let url = format!("http://drum:hunter%402@{}", proxy.address());
    let worker = run(QUEUE).env("https_proxy", &url).env("DRUMLINE_LOG", "trace").spawn();
    eventually("the proxy is asked", async || !proxy.seen().is_empty()).await;
    // "drum:hunter@2", in base64.
    assert_eq!(proxy.seen()[0].authorization.as_deref(), Some("Basic ZHJ1bTpodW50ZXJAMg=="));
    worker.until_logged("the queue does not answer yet", 1).await;
    let finished = worker.stop().await;
    for secret in ["hunter", "ZHJ1bTpodW50ZXJAMg"] {
        assert!(!finished.errors().contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn this_machine_is_never_behind_a_proxy() {
    let (proxy, queue) = (ConnectProxy::start().await, LocalQueue::create(Setup::default()).await);
    let launch = Launch::on(&queue).env("HTTP_PROXY", &proxy.url()).env("HTTPS_PROXY", &proxy.url());
    let worker = launch.spawn();
    worker.until_logged("consuming", 1).await;
    worker.stop().await;
    assert_eq!(proxy.seen(), []);
}

#[tokio::test]
async fn a_container_s_credentials_are_never_behind_a_proxy() {
    let proxy = ConnectProxy::start().await;
    let worker = run(QUEUE)
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials")
        .env("HTTP_PROXY", &proxy.url())
        .spawn();
    worker.until_logged("the queue does not answer yet", 1).await;
    worker.kill().await;
    assert_eq!(proxy.seen(), [], "the address of ECS's agent is asked without the proxy");
}

#[tokio::test]
async fn the_doctor_s_questions_for_lambda_take_the_same_way() {
    let sqs = App::start(async |_| {
        let arn = "arn:aws:sqs:eu-west-1:123456789012:jobs";
        Answer::ok().body(&json!({ "Attributes": { "QueueArn": arn } }).to_string())
    })
    .await;
    let lambda = App::start(async |_| Answer::ok().body(r#"{"EventSourceMappings":[]}"#)).await;
    let doctor = || {
        let launch = Launch::new(&["doctor", "queue"]).env("DRUMLINE_QUEUE_URL", QUEUE);
        launch.env("AWS_ENDPOINT_URL_SQS", &sqs.root())
    };
    let finished = doctor().env("AWS_ENDPOINT_URL_LAMBDA", &lambda.root()).finish().await;
    assert!(!finished.errors().contains("not looked at"), "{}", finished.errors());
    let asked = &lambda.calls()[0];
    assert!(asked.line.starts_with("GET /2015-03-31/event-source-mappings?"), "{asked:?}");
    assert!(asked.header("authorization").unwrap().contains("/eu-west-1/lambda/"), "{asked:?}");

    let proxy = ConnectProxy::start().await;
    let finished = doctor().env("HTTPS_PROXY", &proxy.url()).finish().await;
    assert!(finished.errors().contains("not looked at"), "{}", finished.errors());
    assert_eq!(proxy.seen()[0].target, "lambda.eu-west-1.amazonaws.com:443");
}

#[tokio::test]
async fn an_unusable_proxy_or_bundle_is_a_wrong_setting() {
    for (name, value) in [
        ("HTTPS_PROXY", "socks5://user:hunter2@proxy:1080"),
        ("http_proxy", "http://"),
        ("AWS_CA_BUNDLE", "/nowhere/bundle.pem"),
        ("AWS_CA_BUNDLE", "/dev/null"),
    ] {
        let finished = run(QUEUE).env(name, value).finish().await;
        let errors = finished.errors();
        assert_eq!(finished.status, Some(USAGE), "{errors}");
        assert!(errors.contains(name) && !errors.contains("hunter2"), "{errors}");
    }
}
