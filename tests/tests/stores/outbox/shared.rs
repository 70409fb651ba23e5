//! Relays that share an outbox: both work, and one takes over from the other.

use std::collections::BTreeSet;
use std::time::Duration;

use drumline_store::outbox::postgres::PostgresOutbox;
use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::{
    Fault, LocalQueue, Proxy, Setup, Signal, Worker, eventually, eventually_within, status_of,
};
use sqlx::Connection as _;
use url::Url;

use super::world::{add, confirmed, database, expect_delivered, id, left, noted_queue, relay};

/// The time limit, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Groups of jobs, and an outbox that gets more and more jobs.
struct World {
    url: String,
    connection: PgConnection,
    queue: LocalQueue,
    proxy: Proxy,
    expected: BTreeSet<String>,
    added: usize,
}

impl World {
    const GROUPS: usize = 40;

    async fn start() -> Option<Self> {
        let url = database().await?;
        PostgresOutbox::migrate(&Url::parse(&url).unwrap()).await.unwrap();
        let connection = PgConnection::connect(&url).await.unwrap();
        let queue = LocalQueue::create(Setup { fifo: true, ..Setup::default() }).await;
        let proxy = noted_queue(&queue).await;
        Some(Self { url, connection, queue, proxy, expected: BTreeSet::new(), added: 0 })
    }

    async fn relay(&self) -> Worker {
        let worker = relay(&self.url, &self.queue.url, &self.proxy.url()).spawn();
        eventually("it is ready", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
        worker
    }

    /// Adds some jobs to each group.
    async fn add(&mut self, jobs: usize) {
        let places = self.added..self.added + jobs;
        self.added += jobs;
        for group in 0..Self::GROUPS {
            let group = format!("group-{group}");
            self.expected.extend(places.clone().map(|place| id(&group, place)));
            add(&mut self.connection, &group, places.clone()).await;
        }
    }

    async fn until_sent(&mut self) {
        let connection = &mut self.connection;
        eventually_within(LONG, "all are sent", async || left(connection).await.unwrap() == 0).await;
        expect_delivered(&confirmed(&self.proxy), &self.expected);
    }
}

async fn sent(worker: &Worker) -> u64 {
    worker.metric("drumline_outbox_sent_total").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_share_and_one_takes_over_from_the_other() {
    let Some(mut world) = World::start().await else { return };
    let (first, second) = (world.relay().await, world.relay().await);
    // The second one gets its part when the first one polls again.
    for _ in 0..10 {
        world.add(5).await;
        world.until_sent().await;
        if sent(&first).await > 0 && sent(&second).await > 0 {
            break;
        }
    }
    let (by_first, by_second) = (sent(&first).await, sent(&second).await);
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    let all = u64::try_from(world.expected.len()).unwrap();
    // Twice only if the machine stalls for longer than a lease.
    assert!(by_first + by_second >= all, "{by_first} and {by_second} of {all}");

    first.kill().await;
    world.add(5).await;
    world.until_sent().await;
    let all = u64::try_from(world.expected.len()).unwrap();
    assert!(sent(&second).await >= all - by_first, "the second one has taken over");

    // A relay that is asked to stop releases its buckets: the next one need not wait for the end of its lease.
    let finished = second.stop().await;
    let summary = finished.logged("stopped");
    assert!(summary[0]["sent"].as_u64() >= Some(all - by_first), "{summary:?}");
    let third = world.relay().await;
    world.add(1).await;
    world.until_sent().await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_stopped_beyond_its_lease_loses_no_job_and_no_order() {
    let Some(mut world) = World::start().await else { return };
    let stopped = world.relay().await;
    // It has jobs in hand when it stops: its requests take one second each.
    world.proxy.fail_always("SendMessageBatch", Fault::SlowAnswer);
    world.add(25).await;
    eventually("it sends", async || world.proxy.count("SendMessageBatch") > 0).await;
    stopped.signal(Signal::STOP);
    world.proxy.heal("SendMessageBatch");
    assert!(left(&mut world.connection).await.unwrap() > 0, "it has something in hand");

    let other = world.relay().await;
    world.until_sent().await;
    assert!(sent(&other).await > 0);
    world.add(5).await;
    world.until_sent().await;

    stopped.signal(Signal::CONT);
    eventually("it is ready again", async || status_of(&stopped.endpoint("/readyz")).await == Some(200))
        .await;
    for _ in 0..3 {
        world.add(5).await;
        world.until_sent().await;
    }
    stopped.stop().await;
    other.stop().await;
    expect_delivered(&confirmed(&world.proxy), &world.expected);
}
