//! A rate that workers share, while some of them are killed.

use std::time::{Duration, Instant};

use drumline_tests::{App, Launch, LocalQueue, Setup, Worker, create_table, eventually_within, shared_store};
use serde_json::json;
use tokio::time::sleep;

use crate::{DYNAMODB, POSTGRES, REDIS, job, unique};

const RATE: usize = 100;

/// The time in which the starts are counted, at least ten seconds. Run the whole by hand, with `DRUMLINE_TEST_FULL`.
const FULL: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(10);

fn is_full() -> bool {
    drumline_store::variable("DRUMLINE_TEST_FULL").is_some()
}

fn worker(queue: &LocalQueue, store: &[(&str, &str)], app: &App, job_type: &str) -> Worker {
    let launch = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let launch = store.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
    let path = launch.home().join("drumline.toml");
    std::fs::write(&path, format!("[limits.\"{job_type}\"]\nrate = \"{RATE}/s\"\n")).unwrap();
    launch.env("DRUMLINE_CONFIG", &path.display().to_string()).spawn()
}

/// Returns the maximum number of these within a time.
fn most_within(at: &[Duration], time: Duration) -> usize {
    let count =
        |(index, from): (usize, &Duration)| at[index..].iter().take_while(|at| **at < *from + time).count();
    at.iter().enumerate().map(count).max().unwrap_or(0)
}

/// Runs three workers with a backlog, of which two are killed and replaced.
async fn three_workers_share_a_rate(store: &[(&str, &str)], length: Duration) {
    // A separate bucket.
    let job_type = &*unique("rated");
    let queue = LocalQueue::create(Setup { max_receive_count: Some(100), ..Setup::default() }).await;
    let seconds = usize::try_from(length.as_secs()).unwrap();
    for _ in 0..RATE * seconds * 3 / 2 {
        queue.send(&job(job_type, &unique("rated"), &json!({})));
    }
    let app = App::always_ok().await;
    let start = || worker(&queue, store, &app, job_type);
    let mut workers: Vec<Worker> = std::iter::repeat_with(start).take(3).collect();
    for worker in &workers {
        worker.until_logged("consuming", 1).await;
    }
    eventually_within(Duration::from_secs(30), "all of them take part", async || app.count() > RATE).await;
    // The start of three processes does not count.
    let begun = Instant::now();
    for _ in 0..2 {
        sleep(length / 3).await;
        workers.remove(0).kill().await;
        workers.push(start());
    }
    sleep(length / 3).await;
    let calls = app.calls();
    let at: Vec<Duration> = calls
        .iter()
        .filter_map(|call| call.begun.checked_duration_since(begun))
        .filter(|at| *at < length)
        .collect();
    let ten_seconds = Duration::from_secs(10);
    let most = most_within(&at, ten_seconds);
    let by_second: Vec<usize> =
        (0..length.as_secs()).map(|second| at.iter().filter(|at| at.as_secs() == second).count()).collect();
    let figures = format!(
        "{} of {}, at most {most} in ten seconds; by second: {by_second:?}",
        at.len(),
        RATE * seconds
    );
    report(&figures);
    assert!(at.len() * 100 <= RATE * seconds * 105, "more than 105 %: {figures}");
    assert!(most * 100 <= RATE * 10 * 105, "more than 105 % in ten seconds: {figures}");
    assert!(at.len() * 100 >= RATE * seconds * 90, "less than 90 %: {figures}");
    assert_eq!(queue.dead().len(), 0, "those that wait have not failed");
    for worker in workers {
        worker.stop().await;
    }
}

#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
fn report(figures: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{figures}").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_share_a_rate_through_redis() {
    let Some(url) = shared_store(REDIS) else { return };
    let length = if is_full() { FULL } else { SHORT };
    three_workers_share_a_rate(&[("DRUMLINE_STORE_URL", &url)], length).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_share_a_rate_through_postgresql() {
    let Some(url) = shared_store(POSTGRES).filter(|_| is_full()) else { return };
    three_workers_share_a_rate(&[("DRUMLINE_STORE_URL", &url)], FULL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_share_a_rate_through_dynamodb() {
    let Some(endpoint) = shared_store(DYNAMODB).filter(|_| is_full()) else { return };
    let table = unique("rates");
    create_table(&endpoint, &table).await;
    let url = format!("dynamodb://{table}");
    // The tests' server handles some six hundred requests a second, and each job needs four of them with this.
    let store = [
        ("DRUMLINE_STORE_URL", &*url),
        ("AWS_ENDPOINT_URL_DYNAMODB", &*endpoint),
        ("DRUMLINE_LEGACY_RECORDS", "ignore"),
    ];
    three_workers_share_a_rate(&store, FULL).await;
}
