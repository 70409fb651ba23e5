//! The same jobs in two consumers and a function at once, which are killed from time to time.

use std::time::Duration;

use drumline_store::postgres::sqlx;
use drumline_tests::{
    Answer, App, Counts, Deployment, Ended, Launch, Setup, TestQueue, Worker, binary, can_deploy, eventually,
    eventually_within, shared_store,
};
use serde_json::json;
use sqlx::Connection as _;

use crate::{POSTGRES, REDIS, job, sharing, unique};

/// The time limit, including kills and the leases that they leave behind.
const LONG: Duration = Duration::from_secs(150);

/// Short, because every kill leaves one behind.
const LEASE_SECS: u32 = 6;

async fn queue(name: &str) -> TestQueue {
    // A copy that waits for its turn costs a receive each time, and none of them has failed.
    let setup = Setup { visibility_secs: LEASE_SECS, max_receive_count: Some(1000), ..Setup::default() };
    TestQueue::create(name, setup).await
}

fn two(launch: impl Fn() -> Launch) -> [Worker; 2] {
    [launch().spawn(), launch().spawn()]
}

async fn kill(workers: [Worker; 2]) {
    for worker in workers {
        worker.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_sent_a_thousand_times_is_made_once() {
    /// Requests that never get an answer, because their worker dies.
    const LOST: usize = 3;
    let Some(store) = shared_store(REDIS) else { return };
    if !can_deploy() {
        return;
    }
    let queue = queue("charge").await;
    let provider = App::start({
        let asked = std::sync::atomic::AtomicUsize::new(0);
        move |_| {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                if before < LOST {
                    std::future::pending::<()>().await;
                }
                Answer::ok().body(r#"{"id":"ch_1","status":"succeeded"}"#)
            }
        }
    })
    .await;
    let charge = unique("inv");
    let payload = json!({ "chargeId": charge, "customerId": unique("c"), "amount": 1999, "currency": "EUR" });
    let copies: Vec<String> = (0..1000).map(|_| job("billing.charge", &charge, &payload)).collect();
    queue.send_all(&copies).await;

    let settings = [
        ("DRUMLINE_BILLING_URL", format!("{}/v1/charges", provider.root())),
        // Those that wait for the claim are redelivered soon.
        ("DRUMLINE_RETRY", "exponential(1s,2,2s)".to_owned()),
        ("DRUMLINE_STORE_URL", store.clone()),
    ];
    let launch =
        || settings.iter().fold(Launch::run(&queue), |launch, (name, value)| launch.env(name, value));
    let function = Deployment::of(binary("drumline-lambda", "drumline-lambda"));
    let function = settings.iter().fold(function, |function, (name, value)| function.env(name, value));
    let function = function.create("charge").await;
    let mut workers = two(launch);
    function.feed_from(&queue, 10).await;
    for lost in 1..=LOST {
        // The end of a function cancels its waits if it has the claim.
        eventually_within(LONG, "the provider is asked", async || provider.count() >= lost).await;
        kill(workers).await;
        workers = two(launch);
    }
    eventually_within(LONG, "all copies are gone", async || queue.is_empty().await).await;

    let calls = provider.calls();
    let key = calls[0].header("idempotency-key").unwrap().to_owned();
    assert!(key.contains(&charge), "{key}");
    assert!(
        calls.iter().all(|call| call.header("idempotency-key") == Some(&*key)),
        "one key for all attempts"
    );
    let made = calls.iter().filter(|call| matches!(call.ended, Some((_, Ended::Answered(200))))).count();
    assert_eq!((made, calls.len()), (1, LOST + 1), "charged once, asked once more for each that was killed");
    assert_eq!(queue.dead_count().await, 0);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_written_once_for_each_job_whatever_is_killed() {
    /// Each is sent so often that there are a thousand messages.
    const JOBS: usize = 50;
    const COPIES: usize = 20;
    const KILLS: usize = 5;
    let Some(store) = shared_store(POSTGRES) else { return };
    if !can_deploy() {
        return;
    }
    let mut database = sqlx::PgConnection::connect(&store).await.unwrap();
    let table = unique("rows").replace('-', "_");
    // The table itself does not prevent a second effect.
    let create = format!("CREATE TABLE {table} (job TEXT NOT NULL)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut database).await.unwrap();

    let queue = queue("rows").await;
    let round = unique("round");
    let mut bodies: Vec<String> = (0..JOBS * COPIES)
        .map(|n| {
            let name = format!("{round}-{}", n % JOBS);
            job("row.write", &name, &json!({ "table": table, "row": name }))
        })
        .collect();
    fastrand::shuffle(&mut bodies);
    queue.send_all(&bodies).await;

    let program = binary("drumline-tests", "row_writer");
    let settings = [("DRUMLINE_RETRY", "exponential(1s,2,2s)"), ("DRUMLINE_STORE_URL", store.as_str())];
    let launch = || {
        let launch = Launch::run(&queue).program(program.clone()).env("DRUMLINE_CONCURRENCY", "8");
        settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    };
    let function = settings
        .iter()
        .fold(Deployment::of(program.clone()), |function, (name, value)| function.env(name, value));
    let function = function.create("rows").await;
    let mut workers = two(launch);
    function.feed_from(&queue, 10).await;
    let count = format!("SELECT count(*), count(DISTINCT job) FROM {table}");
    for round in 1..=KILLS {
        let enough = i64::try_from(round * JOBS / (2 * KILLS)).unwrap();
        eventually_within(LONG, "some rows are written", async || {
            let rows: (i64, i64) =
                sqlx::query_as(sqlx::AssertSqlSafe(count.clone())).fetch_one(&mut database).await.unwrap();
            rows.0 >= enough
        })
        .await;
        kill(workers).await;
        workers = two(launch);
    }
    eventually_within(LONG, "all copies are gone", async || queue.is_empty().await).await;
    let rows: (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(count)).fetch_one(&mut database).await.unwrap();
    assert_eq!(rows, (50, 50), "each row once");
    assert_eq!(queue.dead_count().await, 0);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_job_that_is_done_answers_its_duplicates_in_other_processes() {
    let Some(store) = shared_store(REDIS) else { return };
    answers_duplicates_in_other_processes(&store).await;
}

#[tokio::test]
async fn a_file_store_suppresses_duplicates_in_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    answers_duplicates_in_other_processes(&format!("file:{}/jobs.db", folder.path().display())).await;
}

async fn answers_duplicates_in_other_processes(store: &str) {
    let queue = TestQueue::create("answered", Setup::default()).await;
    let app = App::always_ok().await;
    let key = unique("answered");
    let first = sharing(&queue, store).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send(&job("a.b", &key, &json!({ "n": 1 }))).await;
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    first.stop().await;

    let second = sharing(&queue, store).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    // The same payload in another notation, and another payload under the same key.
    queue.send(&format!(r#"{{ "payload":{{"n":1.0}}, "idempotencyKey":"{key}", "type":"a.b" }}"#)).await;
    second.until_logged("already done: deleted without a run", 1).await;
    queue.send(&job("a.b", &key, &json!({ "n": 2 }))).await;
    eventually("the other one is dead", async || queue.dead_count().await == 1).await;
    let failed = second.until_logged("failed for good", 1).await;
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("runs or has run with another payload"), "{reason}");
    assert_eq!(queue.counts().await, Counts::NONE);
    assert_eq!(app.count(), 1);
    assert_eq!(second.metric("drumline_deduplicated_total").await, 1);
    second.stop().await;
}
