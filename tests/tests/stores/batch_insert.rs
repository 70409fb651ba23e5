//! Rows that a batch handler inserts, many in one transaction with the marks of their jobs: each once, through all kills.

use std::time::Duration;

use drumline_store::postgres::sqlx::{self, Connection as _};
use drumline_tests::{Launch, LocalQueue, Setup, binary, eventually_within, shared_store};
use serde_json::json;

use crate::{POSTGRES, job, unique};

/// `cargo xtask bench inserting` has the full size.
const JOBS: usize = 1_000;
/// The number of messages of each job.
const COPIES: usize = 2;
const KILLS: usize = 3;

/// The time limit, including the leases that kills leave behind.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_batches_are_inserted_once_whatever_is_killed() {
    let Some(store) = shared_store(POSTGRES) else { return };
    let mut database = sqlx::PgConnection::connect(&store).await.unwrap();
    let table = unique("inserted").replace('-', "_");
    // The table itself does not prevent a second effect.
    let create = format!("CREATE TABLE {table} (job TEXT NOT NULL)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut database).await.unwrap();

    let setup = Setup { visibility_secs: 6, max_receive_count: Some(1000), ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let round = unique("round");
    for n in 0..JOBS * COPIES {
        let name = format!("{round}-{}", n % JOBS);
        queue.send(&job("row.insert", &name, &json!({ "table": table, "row": name })));
    }
    let program = binary("drumline-tests", "row_writer");
    let launch = || {
        Launch::on(&queue)
            .program(program.clone())
            .env("DRUMLINE_CONCURRENCY", "100")
            .env("DRUMLINE_RETRY", "exponential(1s,2,2s)")
            .env("DRUMLINE_STORE_URL", &store)
            .spawn()
    };
    let mut worker = launch();
    let count = format!("SELECT count(*), count(DISTINCT job), count(DISTINCT xmin::text) FROM {table}");
    for kill in 1..=KILLS {
        let enough = i64::try_from(kill * JOBS / (KILLS + 2)).unwrap();
        eventually_within(LONG, "some rows are inserted", async || {
            let query = sqlx::query_as::<_, (i64, i64, i64)>(sqlx::AssertSqlSafe(count.clone()));
            query.fetch_one(&mut database).await.unwrap().0 >= enough
        })
        .await;
        worker.kill().await;
        worker = launch();
    }
    eventually_within(LONG, "all copies are gone", async || queue.count() == 0).await;
    let query = sqlx::query_as::<_, (i64, i64, i64)>(sqlx::AssertSqlSafe(count));
    let (rows, distinct, transactions) = query.fetch_one(&mut database).await.unwrap();
    assert_eq!((rows, distinct), (1_000, 1_000), "each row once");
    assert!(transactions < 300, "many rows in one transaction: {transactions} for {rows} rows");
    assert!(queue.dead().is_empty());
    worker.stop().await;
}
