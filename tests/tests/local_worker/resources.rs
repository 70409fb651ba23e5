//! A worker with few file descriptors: its own lack is not a failure of any message.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, Worker, eventually, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Few enough for a test to use up, whose own limit is larger.
const DESCRIPTORS: u32 = 256;

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: Some(5), visibility_secs: 4, ..Setup::default() }).await
}

async fn readiness(worker: &Worker) -> String {
    let answer = tokio::time::timeout(Duration::from_secs(5), get(&worker.endpoint("/readyz"))).await;
    answer.ok().flatten().map_or_else(String::new, |(_, text)| text)
}

#[tokio::test]
async fn idle_connections_to_the_endpoint_kill_no_message() {
    let (app, queue) = (App::always_ok().await, queue().await);
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).descriptors(DESCRIPTORS);
    let addr: SocketAddr = launch.http_addr();
    let worker = launch.spawn();
    worker.until_logged("consuming", 1).await;
    eventually("the endpoint listens", async || TcpStream::connect(addr).await.is_ok()).await;
    let mut idle = Vec::new();
    for _ in 0..DESCRIPTORS + 50 {
        idle.push(TcpStream::connect(addr).await.unwrap());
    }
    for n in 0..200 {
        queue.send(&n.to_string());
    }
    eventually("all messages are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    assert_eq!(app.calls().len(), 200, "each at its first attempt");
    drop(idle);
    worker.stop().await;
}

/// A worker whose descriptors can be taken away.
struct Scarce {
    worker: Worker,
    hoard: TcpStream,
}

impl Scarce {
    async fn start(queue: &LocalQueue, more: impl FnOnce(Launch) -> Launch) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let launch = Launch::on(queue)
            .program(PathBuf::from(env!("CARGO_BIN_EXE_hoarder")))
            .env("HOARDS_FOR", &listener.local_addr().unwrap().to_string())
            .env("DRUMLINE_CONCURRENCY", "16")
            .descriptors(DESCRIPTORS);
        let worker = more(launch).spawn();
        let (hoard, _) = listener.accept().await.unwrap();
        worker.until_logged("the queue answers", 1).await;
        Self { worker, hoard }
    }

    async fn take_descriptors(&mut self) {
        self.hoard.write_all(b"!").await.unwrap();
        self.hoard.read_exact(&mut [0]).await.unwrap();
    }

    /// Waits until the queue is paused, and leases have been renewed in the pause.
    async fn until_paused(&self) {
        self.worker.until_logged("receiving paused", 1).await;
        self.worker.until_logged("out of resources: kept in hand", 1).await;
        eventually("readiness names the reason", async || {
            readiness(&self.worker).await.contains("paused: jobs (out_of_resources)")
        })
        .await;
        self.worker.until_logged("renewed leases", 2).await;
        assert_eq!(self.worker.logged("pause ended").len(), 0, "probes found no descriptors");
    }
}

fn most_receives(queue: &LocalQueue, ids: &[String]) -> u32 {
    ids.iter().filter_map(|id| queue.find(id)).map(|message| message.receive_count).max().unwrap_or_default()
}

#[tokio::test]
async fn a_handlers_lack_of_descriptors_pauses_without_a_receive() {
    let queue = queue().await;
    let mut scarce = Scarce::start(&queue, |launch| launch).await;
    scarce.take_descriptors().await;
    let ids: Vec<String> = (0..40).map(|_| queue.send(r#"{"type":"need","payload":{}}"#)).collect();
    scarce.until_paused().await;
    assert_eq!(queue.count(), 40, "no job is done");
    assert_eq!(most_receives(&queue, &ids), 1);
    let Scarce { worker, hoard } = scarce;
    drop(hoard);
    eventually("all jobs are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    eventually("it is ready", async || readiness(&worker).await == "ready\n").await;
    let failures = r#"drumline_failures_total{queue="jobs",type="need",class="out_of_resources"}"#;
    assert!(worker.metric(failures).await > 0);
    worker.stop().await;
}

#[tokio::test]
async fn forward_mode_pauses_without_descriptors_for_connections() {
    let (answer, wanted) = watch::channel(false);
    let app = App::start(move |_| {
        let mut wanted = wanted.clone();
        async move {
            wanted.wait_for(|wanted| *wanted).await.unwrap();
            Answer::ok()
        }
    })
    .await;
    let queue = queue().await;
    let mut scarce = Scarce::start(&queue, |launch| launch.env("DRUMLINE_FORWARD_TO", &app.url())).await;
    scarce.take_descriptors().await;
    let ids: Vec<String> = (0..40).map(|n| queue.send(&n.to_string())).collect();
    scarce.until_paused().await;
    assert_eq!(most_receives(&queue, &ids), 1);
    let Scarce { worker, hoard } = scarce;
    drop(hoard);
    answer.send_replace(true);
    eventually("all messages are done", async || queue.count() == 0).await;
    assert_eq!(queue.dead().len(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_concurrency_that_forward_mode_cannot_serve_is_refused() {
    let (app, queue) = (App::always_ok().await, queue().await);
    let launch = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_CONCURRENCY", "2000")
        .descriptors(DESCRIPTORS);
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    for part in ["DRUMLINE_CONCURRENCY", "2000", "256"] {
        assert!(finished.errors().contains(part), "{part} in {}", finished.errors());
    }
}
