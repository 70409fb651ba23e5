//! Writers that commit and roll back while relays, the queue and PostgreSQL are killed and restarted.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_store::outbox::OutboxJob;
use drumline_store::outbox::postgres::{PostgresOutbox, add_in};
use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::{
    Launch, Proxy, Worker, client, eventually, eventually_within, free_address, shared_store,
};
use sqlx::Connection as _;
use tokio::task::{JoinHandle, block_in_place};
use url::Url;
use xtask::service::lasting::{Kind, LastingServer};

use super::world::{confirmed, expect_delivered, job, left, relay};

/// The time limit, including kills and the leases that they leave behind.
const LONG: Duration = Duration::from_secs(240);

const WRITERS: usize = 4;

/// The number of groups of each writer.
const GROUPS: usize = 5;

/// The number of transactions out of ten that are rolled back.
const ROLLED_BACK: usize = 3;

/// Returns the number of written rows, including those rolled back, and of faults. The whole size takes minutes: run it by
/// hand, with `DRUMLINE_TEST_FULL`.
fn size() -> (usize, usize) {
    if drumline_store::variable("DRUMLINE_TEST_FULL").is_some() {
        (60_000, 40)
    } else {
        (4_000, FAULTS.len())
    }
}

/// The faults, in their order, which can repeat.
const FAULTS: [Fault; 8] = [
    Fault::Relay(0),
    Fault::Queue,
    Fault::Database,
    Fault::Relay(1),
    Fault::Queue,
    Fault::BothRelays,
    Fault::Database,
    Fault::Relay(0),
];

#[derive(Debug, Clone, Copy)]
enum Fault {
    Relay(usize),
    BothRelays,
    Queue,
    Database,
}

/// The embedded queue as a process, at a fixed address. Its messages are lost with it; the proxy before it records the
/// confirmed ones.
struct QueueProcess {
    addr: SocketAddr,
    process: Option<Worker>,
}

impl QueueProcess {
    const NAME: &str = "orders.fifo";

    async fn start() -> Self {
        let mut queue = Self { addr: free_address(), process: None };
        queue.restart().await;
        queue
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    async fn restart(&mut self) {
        let process = Launch::new(&["dev", "--queue-only", "--sqs-addr", &self.addr.to_string()]).spawn();
        self.process = Some(process);
        let client = client(&self.url());
        eventually("the queue is there", async || {
            let create = client.create_queue().queue_name(Self::NAME).attributes(Name::FifoQueue, "true");
            create.send().await.is_ok()
        })
        .await;
    }

    async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }
}

/// A transaction that a writer has started.
struct Transaction {
    number: i64,
    ids: Vec<String>,
}

/// Writes transactions until there are enough rows, and returns all of them. Each has a row in the table `causes` that shows if
/// it was committed: after a lost response the writer does not know.
async fn write(url: String, writer: usize, rows: Arc<AtomicUsize>, enough: usize) -> Vec<Transaction> {
    let mut written = Vec::new();
    let mut places = [0; GROUPS];
    let mut connection = None;
    while rows.load(Ordering::Relaxed) < enough {
        let number = i64::try_from(writer * 1_000_000 + written.len()).unwrap();
        let group = fastrand::usize(..GROUPS);
        let count = fastrand::usize(1..=15);
        let name = format!("group-{writer}-{group}");
        // Jobs without a group go to the other queue.
        let jobs: Vec<OutboxJob> = (0..count)
            .map(|index| {
                let mut job = job(&name, places[group] + index);
                if index % 5 == 4 {
                    (job.group, job.queue) = (None, Some("jobs".to_owned()));
                }
                job
            })
            .collect();
        let ids = jobs.iter().map(|job| job.id.clone()).collect();
        written.push(Transaction { number, ids });
        places[group] += count;
        rows.fetch_add(count, Ordering::Relaxed);
        if let Err(error) = transact(&mut connection, &url, number, &jobs).await {
            // PostgreSQL is down: the connection is no longer usable.
            drop(error);
            connection = None;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..30))).await;
    }
    written
}

async fn transact(
    connection: &mut Option<PgConnection>,
    url: &str,
    number: i64,
    jobs: &[OutboxJob],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(PgConnection::connect(url).await?),
    };
    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO causes VALUES ($1)").bind(number).execute(&mut *transaction).await?;
    add_in(&mut transaction, jobs).await?;
    if fastrand::usize(..10) < ROLLED_BACK {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(())
}

/// The processes to kill.
struct Processes {
    database: LastingServer,
    queue: QueueProcess,
    relays: [Option<Worker>; 2],
    proxy: Proxy,
}

impl Processes {
    fn relay(&self) -> Worker {
        let queue_url = format!("{}/000000000000/{}", self.proxy.url(), QueueProcess::NAME);
        relay(&self.database.url(), &queue_url, &self.proxy.url()).spawn()
    }

    async fn kill_relay(&mut self, index: usize) {
        if let Some(relay) = self.relays[index].take() {
            relay.kill().await;
        }
    }

    async fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Relay(index) => {
                self.kill_relay(index).await;
                self.relays[index] = Some(self.relay());
            }
            Fault::BothRelays => {
                for index in [0, 1] {
                    self.kill_relay(index).await;
                }
                self.relays = [Some(self.relay()), Some(self.relay())];
            }
            Fault::Queue => {
                self.queue.kill().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.queue.restart().await;
            }
            Fault::Database => {
                block_in_place(|| self.database.kill());
                tokio::time::sleep(Duration::from_millis(300)).await;
                block_in_place(|| self.database.restart()).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_row_is_sent_in_order_whatever_is_killed() {
    // Its own server, if the machine has the programs.
    if shared_store("DRUMLINE_TEST_POSTGRES_BIN").is_none() {
        return;
    }
    let database = block_in_place(|| LastingServer::start(Kind::Postgres, "outbox")).unwrap();
    let url = database.url();
    PostgresOutbox::migrate(&Url::parse(&url).unwrap()).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE causes (number bigint PRIMARY KEY)").execute(&mut connection).await.unwrap();
    drop(connection);
    let queue = QueueProcess::start().await;
    let proxy = Proxy::start(&queue.url()).await;
    let mut processes = Processes { database, queue, relays: [None, None], proxy };
    processes.relays = [Some(processes.relay()), Some(processes.relay())];

    let (rows, (enough, faults)) = (Arc::new(AtomicUsize::new(0)), size());
    let writers: Vec<JoinHandle<Vec<Transaction>>> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(url.clone(), writer, Arc::clone(&rows), enough)))
        .collect();
    for (index, fault) in FAULTS.into_iter().cycle().take(faults).enumerate() {
        // While rows are written and sent.
        let threshold = enough * (index + 1) / (faults + 1);
        let confirmed_before = confirmed(&processes.proxy).len();
        eventually_within(LONG, "rows are written and sent", async || {
            rows.load(Ordering::Relaxed) >= threshold && confirmed(&processes.proxy).len() > confirmed_before
        })
        .await;
        processes.suffer(fault).await;
    }
    let mut transactions = Vec::new();
    for writer in writers {
        transactions.extend(writer.await.unwrap());
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    eventually_within(LONG, "the outbox is empty", async || left(&mut connection).await.unwrap() == 0).await;
    let committed: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM causes").fetch_all(&mut connection).await.unwrap();
    let committed: BTreeSet<i64> = committed.into_iter().collect();
    let expected: BTreeSet<String> = transactions
        .iter()
        .filter(|transaction| committed.contains(&transaction.number))
        .flat_map(|transaction| transaction.ids.iter().cloned())
        .collect();
    assert!(committed.len() < transactions.len() * 9 / 10, "some are rolled back");
    assert!(expected.len() > enough / 2, "most are committed");
    let messages = confirmed(&processes.proxy);
    expect_delivered(&messages, &expected);
    // A kill sends the messages in flight once more, and no others.
    assert!(
        messages.len() < expected.len() * 3 / 2,
        "{} messages of {} rows",
        messages.len(),
        expected.len()
    );
    for relay in processes.relays.into_iter().flatten() {
        relay.stop().await;
    }
}
