//! An outbox in Redis, whose server and relays are killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drumline_store::outbox::{self, Outbox};
use drumline_tests::{Launch, LocalQueue, Setup, StoreServer, Worker, eventually, eventually_within};
use serde_json::{Value, json};

use super::world::{confirmed, expect_delivered, id, job, noted_queue, relay};

/// The time limit, including kills and the leases that they leave behind.
const LONG: Duration = Duration::from_secs(60);

const GROUPS: usize = 20;
const ROUNDS: usize = 6;
const JOBS: usize = 10;

async fn command(url: &str, args: &[&str]) -> Value {
    let launch = Launch::new(&[&["outbox"], args].concat()).env("DRUMLINE_OUTBOX_URL", url);
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
    finished.stdout.first().map_or(Value::Null, |line| serde_json::from_str(line).unwrap())
}

/// Adds jobs repeatedly until the server has responded: those that it already has do not change.
async fn add(outbox: &Arc<dyn Outbox>, group: &str, places: std::ops::Range<usize>) {
    let jobs: Vec<_> = places.map(|place| job(group, place)).collect();
    eventually("they are added", async || outbox.add(&jobs).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_added_job_is_sent_in_order_whatever_is_killed() {
    let Some(mut server) = StoreServer::start() else { return };
    let queue = LocalQueue::create(Setup { fifo: true, ..Setup::default() }).await;
    let (url, proxy) = (server.url(), noted_queue(&queue).await);
    let start = || relay(&url, &queue.url, &proxy.url()).spawn();
    let mut relays: [Option<Worker>; 2] = [Some(start()), Some(start())];
    for worker in relays.iter().flatten() {
        worker.until_logged("relaying", 1).await;
    }
    command(&url, &["migrate"]).await;
    let outbox = outbox::open(&url, Duration::ZERO).await.unwrap();
    let mut expected = BTreeSet::new();
    for round in 0..ROUNDS {
        let places = round * JOBS..(round + 1) * JOBS;
        for group in 0..GROUPS {
            let group = format!("group-{group}");
            expected.extend(places.clone().map(|place| id(&group, place)));
            add(&outbox, &group, places.clone()).await;
        }
        if round % 2 == 0 {
            relays[round / 2 % 2].take().unwrap().kill().await;
            relays[round / 2 % 2] = Some(start());
        } else {
            server.kill();
            server.restart();
        }
    }
    let is_empty = async || outbox.lag().await.is_ok_and(|lag| lag.due == 0 && lag.later == 0);
    eventually_within(LONG, "the outbox is empty", is_empty).await;
    expect_delivered(&confirmed(&proxy), &expected);
    let lag = command(&url, &["lag", "--output", "json"]).await;
    assert_eq!(lag, json!({ "due": 0, "oldestSecs": 0.0, "later": 0, "parked": 0 }));
    for worker in relays.into_iter().flatten() {
        worker.stop().await;
    }
}
