//! Chains of three steps through workers that are killed again and again: each step happens once by effect, and none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use drumline_store::postgres::sqlx;
use drumline_store::{JobState, Location, Retention, open};
use drumline_tests::{Launch, LocalQueue, Setup, Worker, binary, eventually_within, shared_store};
use serde_json::json;
use sqlx::Connection as _;

use crate::{POSTGRES, REDIS, unique};

/// All of it, with kills and the leases that they leave behind.
const LONG: Duration = Duration::from_secs(300);

/// Short, since every kill leaves one behind.
const LEASE_SECS: u32 = 5;

const STEPS: usize = 3;

/// The steps of each chain, by the number of chain and step: the ids of the jobs that did it.
type Effects = BTreeMap<(u32, u32), BTreeSet<String>>;

fn effects(log: &Path) -> Effects {
    let mut effects = Effects::new();
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        let mut words = line.split(' ');
        let mut number = || words.next().unwrap().parse().unwrap();
        let place = (number(), number());
        effects.entry(place).or_default().insert(words.next().unwrap().to_owned());
    }
    effects
}

/// The whole size takes minutes: by hand, with `DRUMLINE_TEST_FULL`.
fn size(small: usize) -> usize {
    if drumline_store::variable("DRUMLINE_TEST_FULL").is_some() { 1_000 } else { small }
}

/// Runs `chains` chains over this store, which may have a table of effects, and kills both workers `kills` times.
async fn chains(store: &str, has_table: bool, chains: usize, kills: usize) {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("effects");
    // A job that waits for the end of a claim costs a receive each time, and none of them has failed.
    let setup = Setup { visibility_secs: LEASE_SECS, max_receive_count: Some(1_000), ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let round = unique("chain");
    for chain in 0..chains {
        let payload = json!({ "chain": chain, "step": 0, "left": STEPS - 1, "log": log, "fetched": 0 });
        let job = json!({ "type": "chain.step", "jobId": format!("{round}-{chain}"), "payload": payload });
        queue.send(&job.to_string());
    }
    let program = binary("drumline-tests", "chain_worker");
    let start = || -> [Worker; 2] {
        [(), ()].map(|()| {
            let launch = Launch::on(&queue).program(program.clone()).env("DRUMLINE_CONCURRENCY", "16");
            let launch =
                launch.env("DRUMLINE_STORE_URL", store).env("DRUMLINE_RETRY", "exponential(1s,2,2s)");
            let launch = if has_table { launch.env("CHAIN_DATABASE", store) } else { launch };
            launch.spawn()
        })
    };
    let mut workers = start();
    for kill in 1..=kills {
        let enough = chains * STEPS * kill / (kills + 2) + fastrand::usize(0..STEPS);
        eventually_within(LONG, "some steps are done", async || effects(&log).len() >= enough).await;
        for worker in workers {
            worker.kill().await;
        }
        workers = start();
    }
    let all = chains * STEPS;
    eventually_within(LONG, "every step is done", async || effects(&log).len() >= all).await;
    eventually_within(LONG, "the queue is empty", async || queue.count() == 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let effects = effects(&log);
    assert_eq!(effects.len(), all, "no step is lost, and there is none besides");
    for (place, ids) in &effects {
        assert_eq!(ids.len(), 1, "one job is one step, in every attempt: {place:?} {ids:?}");
    }
    let dead = queue.dead();
    assert!(dead.is_empty(), "{} dead: {:?}", dead.len(), dead.first());
    let location: Location = store.parse().unwrap();
    let opened = open(&location, "test".into(), Retention::default()).await.unwrap();
    for id in effects.values().flatten() {
        let records = opened.jobs(id).await.unwrap();
        let [record] = &records[..] else { panic!("{id}: {records:?}") };
        assert_eq!(record.claim.as_ref().unwrap().state, JobState::Done, "{record:?}");
    }
    let runs = std::fs::read_to_string(&log).unwrap().lines().count();
    eprintln!("{all} steps in {:?} with {kills} kills of both workers: {runs} runs", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_over_postgres_have_each_step_once() {
    let Some(server) = shared_store(POSTGRES) else { return };
    let mut database = sqlx::PgConnection::connect(&server).await.unwrap();
    // Its own schema: its workers relay whatever is in their outbox.
    let schema = unique("steps").replace('-', "_");
    let create = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.effects \
         (chain BIGINT, step BIGINT, job TEXT, token BIGINT NOT NULL, PRIMARY KEY (chain, step, job))"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut database).await.unwrap();
    let mut store = url::Url::parse(&server).unwrap();
    store.query_pairs_mut().append_pair("options[search_path]", &schema);
    let count = size(60);
    chains(store.as_str(), true, count, size(3).min(10)).await;

    let rows = format!("SELECT count(*), count(DISTINCT (chain, step)) FROM {schema}.effects");
    let rows: (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(rows)).fetch_one(&mut database).await.unwrap();
    let all = i64::try_from(count * STEPS).unwrap();
    assert_eq!(rows, (all, all), "each step once by effect");
    let outbox = drumline_store::outbox::open(store.as_str(), Duration::ZERO).await.unwrap();
    let lag = outbox.lag().await.unwrap();
    assert_eq!((lag.due, lag.later, lag.parked), (0, 0, 0), "nothing is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_over_redis_have_each_step_once() {
    let Some(store) = shared_store(REDIS) else { return };
    chains(&store, false, size(30).min(300), size(2).min(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_over_a_file_have_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}/jobs.db", folder.path().display());
    chains(&store, false, size(30).min(300), size(2).min(5)).await;
}
