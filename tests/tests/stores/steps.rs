//! Chains of three steps in workers that are killed repeatedly: the effect of each step happens once, and none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use drumline_store::postgres::sqlx;
use drumline_store::{JobState, Location, Retention, open};
use drumline_tests::{Launch, LocalQueue, Setup, Worker, binary, eventually_within, shared_store};
use serde_json::json;
use sqlx::Connection as _;

use crate::{POSTGRES, REDIS, unique};

/// The time limit, including kills and the leases that they leave behind.
const LONG: Duration = Duration::from_secs(300);

/// Short, because every kill leaves one behind.
const LEASE_SECS: u32 = 5;

const STEPS: usize = 3;

const CONCURRENCY: usize = 16;

/// The runs of steps, one row each: only the claim keeps a step from a second run.
const EFFECTS: &str =
    "CREATE TABLE effects (chain bigint, step bigint, job text, token bigint, PRIMARY KEY (job, token))";

/// Counts marks and added jobs, in the transactions that write them.
const WATCHED: &str = "
    CREATE TABLE marks (job text);
    CREATE FUNCTION count_mark() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO marks VALUES (NEW.job_id); RETURN NULL; END $$;
    CREATE TRIGGER count_mark AFTER UPDATE ON drumline_claims_v2 FOR EACH ROW
      WHEN (NEW.state = 'done' AND OLD.state <> 'done') EXECUTE FUNCTION count_mark();
    CREATE TABLE adds (job text);
    CREATE FUNCTION count_add() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO adds VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER count_add AFTER INSERT ON drumline_outbox FOR EACH ROW EXECUTE FUNCTION count_add();";

/// The steps whose last run is the one that marked them.
const LAST_RUNS: &str = "
    SELECT count(*), count(DISTINCT (chain, step))
    FROM (SELECT chain, step, job, max(token) AS token FROM effects GROUP BY chain, step, job) AS last
    JOIN drumline_claims_v2 AS claim ON claim.job_id = last.job AND claim.counter = last.token AND claim.state = 'done'";

/// The steps of each chain, by the numbers of chain and step: the IDs of the jobs that did them.
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

/// Selects the size. The whole size takes minutes: run it by hand, with `DRUMLINE_TEST_FULL`.
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
            let launch = Launch::on(&queue)
                .program(program.clone())
                .env("DRUMLINE_CONCURRENCY", &CONCURRENCY.to_string());
            let launch =
                launch.env("DRUMLINE_STORE_URL", store).env("DRUMLINE_RETRY", "exponential(1s,2,2s)");
            if has_table {
                launch.env("CHAIN_DATABASE", store).env("DRUMLINE_OUTBOX_RELAY", "on").spawn()
            } else {
                launch.spawn()
            }
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
    assert_eq!(effects.len(), all, "no step is lost, and there are no others");
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
    #[expect(clippy::print_stderr, reason = "figures of a run by hand")]
    {
        eprintln!("{all} steps in {:?} with {kills} kills of both workers: {runs} runs", begun.elapsed());
    }
}

async fn execute(database: &mut sqlx::PgConnection, statements: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(database).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_over_postgres_have_each_step_once() {
    let Some(server) = shared_store(POSTGRES) else { return };
    let mut database = sqlx::PgConnection::connect(&server).await.unwrap();
    // A separate schema, because its workers relay everything in their outbox.
    let schema = unique("steps").replace('-', "_");
    execute(&mut database, format!("CREATE SCHEMA {schema}; SET search_path = {schema}; {EFFECTS}")).await;
    let mut store = url::Url::parse(&server).unwrap();
    store.query_pairs_mut().append_pair("options[search_path]", &schema);
    // Creates the tables, so that they can be watched.
    let location: Location = store.as_str().parse().unwrap();
    drop(open(&location, "test".into(), Retention::default()).await.unwrap());
    execute(&mut database, WATCHED.to_owned()).await;
    let (count, kills) = (size(60), size(3).min(10));
    chains(store.as_str(), true, count, kills).await;

    let all = i64::try_from(count * STEPS).unwrap();
    let mut ask = async |query: &'static str| -> (i64, i64) {
        sqlx::query_as(query).fetch_one(&mut database).await.unwrap()
    };
    let marks = ask("SELECT count(*), count(DISTINCT job) FROM marks").await;
    assert_eq!(marks, (all, all), "each step is marked once");
    let added = all - i64::try_from(count).unwrap();
    // A job may be added again under its ID, by a call whose response was lost.
    let (_, adds) = ask("SELECT count(*), count(DISTINCT job) FROM adds").await;
    assert_eq!(adds, added, "the next jobs are added under one id each, and no others");
    assert_eq!(ask(LAST_RUNS).await, (all, all), "no step runs again after its mark");
    // A run that no kill ended is the only one of its step.
    let (runs, _) = ask("SELECT count(*), 0::bigint FROM effects").await;
    let cut_short = i64::try_from(kills * 2 * CONCURRENCY).unwrap();
    assert!((all..=all + cut_short).contains(&runs), "{runs} runs of {all} steps");
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
