//! A worker that has not started shows at its HTTP endpoint what it waits for; one that replaces another takes over its address.

use drumline_tests::{
    App, Fault, Launch, LocalQueue, Proxy, Setup, Signal, eventually, free_address, get, status_of,
};

const JOB: &str = r#"{"type":"a.b","payload":{}}"#;
const PASSWORD: &str = "s3cret-of-the-store";
const UNAVAILABLE: i32 = 69;

#[tokio::test]
async fn a_start_that_waits_for_its_queue_says_so() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always("GetQueueAttributes", Fault::Hangs);
    let worker = Launch::on(&queue)
        .env("AWS_ENDPOINT_URL", &proxy.url())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .spawn();
    let wait = "the start waits for the queue jobs";
    let mut answer = None;
    eventually("it says what it waits for", async || {
        answer = get(&worker.endpoint("/readyz")).await;
        answer.as_ref().is_some_and(|(_, text)| text.contains(wait))
    })
    .await;
    let (status, text) = answer.unwrap();
    assert!(status == 503 && text.starts_with(&format!("not ready: {wait}")), "{status} {text}");
    assert_eq!(
        status_of(&worker.endpoint("/livez")).await,
        Some(503),
        "the worker that it replaces must stay"
    );
    let (status, text) = get(&worker.endpoint("/jobs/j-1")).await.unwrap();
    assert!(status == 503 && text.contains("has not started"), "{status} {text}");
    let addr = worker.endpoint("");
    let beside =
        |args: &[&str]| Launch::new(args).env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"));
    let shown = beside(&["status"]).finish().await;
    assert_eq!(shown.status, Some(1), "{}", shown.errors());
    assert!(shown.stdout[0].starts_with(&format!("not ready: {wait}")), "{:?}", shown.stdout);
    assert!(shown.stdout[1].starts_with(&format!("nothing is running: {wait}")), "{:?}", shown.stdout);
    assert_eq!(beside(&["health"]).finish().await.status, Some(UNAVAILABLE));
    assert_eq!(beside(&["health", "--ready"]).finish().await.status, Some(UNAVAILABLE));
    worker.stop().await;
}

#[tokio::test]
async fn a_start_that_waits_for_its_store_shows_no_secrets() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let store = free_address();
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_STORE_URL", &format!("redis://drumline:{PASSWORD}@{store}"))
        .spawn();
    let mut text = String::new();
    eventually("it names the store and the error", async || {
        text = get(&worker.endpoint("/readyz?verbose")).await.map(|(_, text)| text).unwrap_or_default();
        text.contains("refused")
    })
    .await;
    assert!(text.starts_with("not ready: the start waits for the store redis://"), "{text}");
    assert!(text.contains(&store.to_string()) && !text.contains(PASSWORD), "{text}");
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(UNAVAILABLE), "{}", finished.errors());
}

#[tokio::test]
async fn a_restart_consumes_while_the_old_worker_keeps_the_address() {
    let ((app, gate), queue) = (App::held().await, LocalQueue::create(Setup::default()).await);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let addr = launch.http_addr().to_string();
    let old = launch.spawn();
    queue.send(JOB);
    eventually("it runs", async || app.count() == 1).await;
    old.signal(Signal::TERM);
    old.until_logged("stopping; once more to stop at once", 1).await;

    let new =
        Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_HTTP_ADDR", &addr).spawn();
    let waits = "the address of the HTTP endpoint is in use, retrying";
    new.until_logged(waits, 1).await;
    queue.send(JOB);
    eventually("the new one runs the next job", async || app.count() == 2).await;
    let ready = format!("http://{addr}/readyz");
    assert_eq!(status_of(&ready).await, Some(503), "the old one drains");
    gate.add_permits(8);
    assert_eq!(old.finish().await.status, Some(0));
    new.until_logged("the address of the HTTP endpoint is free, serving", 1).await;
    eventually("the new one is ready", async || status_of(&ready).await == Some(200)).await;
    assert_eq!(new.logged(waits).len(), 1);
    new.stop().await;
}
