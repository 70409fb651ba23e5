//! An application that is unhealthy as a whole: the worker waits for it, and the outage costs no message its life.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use drumline_tests::{
    Answer, App, Launch, LocalQueue, PATIENCE, Setup, Worker, eventually, eventually_within, free_address,
    get,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The length of outages here. Longer than the waits before the first probes.
const OUTAGE: Duration = Duration::from_secs(4);

async fn queue(max_receive_count: u32) -> LocalQueue {
    let setup = Setup { max_receive_count: Some(max_receive_count), visibility_secs: 5, ..Setup::default() };
    LocalQueue::create(setup).await
}

async fn readiness(worker: &Worker) -> String {
    get(&worker.endpoint("/readyz")).await.map_or_else(String::new, |(_, text)| text)
}

fn send(queue: &LocalQueue, count: usize) -> Vec<String> {
    (0..count).map(|n| queue.send(&format!(r#"{{"type":"t{}","payload":{{}}}}"#, n % 3))).collect()
}

fn most_receives(queue: &LocalQueue, ids: &[String]) -> u32 {
    ids.iter().filter_map(|id| queue.find(id)).map(|message| message.receive_count).max().unwrap_or_default()
}

async fn until_done(queue: &LocalQueue) {
    eventually("all messages are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
}

async fn until_paused(worker: &Worker, problem: &str) {
    let paused = format!("not ready: paused: jobs (target_unhealthy: {problem})\n");
    eventually("readiness names the reason", async || readiness(worker).await == paused).await;
    assert_eq!(worker.metric(r#"drumline_paused{queue="jobs",reason="target_unhealthy"}"#).await, 1);
}

/// Stands for no answer, instead of a status.
const HANGS: u16 = 0;

/// Starts an application that answers with this status, until the test changes it.
async fn answering(status: u16) -> (App, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(status));
    let shared = Arc::clone(&answer);
    let app = App::start(move |_| {
        let status = shared.load(Ordering::SeqCst);
        async move {
            if status == HANGS {
                std::future::pending::<()>().await;
            }
            Answer::status(status)
        }
    })
    .await;
    (app, answer)
}

#[tokio::test]
async fn a_worker_receives_nothing_until_its_application_answers() {
    let (addr, queue) = (free_address(), queue(3).await);
    let ids = send(&queue, 100);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &format!("http://{addr}/jobs")).spawn();
    until_paused(&worker, "connection refused (111)").await;
    worker.until_logged("receiving paused", 1).await;
    tokio::time::sleep(OUTAGE).await;
    assert_eq!(most_receives(&queue, &ids), 0, "no receive is spent");
    let back = Instant::now();
    let app = App::start_on(addr, async |_| Answer::ok()).await;
    until_done(&queue).await;
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    assert_eq!(app.count(), 100, "each at its first attempt");
    eventually("it is ready", async || readiness(&worker).await == "ready\n").await;
    for line in ["receiving paused", "pause ended", "target unhealthy", "target healthy again"] {
        assert_eq!(worker.logged(line).len(), 1, "{line}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_vanished_application_costs_a_message_at_most_one_receive() {
    goes_away_for(OUTAGE).await;
}

#[tokio::test]
#[ignore = "takes five minutes"]
async fn five_minutes_of_outage_cost_a_message_at_most_one_receive() {
    goes_away_for(Duration::from_secs(300)).await;
}

async fn goes_away_for(outage: Duration) {
    let (addr, queue) = (free_address(), queue(3).await);
    let slow = async |_| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Answer::ok()
    };
    let app = App::start_on(addr, slow).await;
    let ids = send(&queue, 100);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &format!("http://{addr}/jobs"));
    let worker = launch.env("DRUMLINE_CONCURRENCY", "10").spawn();
    eventually("some are done", async || app.count() > 20).await;
    app.shut_down().await;
    until_paused(&worker, "connection refused (111)").await;
    tokio::time::sleep(outage).await;
    assert!(most_receives(&queue, &ids) <= 2);
    let app = App::start_on(addr, async |_| Answer::ok()).await;
    until_done(&queue).await;
    assert!(app.calls().iter().all(|call| call.receive_count <= 2));
    worker.stop().await;
}

/// Waits through an outage that the worker has noticed, and ends it: no message has died, or used more receives than that.
async fn outlasts(outage: Duration, most: u32, ids: &[String], queue: &LocalQueue, answer: &AtomicU16) {
    tokio::time::sleep(outage).await;
    assert!(most_receives(queue, ids) <= most, "messages stay in hand for a minute");
    answer.store(200, Ordering::SeqCst);
    eventually_within(2 * PATIENCE, "all messages are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
}

async fn all_are_done_after(status: u16, outage: Duration, max_receive_count: u32, problem: &str) {
    let ((app, answer), queue) = (answering(status).await, queue(max_receive_count).await);
    let ids = send(&queue, 40);
    let launch = Launch::on(&queue).env("DRUMLINE_HANDLER_TIMEOUT", "2s");
    let worker = launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    until_paused(&worker, problem).await;
    outlasts(outage, 1, &ids, &queue, &answer).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_waits_for_an_application_that_always_answers_503() {
    all_are_done_after(503, OUTAGE, 3, "503 Service Unavailable").await;
}

#[tokio::test]
async fn a_worker_waits_for_an_application_that_starts_to_fail() {
    let ((app, answer), queue) = (answering(200).await, queue(3).await);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let worker = launch.spawn();
    send(&queue, 10);
    eventually("the application works", async || queue.count() == 0).await;
    answer.store(503, Ordering::SeqCst);
    let ids = send(&queue, 40);
    until_paused(&worker, "503 Service Unavailable").await;
    // The first failures may be attempts.
    outlasts(OUTAGE, 2, &ids, &queue, &answer).await;
    worker.stop().await;
}

#[tokio::test]
async fn an_application_that_lets_nobody_in_is_waited_for() {
    all_are_done_after(401, OUTAGE, 3, "401 Unauthorized").await;
}

#[tokio::test]
async fn an_application_that_answers_nothing_is_waited_for() {
    all_are_done_after(HANGS, OUTAGE, 3, "no answer in time").await;
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn outages_of_most_of_a_minute_are_waited_for() {
    let (unavailable, unauthorized) = (Duration::from_secs(45), Duration::from_secs(30));
    tokio::join!(
        goes_away_for(Duration::from_secs(25)),
        goes_away_for(Duration::from_secs(45)),
        all_are_done_after(503, unavailable, 3, "503 Service Unavailable"),
        all_are_done_after(401, unauthorized, 3, "401 Unauthorized"),
    );
}

#[tokio::test]
async fn its_own_health_check_ends_the_pause() {
    let ((app, answer), queue) = (answering(500).await, queue(3).await);
    send(&queue, 10);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let worker = launch.env("DRUMLINE_FORWARD_HEALTH", "/health?deep").spawn();
    until_paused(&worker, "its health check answers 500 Internal Server Error").await;
    assert!(app.calls().iter().all(|call| call.line == "GET /health?deep"), "no message was received before");
    answer.store(200, Ordering::SeqCst);
    until_done(&queue).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_waits_if_all_jobs_fail_despite_a_healthy_check() {
    let answer = Arc::new(AtomicU16::new(503));
    let shared = Arc::clone(&answer);
    let app = App::start(move |call| {
        let status = if call.line == "GET /health" { 200 } else { shared.load(Ordering::SeqCst) };
        async move { Answer::status(status) }
    })
    .await;
    let queue = queue(3).await;
    let ids = send(&queue, 40);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let worker = launch.env("DRUMLINE_FORWARD_HEALTH", "/health").spawn();
    worker.until_logged("target unhealthy", 2).await;
    tokio::time::sleep(2 * OUTAGE).await;
    assert_eq!(worker.logged("target unhealthy").len(), 2, "a health check ends it no more");
    assert!(most_receives(&queue, &ids) <= 1, "messages stay in hand for a minute");
    answer.store(200, Ordering::SeqCst);
    eventually_within(2 * PATIENCE, "all messages are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn one_route_that_fails_is_that_types_failure() {
    let app = App::start(
        async |call| {
            if call.body.contains("\"t0\"") { Answer::status(500) } else { Answer::ok() }
        },
    )
    .await;
    let queue = queue(2).await;
    send(&queue, 30);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("the others are done, and those have failed", async || queue.dead().len() == 10).await;
    assert_eq!(queue.count(), 0);
    assert_eq!(worker.logged("receiving paused").len(), 0);
    worker.stop().await;
}

/// Answers each connection with this text, and keeps it open. Returns its URL and the number of connections.
async fn hanging(text: &'static str) -> (String, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU16::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // The worker's first connection is a check without a request.
            if stream.read(&mut [0; 4096]).await.unwrap_or(0) > 0 {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(text.as_bytes()).await.unwrap();
                open.push(stream);
            }
        }
    });
    (url, requests)
}

#[tokio::test]
async fn a_200_is_done_although_its_body_never_ends() {
    let (url, requests) =
        hanging("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let queue = queue(3).await;
    queue.send("one");
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &url).spawn();
    until_done(&queue).await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_422_is_rejected_with_what_came_of_its_body() {
    let (url, requests) = hanging("HTTP/1.1 422 No\r\nContent-Length: 99\r\n\r\nno such user").await;
    let queue = queue(3).await;
    queue.send("one");
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &url).spawn();
    let failed = worker.until_logged("failed for good", 1).await;
    assert_eq!(failed[0]["reason"], "422 Unprocessable Entity: no such user");
    eventually("it is dead", async || queue.dead().len() == 1).await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test]
async fn an_error_page_is_its_title() {
    let page = "<html><head><title>Oops: db down</title></head><body>..</body>";
    let app = App::start(async |_| Answer::status(500).header("content-type", "text/html").body(page)).await;
    let queue = queue(3).await;
    queue.send("one");
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let failed = worker.until_logged("failed, trying again later", 1).await;
    assert_eq!(failed[0]["reason"], "500 Internal Server Error: Oops: db down");
    worker.stop().await;
}
