//! Dead letters of two queues are counted, and one type of them is fixed and replayed by a command that is killed repeatedly:
//! each effect happens once, and exactly the others are left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName as Name, SendMessageBatchRequestEntry};
use drumline_store::postgres::sqlx;
use drumline_tests::{
    Launch, LocalQueue, Setup, Worker, binary, client, eventually_within, localstack, shared_store,
};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::{POSTGRES, unique};

/// The time limit, including kills and the holds that they leave behind.
const LONG: Duration = Duration::from_secs(400);

const KILLS: usize = 5;

/// The type that is fixed and replayed.
const FIXED: &str = "row.write";

/// Types and reasons: six and nine. `{n}` differs in each letter.
const KINDS: [(&str, &str); 9] = [
    (FIXED, "relation \"rows{n}\" does not exist"),
    (FIXED, "timed out after {n} ms"),
    ("email.send", "no user {n}"),
    ("email.send", "422: mailbox {n} is full"),
    ("image.process", "open /var/images/{n}.png: No such file"),
    ("report.nightly", "no report for 0x{n}0a0b0c"),
    ("report.nightly", "connection refused by 10.0.0.{n}:5432"),
    ("billing.charge", "card ending in {n} was declined"),
    ("lead.enrich", "provider answered {n} times nothing"),
];

/// Two queues with one DLQ, on any server.
struct Origins {
    client: Client,
    endpoint_url: String,
    urls: [String; 2],
    dead_letter_url: String,
    dead_letter_arn: String,
}

impl Origins {
    async fn create(endpoint_url: &str) -> Self {
        let client = client(endpoint_url);
        let name = unique("replayed");
        let make = async |name: String, policy: Option<String>| {
            let request = client.create_queue().queue_name(name).attributes(Name::VisibilityTimeout, "30");
            let request = match policy {
                Some(policy) => request.attributes(Name::RedrivePolicy, policy),
                None => request,
            };
            request.send().await.unwrap().queue_url.unwrap()
        };
        let dead_letter_url = make(format!("{name}-dlq"), None).await;
        let asked = client.get_queue_attributes().queue_url(&dead_letter_url);
        let asked = asked.attribute_names(Name::QueueArn).send().await.unwrap();
        let arn = asked.attributes.unwrap()[&Name::QueueArn].clone();
        // A message moves to the DLQ at the second receive.
        let policy = policy(&arn, 1);
        let urls = [
            make(format!("{name}-a"), Some(policy.clone())).await,
            make(format!("{name}-b"), Some(policy)).await,
        ];
        Self { client, endpoint_url: endpoint_url.to_owned(), urls, dead_letter_url, dead_letter_arn: arn }
    }

    /// Creates letters as workers leave them: sent to one of the queues with the reason of a copy, and received too often.
    async fn bury(&self, bodies: &[(String, String)]) {
        for (index, batch) in bodies.chunks(10).enumerate() {
            let entries = batch.iter().enumerate().map(|(index, (body, reason))| {
                let reason =
                    MessageAttributeValue::builder().data_type("String").string_value(reason).build();
                let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body);
                entry.message_attributes("DrumlineReason", reason.unwrap()).build().unwrap()
            });
            let request = self.client.send_message_batch().queue_url(&self.urls[index % 2]);
            let sent = request.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(sent.failed.is_empty(), "{sent:?}");
        }
        for url in &self.urls {
            let mut empty = 0;
            while empty < 3 {
                let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
                let received = request.visibility_timeout(0).send().await.unwrap();
                empty = if received.messages().is_empty() { empty + 1 } else { 0 };
            }
            // A copy that waits for its turn, because a batch was sent twice, costs a receive each time.
            let request = self.client.set_queue_attributes().queue_url(url);
            request.attributes(Name::RedrivePolicy, policy(&self.dead_letter_arn, 100)).send().await.unwrap();
        }
    }

    /// Returns `drumline dlq ARGS…`, with a folder for journals that outlives it.
    fn dlq(&self, state: &Path, store: &str, args: &[&str]) -> Launch {
        let args: Vec<&str> = ["dlq"].iter().chain(args).copied().collect();
        Launch::new(&args)
            .env("AWS_ENDPOINT_URL", &self.endpoint_url)
            .env("XDG_STATE_HOME", &state.display().to_string())
            .env("DRUMLINE_STORE_URL", store)
            .without("DRUMLINE_SAMPLE_JOBS")
    }

    /// Rows of `dlq stats`.
    async fn stats(&self, state: &Path, store: &str, by: &str) -> Vec<Value> {
        let args = [
            "stats",
            "--dlq-url",
            &self.dead_letter_url,
            "--by",
            by,
            "--output",
            "json",
            "--limit",
            "100000",
        ];
        let finished = self.dlq(state, store, &args).finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the number of letters that are in flight.
    async fn hidden_letters(&self) -> usize {
        let request = self.client.get_queue_attributes().queue_url(&self.dead_letter_url);
        let reply =
            request.attribute_names(Name::ApproximateNumberOfMessagesNotVisible).send().await.unwrap();
        reply.attributes.unwrap()[&Name::ApproximateNumberOfMessagesNotVisible].parse().unwrap()
    }

    /// A worker of each queue that writes a row for each job.
    fn workers(&self, store: &str) -> [Worker; 2] {
        let worker = |url: &String| {
            Launch::new(&["run"])
                .program(binary("drumline-tests", "row_writer"))
                .env("AWS_ENDPOINT_URL", &self.endpoint_url)
                .env("DRUMLINE_QUEUE_URL", url)
                .env("DRUMLINE_WAIT_TIME", "1s")
                .env("DRUMLINE_CONCURRENCY", "32")
                .env("DRUMLINE_STORE_URL", store)
                .env("DRUMLINE_RETRY", "exponential(1s,2,2s)")
                .spawn()
        };
        [worker(&self.urls[0]), worker(&self.urls[1])]
    }
}

fn policy(dead_letter_arn: &str, max_receive_count: u32) -> String {
    json!({ "deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": max_receive_count }).to_string()
}

fn count(rows: &[Value]) -> u64 {
    rows.iter().map(|row| row["count"].as_u64().unwrap()).sum()
}

async fn replayed(endpoint_url: &str, letters: usize) {
    let Some(store) = shared_store(POSTGRES) else { return };
    let mut database = sqlx::PgConnection::connect(&store).await.unwrap();
    let table = unique("rows").replace('-', "_");
    // The table itself does not prevent a second effect.
    let create = format!("CREATE TABLE {table} (job TEXT NOT NULL)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut database).await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let origins = Origins::create(endpoint_url).await;

    let round = unique("round");
    let mut kinds = BTreeMap::new();
    let bodies: Vec<(String, String)> = (0..letters)
        .map(|n| {
            // Half of all are of the type that is fixed.
            let (job_type, reason) = if n % 2 == 0 { KINDS[n / 2 % 2] } else { KINDS[2 + n / 2 % 7] };
            *kinds.entry(job_type).or_insert(0u64) += 1;
            let mut body =
                json!({ "type": job_type, "payload": { "table": "missing", "row": format!("{round}-{n}") } });
            // Some jobs have their own ID, and some are known by their message.
            if n % 3 == 0 {
                body["jobId"] = json!(format!("{round}-job-{n}"));
            }
            (body.to_string(), reason.replace("{n}", &(n % 97).to_string()))
        })
        .collect();
    let left: BTreeSet<&str> =
        bodies.iter().map(|(body, _)| body.as_str()).filter(|body| !body.contains(FIXED)).collect();
    let fixed = kinds[FIXED];
    origins.bury(&bodies).await;

    let by_type = origins.stats(state.path(), &store, "type").await;
    let counts: BTreeMap<&str, u64> =
        by_type.iter().map(|row| (row["type"].as_str().unwrap(), row["count"].as_u64().unwrap())).collect();
    assert_eq!(counts, kinds);
    let by_fingerprint = origins.stats(state.path(), &store, "fingerprint").await;
    assert_eq!(
        (by_fingerprint.len(), count(&by_fingerprint)),
        (KINDS.len(), letters as u64),
        "{by_fingerprint:?}"
    );
    let by_origin = origins.stats(state.path(), &store, "origin").await;
    assert_eq!((by_origin.len(), count(&by_origin)), (2, letters as u64), "{by_origin:?}");

    let workers = origins.workers(&store);
    // A pass over the DLQ must see all letters before the hold of the first ones ends, and LocalStack is slow.
    let hold = size("60s", "20s");
    let (name, set) = (unique("INC"), format!("/payload/table={table}"));
    let replay = [
        "replay",
        "--dlq-url",
        &origins.dead_letter_url,
        "--type",
        FIXED,
        "--set",
        &set,
        "--rate",
        "200/s",
        "--name",
        &name,
        "--hold",
        hold,
        "--yes",
    ];
    let resume = ["replay", "--resume", &name, "--hold", hold, "--yes"];
    let mut running = origins.dlq(state.path(), &store, &replay).spawn();
    let rows = format!("SELECT count(*), count(DISTINCT job) FROM {table}");
    let mut counted = async || -> (i64, i64) {
        sqlx::query_as(sqlx::AssertSqlSafe(rows.clone())).fetch_one(&mut database).await.unwrap()
    };
    for kill in 0..KILLS {
        // Each kill is at another, random point.
        let enough = i64::try_from(fixed).unwrap() * i64::try_from(kill).unwrap() / 8 + fastrand::i64(1..30);
        eventually_within(LONG, "some rows are written", async || counted().await.0 >= enough).await;
        running.kill().await;
        running = origins.dlq(state.path(), &store, &resume).spawn();
    }
    let finished = running.finish_within(LONG).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let all = i64::try_from(fixed).unwrap();
    eventually_within(LONG, "all rows are written", async || counted().await.0 >= all).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(counted().await, (all, all), "each row once");

    // The last killed replay may have hidden some of the others until its hold ends.
    eventually_within(LONG, "no letter is hidden", async || origins.hidden_letters().await == 0).await;
    let export = ["export", "-", "--dlq-url", &origins.dead_letter_url];
    let finished = origins.dlq(state.path(), &store, &export).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let exported: Vec<Value> =
        finished.stdout.iter().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: BTreeSet<&str> = exported.iter().map(|line| line["body"].as_str().unwrap()).collect();
    assert_eq!(exported.len(), left.len(), "{}", finished.errors());
    assert_eq!(found, left, "exactly the others are left");
}

/// Selects the size. The whole size takes minutes: run it by hand, with `DRUMLINE_TEST_FULL`.
fn size<T>(full: T, small: T) -> T {
    if drumline_store::variable("DRUMLINE_TEST_FULL").is_some() { full } else { small }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_has_each_effect_once() {
    let queue = LocalQueue::create(Setup::default()).await;
    replayed(&queue.endpoint_url(), size(20_000, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_has_each_effect_once_on_localstack() {
    replayed(&localstack(), size(20_000, 600)).await;
}
