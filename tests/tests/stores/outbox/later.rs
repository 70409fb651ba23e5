//! Jobs that wait for their time or for a key, from the command line and from producers, on Redis and PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drumline::Job;
use drumline::core::{ClaimRequest, ClaimResult};
use drumline::message::Identity;
use drumline_producer::outbox::Relay;
use drumline_producer::{Existing, Producer, Receipt, Unique};
use drumline_store::{Location, Retention, Store, outbox};
use drumline_tests::{Finished, Launch, LocalQueue, Setup, client, eventually, shared_store};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::world::{database, relay};
use crate::{REDIS, unique};

/// Returns the available outboxes, each separate for the test.
async fn outboxes() -> Vec<String> {
    let redis = shared_store(REDIS).map(|server| format!("{server}?prefix={}", unique("later")));
    redis.into_iter().chain(database().await).collect()
}

async fn send(queue: &LocalQueue, outbox: &str, args: &[&str]) -> Finished {
    Launch::new(&[&["send", "--queue-url", &queue.url], args].concat())
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("DRUMLINE_OUTBOX_URL", outbox)
        .finish()
        .await
}

fn assert_says(finished: &Finished, status: i32, says: &[&str]) {
    assert_eq!(finished.status, Some(status), "{}", finished.errors());
    for words in says {
        assert!(finished.errors().contains(words), "{words:?} in\n{}", finished.errors());
    }
}

/// Returns the IDs of the jobs in a queue.
fn job_ids(queue: &LocalQueue) -> BTreeSet<String> {
    let id = |body: &str| serde_json::from_str::<Value>(body).unwrap()["jobId"].as_str().unwrap().to_owned();
    queue.endpoint().peek(&queue.url).unwrap().iter().map(|message| id(&message.body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_sends_jobs_of_the_command_line_at_their_time() {
    for outbox in outboxes().await {
        let queue = LocalQueue::create(Setup { fifo: true, ..Setup::default() }).await;
        let job = ["--type", "no.handler", "--payload", "{}", "--group", "g"];
        let due = Timestamp::now() + SignedDuration::from_secs(3);
        let soon =
            send(&queue, &outbox, &[&job[..], &["--at", &due.to_string(), "--output", "json"]].concat())
                .await;
        assert_says(&soon, 0, &["it is in the outbox: a relay (outbox run) sends it when it is due"]);
        let printed: Value = serde_json::from_str(&soon.stdout[0]).unwrap();
        assert_eq!((&printed["type"], &printed["messageId"]), (&Value::from("no.handler"), &Value::Null));
        let printed_due: Timestamp = printed["due"].as_str().unwrap().parse().unwrap();
        assert!(printed_due.duration_since(due).abs() <= SignedDuration::from_secs(1), "{printed}");
        let late = send(&queue, &outbox, &[&job[..], &["--delay", "24h"]].concat()).await;
        assert_says(&late, 0, &[]);
        let past = send(&queue, &outbox, &[&job[..], &["--at", "2001-01-01T00:00:00Z"]].concat()).await;

        let relay = relay(&outbox, &queue.url, &queue.endpoint_url()).spawn();
        let sent = |receipts: &[&Finished]| -> BTreeSet<String> {
            let id = |finished: &&Finished| match serde_json::from_str::<Value>(&finished.stdout[0]) {
                Ok(json) => json["jobId"].as_str().unwrap().to_owned(),
                Err(_) => finished.stdout[0].clone(),
            };
            receipts.iter().map(id).collect()
        };
        eventually("the job whose time has passed is sent", async || job_ids(&queue).len() == 1).await;
        assert!(Timestamp::now() < due, "this machine is too slow for this test");
        assert_eq!(job_ids(&queue), sent(&[&past]));
        eventually("the other one is sent", async || job_ids(&queue).len() == 2).await;
        assert!(Timestamp::now() >= due);
        assert_eq!(job_ids(&queue), sent(&[&past, &soon]));
        relay.stop().await;

        let listed = Launch::new(&["outbox", "ls", "--output", "json"]).env("DRUMLINE_OUTBOX_URL", &outbox);
        let listed = listed.finish().await;
        assert!(
            listed.stdout.len() == 1 && listed.stdout[0].contains(&late.stdout[0]),
            "{:?}",
            listed.stdout
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_file_wait_and_a_resumed_send_adds_none_twice() {
    for outbox in outboxes().await {
        let (queue, folder) = (LocalQueue::create(Setup::default()).await, tempfile::tempdir().unwrap());
        let path = folder.path().join("users.csv");
        let rows = "user,when,after\n1,,\n2,2001-01-01T00:00:00Z,\n3,9999-01-01T00:00:00Z,\n4,tomorrow,\n5,2090-01-01T00:00:00+01:00,\n\
                    6,,2d\n7,,60\n";
        std::fs::write(&path, rows).unwrap();
        let send = async |more: &[&str]| {
            let args = ["send", path.to_str().unwrap(), "--queue-url", &queue.url, "--type", "no.handler"];
            let columns = ["--column", "at=when", "--column", "delay=after"];
            Launch::new(&[&args[..], &columns, more].concat())
                .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
                .env("XDG_STATE_HOME", folder.path().to_str().unwrap())
                .env("DRUMLINE_OUTBOX_URL", &outbox)
                .finish()
                .await
        };
        let first = send(&[]).await;
        let says = [
            "line 4 is not sent: job ",
            "is due after the year 5000",
            "line 5 is not sent: the time: \"tomorrow\" is not a time such as",
            "2 sent, 3 in the outbox, 0 not taken by SQS, 2 refused before sending",
        ];
        assert_says(&first, 64, &says);
        assert_eq!((first.stdout.len(), queue.count()), (5, 2));
        let again = send(&["--resume"]).await;
        assert_says(&again, 64, &["0 sent, 0 not taken by SQS, 2 refused before sending, 5 sent before"]);
        let opened = outbox::open(&outbox, Duration::ZERO).await.unwrap();
        let rows = opened.rows(&outbox::Rows::new(None, 100)).await.unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| first.stdout.contains(&row.job.id)), "{rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_job_with_a_key_is_the_first_one() {
    for outbox in outboxes().await {
        let queue = LocalQueue::create(Setup::default()).await;
        let job = ["--type", "no.handler", "--payload", "{}", "--unique", "shop-7", "--unique-for", "1h"];
        let first = send(&queue, &outbox, &job).await;
        assert_says(&first, 0, &["it is in the outbox"]);
        let second = send(&queue, &outbox, &job).await;
        assert_says(
            &second,
            0,
            &[&format!("nothing was added: job {} holds the key (waiting)", first.stdout[0])],
        );
        assert_eq!(first.stdout, second.stdout);
        let once = relay(&outbox, &queue.url, &queue.endpoint_url()).arg("--once").finish().await;
        assert_eq!(once.status, Some(0), "{}", once.errors());
        let third = send(&queue, &outbox, &job).await;
        assert_says(&third, 0, &["holds the key (sent)"]);
        assert_eq!(
            (third.stdout, job_ids(&queue)),
            (first.stdout.clone(), first.stdout.into_iter().collect())
        );
    }
    let queue = LocalQueue::create(Setup::default()).await;
    let job = ["--type", "no.handler", "--payload", "{}"];
    for (more, says) in [
        (
            &["--unique", "k"][..],
            "a unique job holds its key in an outbox: set DRUMLINE_OUTBOX_URL to postgres://… or redis://…",
        ),
        (&["--at", "2090-01-01T00:00:00Z"], "a job waits for its time in an outbox: set DRUMLINE_OUTBOX_URL"),
        (&["--delay", "16m"], "at most 15m together: set DRUMLINE_OUTBOX_URL"),
        (&["--delay", "1500ms"], "the delay: SQS delays a message by whole seconds"),
    ] {
        assert_says(&send(&queue, "", &[&job[..], more].concat()).await, 64, &[says]);
    }
    assert_eq!(queue.count(), 0);
}

#[derive(Serialize, Deserialize)]
struct Reindex {
    shop: u64,
}

impl Job for Reindex {
    const TYPE: &'static str = "search.reindex";
}

/// Marks a job as done, as its worker does.
async fn finish(store: &dyn Store, job_id: &str) {
    let request = ClaimRequest {
        identity: Arc::new(Identity::new("jobs", Reindex::TYPE, None, job_id)),
        legacy_key: None,
        payload_hash: 1,
        lock: None,
        length: Duration::from_secs(60),
        queue: "jobs".into(),
        message_id: "m".into(),
        receive_count: 1,
    };
    let ClaimResult::Granted(grant) = store.claim(&request).await.unwrap() else {
        panic!("it was not done yet")
    };
    store.finish(&grant.claim, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_callers_adds_the_job_each_time_it_is_done() {
    const ROUNDS: usize = 5;
    const PROCESSES: usize = 3;
    const CALLERS: usize = 15;
    for url in outboxes().await {
        let queue = LocalQueue::create(Setup::default()).await;
        let location: Location = url.parse().unwrap();
        // As in separate processes: each has its own connections.
        let producer = async || {
            let outbox = outbox::open(&url, Duration::ZERO).await.unwrap();
            let store =
                drumline_store::open(&location, "producer".into(), Retention::default()).await.unwrap();
            Producer::new(client(&queue.endpoint_url()), &queue.url).outbox(outbox).store(store)
        };
        let mut producers = Vec::new();
        for _ in 0..PROCESSES {
            producers.push(producer().await);
        }
        let worker = drumline_store::open(&location, "worker".into(), Retention::default()).await.unwrap();
        let mut done = BTreeSet::new();
        for round in 0..ROUNDS {
            let calls = producers.iter().flat_map(|producer| std::iter::repeat_n(producer, CALLERS)).map(
                |producer| {
                    let unique = Unique::until_done(Duration::from_secs(600));
                    tokio::spawn(producer.send(&Reindex { shop: 7 }).unique(unique).into_future())
                },
            );
            let mut receipts: Vec<Receipt> = Vec::new();
            for call in calls.collect::<Vec<_>>() {
                receipts.push(call.await.unwrap().unwrap());
            }
            let new: Vec<&Receipt> = receipts.iter().filter(|receipt| receipt.existing.is_none()).collect();
            let [new] = new[..] else { panic!("round {round}: {} were added", new.len()) };
            let same = |receipt: &Receipt| {
                receipt.job_id == new.job_id && !matches!(receipt.existing, Some(Existing::Replaced))
            };
            assert!(receipts.iter().all(same), "round {round}: {receipts:?}");
            let outbox = outbox::open(&url, Duration::ZERO).await.unwrap();
            let summary = Relay::new(outbox, producers[0].clone()).drain().await.unwrap();
            assert_eq!((summary.sent, summary.parked), (1, 0), "round {round}");
            finish(&*worker, &new.job_id).await;
            assert!(done.insert(new.job_id.clone()), "round {round}: it is another job");
        }
        assert_eq!(job_ids(&queue), done);
    }
}
