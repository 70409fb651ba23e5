//! Records of version 0.1 in a store: they count for the same job of the same queue, and for no other.

use drumline_store::postgres::sqlx;
use drumline_tests::{App, Setup, TestQueue, Worker, redis_command, shared_store};
use serde_json::json;
use sqlx::Connection as _;

use crate::{POSTGRES, REDIS, UNRUN, forwarding, runs, unique, until_settled};

/// The hash of `order.placed` with [`PAYLOAD`], as version 0.1 stored it.
const HASH: &str = "cacce539b26fd1f589ba14be3a3dd0fb";

const PAYLOAD: &str = r#"{"id":1}"#;

/// The hash of a message under its own id.
const NO_HASH: &str = "00000000000000000000000000000000";

/// A record of a job that is done, as version 0.1 kept it.
struct Old<'a> {
    key: &'a str,
    queue: &'a str,
    job_type: &'a str,
    hash: &'a str,
    message: &'a str,
}

impl Old<'_> {
    fn write_to_redis(&self, url: &str) {
        let key = format!("{{drumline}}:claim:{}", self.key);
        let fields = [
            ("state", "done"),
            ("key", self.key),
            ("payload", self.hash),
            ("owner", "host-1977-e423fa0e"),
            ("counter", "1"),
            ("until", "1763800000000"),
            ("job", self.key),
            ("type", self.job_type),
            ("queue", self.queue),
            ("message", self.message),
            ("attempts", "1"),
            ("nonce", "4462221059082528729"),
            ("lockcounter", "0"),
        ];
        let mut words = vec!["HSET", &key];
        words.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        redis_command(url, &words);
        redis_command(url, &["PEXPIRE", &key, "604800000"]);
    }

    async fn write_to_postgres(&self, url: &str) {
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        let insert = "INSERT INTO drumline_claims (key, state, owner, counter, claimed_until, expires, payload, job_id, \
                      job_type, queue, message_id, attempts, nonce, lock_counter) VALUES ($1, 'done', \
                      'host-1977-e423fa0e', 1, now(), now() + interval '7 days', $2, $1, $3, $4, $5, 1, 4462221059, 0)";
        let insert = sqlx::query(insert).bind(self.key).bind(self.hash).bind(self.job_type);
        insert.bind(self.queue).bind(self.message).execute(&mut database).await.unwrap();
    }
}

async fn write(variable: &str, url: &str, old: &Old<'_>) {
    if variable == REDIS { old.write_to_redis(url) } else { old.write_to_postgres(url).await }
}

/// Returns a job for each kind of record, with the type and the hash of its record, and the number of runs if old records are
/// read.
fn jobs() -> [(&'static str, &'static str, &'static str, usize); 5] {
    [
        ("same", "order.placed", HASH, 0),
        ("other-queue", "order.placed", HASH, 1),
        ("other-type", "order.paid", HASH, 1),
        ("other-payload", "order.placed", "cacce539b26fd1f589ba14be3a3dd0fc", 1),
        // Version 0.1 did not store sources, so its record may be that of another source.
        ("with-source", "order.placed", HASH, 1),
    ]
}

fn body(name: &str, key: &str) -> String {
    let payload: serde_json::Value = serde_json::from_str(PAYLOAD).unwrap();
    let body = if name == "with-source" {
        json!({ "specversion": "1.0", "type": "order.placed", "source": "/shop", "id": key, "data": payload })
    } else {
        json!({ "type": "order.placed", "jobId": key, "payload": payload })
    };
    body.to_string()
}

/// Runs a duplicate of each job with this setting, and returns the number of runs of each.
async fn duplicates(variable: &str, store: &str, setting: &str) -> (Vec<usize>, Worker, TestQueue) {
    let (queue, app) = (TestQueue::create("old", Setup::default()).await, App::always_ok().await);
    let worker = forwarding(&queue, &app, store).env("DRUMLINE_LEGACY_RECORDS", setting).spawn();
    // By now a database has its tables.
    worker.until_logged("consuming", 1).await;
    let mut bodies = Vec::new();
    for (name, job_type, hash, _) in jobs() {
        let key = unique(name);
        let of = if name == "other-queue" { "another-queue" } else { &*queue.name };
        let old = Old { key: &key, queue: of, job_type, hash, message: "old-message" };
        write(variable, store, &old).await;
        bodies.push(body(name, &key));
    }
    let ids = queue.send_all(&bodies).await;
    until_settled(&[&queue], &[&worker], &app, ids.len()).await;
    (runs(&app, &ids), worker, queue)
}

#[tokio::test]
async fn a_job_that_version_0_1_has_done_does_not_run_again() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let (ran, worker, queue) = duplicates(variable, &store, "read").await;
        assert_eq!(ran, jobs().map(|(.., runs)| runs), "{variable}");
        let unrun = worker.logged(UNRUN);
        assert_eq!(unrun.len(), 1, "{unrun:?}");
        assert_eq!(
            (&unrun[0]["cause"], &unrun[0]["original_queue"]),
            (&"duplicate".into(), &(&*queue.name).into())
        );
        assert_eq!(unrun[0]["original_message_id"], "old-message");
        worker.stop().await;
    }
}

#[tokio::test]
async fn old_records_do_not_count_where_they_are_ignored() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let (ran, worker, _) = duplicates(variable, &store, "ignore").await;
        assert_eq!(ran, [1; 5], "{variable}");
        worker.stop().await;
    }
}

/// Its delete was lost at the time of the upgrade.
#[tokio::test]
async fn a_message_that_version_0_1_has_run_is_deleted_unrun() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let (queue, app) = (TestQueue::create("old-run", Setup::default()).await, App::always_ok().await);
        let other = TestQueue::create("tables", Setup::default()).await;
        let first = forwarding(&other, &app, &store).spawn();
        first.until_logged("consuming", 1).await;
        first.stop().await;
        let id = queue.send(&format!(r#"{{"type":"order.placed","payload":{PAYLOAD}}}"#)).await;
        let old = Old { key: &id, queue: &queue.name, job_type: "order.placed", hash: NO_HASH, message: &id };
        write(variable, &store, &old).await;
        let worker = forwarding(&queue, &app, &store).spawn();
        let entry = worker.until_logged(UNRUN, 1).await.remove(0);
        assert_eq!((&entry["cause"], &entry["message_id"]), (&"redelivered".into(), &(&*id).into()));
        assert_eq!(app.count(), 0, "{variable}");
        worker.stop().await;
    }
}
