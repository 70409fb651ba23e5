//! Transactions that commit long after their rows were written.

use std::collections::BTreeSet;
use std::time::Duration;

use drumline_store::outbox::postgres::{PostgresOutbox, add_in};
use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::{LocalQueue, Setup, eventually_within};
use sqlx::Connection as _;
use url::Url;

use super::world::{add, confirmed, database, expect_delivered, id, job, left, noted_queue, relay};

/// The time limit, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_commits_after_thousands_of_later_ones_is_sent() {
    /// The number of rows that are written, committed and sent while the first transaction is open.
    const LATER: usize = 3_000;
    const GROUPS: usize = 30;
    let Some(url) = database().await else { return };
    PostgresOutbox::migrate(&Url::parse(&url).unwrap()).await.unwrap();
    let queue = LocalQueue::create(Setup { fifo: true, ..Setup::default() }).await;
    let proxy = noted_queue(&queue).await;

    // Its rows have the lowest numbers, and are also the first of the groups that others use.
    let mut slow = PgConnection::connect(&url).await.unwrap();
    let mut open = slow.begin().await.unwrap();
    let early = [job("late", 0), job("late", 1), job("group-0", 0)];
    add_in(&mut open, &early).await.unwrap();

    let worker = relay(&url, &queue.url, &proxy.url()).spawn();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut expected = BTreeSet::new();
    for group in 0..GROUPS {
        let (group, places) = (format!("group-{group}"), 1..=LATER / GROUPS);
        expected.extend(places.clone().map(|place| id(&group, place)));
        add(&mut connection, &group, *places.start()..places.end() + 1).await;
    }
    eventually_within(LONG, "all later ones are sent", async || left(&mut connection).await.unwrap() == 0)
        .await;
    let before = confirmed(&proxy);
    expect_delivered(&before, &expected);

    open.commit().await.unwrap();
    eventually_within(LONG, "the late ones are sent", async || left(&mut connection).await.unwrap() == 0)
        .await;
    let after = confirmed(&proxy);
    let late: Vec<_> = after[before.len()..].iter().map(|message| &*message.job_id).collect();
    let of_its_group: Vec<_> = late.iter().filter(|id| id.starts_with("late:")).collect();
    assert_eq!(of_its_group, [&id("late", 0), &id("late", 1)], "in their order");
    assert!(late.contains(&&*id("group-0", 0)) && late.len() == 3, "{late:?}");
    worker.stop().await;
}
