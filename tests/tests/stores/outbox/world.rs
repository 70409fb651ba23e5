//! The parts of the relays' tests: a separate database, relays as processes, and the jobs that a queue has confirmed.

use std::collections::{BTreeMap, BTreeSet};

use drumline_store::outbox::OutboxJob;
use drumline_store::outbox::postgres::add_in;
use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::{Launch, LocalQueue, Proxy, shared_store};
use serde_json::Value;
use sqlx::Connection as _;

use crate::{POSTGRES, unique};

/// Short, because every kill leaves one behind.
pub(crate) const LEASE: &str = "2s";

/// Returns the URL of a separate database for the test, because the name of the outbox's table is fixed.
pub(crate) async fn database() -> Option<String> {
    let server = shared_store(POSTGRES)?;
    let name = unique("outbox").replace('-', "_");
    let mut connection = PgConnection::connect(&server).await.unwrap();
    execute(&mut connection, format!("CREATE DATABASE {name}")).await;
    let (server, _) = server.rsplit_once('/').unwrap();
    Some(format!("{server}/{name}"))
}

/// Executes the test's own statements.
pub(crate) async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// Returns a relay of the outbox at `outbox_url` into the queue at `queue_url`, whose requests go to `endpoint_url`.
pub(super) fn relay(outbox_url: &str, queue_url: &str, endpoint_url: &str) -> Launch {
    Launch::new(&["outbox", "run", "--lease", LEASE])
        .env("DRUMLINE_OUTBOX_URL", outbox_url)
        .env("DRUMLINE_QUEUE_URL", queue_url)
        .env("AWS_ENDPOINT_URL", endpoint_url)
        .serving()
}

/// Returns a job whose ID contains its place in its group.
pub(super) fn job(group: &str, place: usize) -> OutboxJob {
    let mut job = OutboxJob::new(id(group, place), "count", format!(r#"{{"place":{place}}}"#));
    job.group = Some(group.to_owned());
    job
}

/// Returns the ID of that job.
pub(super) fn id(group: &str, place: usize) -> String {
    format!("{group}:{place:06}")
}

/// Adds the jobs of a group at these places, in one transaction.
pub(super) async fn add(connection: &mut PgConnection, group: &str, places: std::ops::Range<usize>) {
    let jobs: Vec<OutboxJob> = places.map(|place| job(group, place)).collect();
    let mut transaction = connection.begin().await.unwrap();
    add_in(&mut transaction, &jobs).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Returns the number of jobs that wait or are parked.
pub(super) async fn left(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM drumline_outbox WHERE state <> 'sent'")
        .fetch_one(connection)
        .await
}

/// Starts a proxy before the queue that records the confirmed messages.
pub(crate) async fn noted_queue(queue: &LocalQueue) -> Proxy {
    Proxy::start(&queue.endpoint_url()).await
}

/// A message that a queue has accepted.
#[derive(Debug, Clone)]
pub(crate) struct Confirmed {
    pub(crate) job_id: String,
    pub(crate) group: Option<String>,
}

/// Returns the messages that queues behind this proxy have confirmed, in order. Checks that each has the identity of its row.
pub(crate) fn confirmed(proxy: &Proxy) -> Vec<Confirmed> {
    let batches = proxy.answers("SendMessageBatch");
    let mut all = Vec::new();
    for (request, answer) in &batches {
        let successful: BTreeSet<&str> = answer["Successful"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["Id"].as_str())
            .collect();
        let entries = request["Entries"].as_array().into_iter().flatten();
        for entry in entries.filter(|entry| successful.contains(entry["Id"].as_str().unwrap())) {
            all.push(message(entry));
        }
    }
    assert_eq!(proxy.count("SendMessage"), 0, "a relay sends batches");
    all
}

fn message(entry: &Value) -> Confirmed {
    let body: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    let job_id = body["jobId"].as_str().unwrap().to_owned();
    if let Some(deduplication_id) = entry["MessageDeduplicationId"].as_str() {
        assert_eq!(deduplication_id, job_id, "a FIFO queue knows it by the id of its row");
    }
    Confirmed { job_id, group: entry["MessageGroupId"].as_str().map(str::to_owned) }
}

/// Expects each of these jobs at least once and no other, and the first messages of each group in the order of their places.
pub(super) fn expect_delivered(messages: &[Confirmed], expected: &BTreeSet<String>) {
    let delivered: BTreeSet<&str> = messages.iter().map(|message| &*message.job_id).collect();
    let missing: Vec<_> = expected.iter().filter(|id| !delivered.contains(id.as_str())).collect();
    assert!(
        missing.is_empty(),
        "{} of {} are lost, such as {:?}",
        missing.len(),
        expected.len(),
        &missing[..missing.len().min(5)]
    );
    let strange: Vec<_> = delivered.iter().filter(|id| !expected.contains(**id)).collect();
    assert!(
        strange.is_empty(),
        "{} were rolled back, such as {:?}",
        strange.len(),
        &strange[..strange.len().min(5)]
    );
    let mut seen = BTreeSet::new();
    let mut last = BTreeMap::<&str, &str>::new();
    for message in messages {
        let Some(group) = &message.group else { continue };
        if seen.insert(&*message.job_id) {
            let before = last.insert(group, &message.job_id);
            assert!(
                before < Some(&message.job_id),
                "{} came before {}",
                before.unwrap_or_default(),
                message.job_id
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delivered: &[(&str, usize)], expected: &[(&str, usize)]) {
        let messages: Vec<Confirmed> = delivered
            .iter()
            .map(|(group, place)| Confirmed { job_id: id(group, *place), group: Some((*group).to_owned()) })
            .collect();
        expect_delivered(&messages, &expected.iter().map(|(group, place)| id(group, *place)).collect());
    }

    #[test]
    fn a_second_sending_may_come_late() {
        check(&[("a", 0), ("a", 1), ("b", 0), ("a", 0), ("a", 2)], &[("a", 0), ("a", 1), ("a", 2), ("b", 0)]);
    }

    #[test]
    #[should_panic(expected = "1 of 2 are lost")]
    fn a_lost_job_is_seen() {
        check(&[("a", 0)], &[("a", 0), ("a", 1)]);
    }

    #[test]
    #[should_panic(expected = "1 were rolled back")]
    fn a_job_that_was_rolled_back_is_seen() {
        check(&[("a", 0), ("a", 1)], &[("a", 0)]);
    }

    #[test]
    #[should_panic(expected = "a:000001 came before a:000000")]
    fn a_lost_order_is_seen() {
        check(&[("a", 1), ("a", 0)], &[("a", 0), ("a", 1)]);
    }
}
