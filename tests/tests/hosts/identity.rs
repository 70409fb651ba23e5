//! No message is deleted without its own run, in both hosts and on every store: for any messages in any queues, one is deleted
//! without a run only if a run of the same identity has succeeded. Exceptions: S3's test events, which contain no job, and
//! originals whose copy in the DLQ is confirmed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use drumline::core::{JitterMode, Policy};
use drumline::message::{CHANGED_DATA_TYPE, Intake, JOB_ID_ATTRIBUTE};
use drumline::run::NoopObserver;
use drumline::{Context, Failure, Job, RetryPolicy, Router};
use drumline_queue::api::{MessageAttributeValue, MessageAttributes, SendMessage};
use drumline_runtime::ClaimStoreClient;
use drumline_store::dynamodb::DynamoStore;
use drumline_store::{Retention, Store, open};
use drumline_tests::{ModelQueue, REGION, create_table, shared_store};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

/// Scripts with the memory store, whose clock is paused.
const CASES: u32 = 150;

/// Scripts with each shared store, all concurrent, because they mostly wait.
const SHARED_CASES: usize = 12;

/// The lease of a message. A job that finds its identity claimed waits as long as the claim lasts, which is most of a lease:
/// short on a real clock. Other tests cover a lapsed lease.
const PAUSED_LEASE: Duration = Duration::from_secs(3600);
const REAL_LEASE: Duration = Duration::from_secs(3);

/// A message that waits for one of the same identity is received repeatedly.
const MAX_RECEIVE_COUNT: u32 = 100;

/// The owner of all claims.
const WORKER: &str = "worker-1";

/// Two queues with the same scope, and one with another.
const QUEUES: [(&str, &str); 3] = [("a", "arn:a"), ("b", "shared"), ("c", "shared")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Native,
    Key,
    CloudEvent,
    Sns,
    EventBridge,
    /// A replay of a message without its own ID.
    Replay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Done,
    Retry,
    Reject,
    Panic,
}

#[derive(Debug, Clone)]
struct Planned {
    queue: usize,
    kind: Kind,
    job_type: &'static str,
    source: &'static str,
    id: &'static str,
    first: First,
    /// True if the payload differs from that of its identity.
    differs: bool,
}

/// An identity as this test computes it. An absent ID is the message's own.
type Parts = (&'static str, &'static str, &'static str, String);

impl Planned {
    fn identity(&self, index: usize) -> Parts {
        let source = match self.kind {
            Kind::Native | Kind::Key | Kind::Replay => "",
            Kind::CloudEvent | Kind::Sns | Kind::EventBridge => self.source,
        };
        let id = match (self.kind, self.id) {
            (_, "") => format!("message {index}"),
            (Kind::Replay, _) => format!("replay of {}", self.replayed()),
            (_, id) => format!("id {id}"),
        };
        (QUEUES[self.queue].1, self.job_type, source, id)
    }

    /// Returns the ID in an attribute, in which SQS accepts no control characters.
    fn replayed(&self) -> String {
        self.id.replace(char::is_control, "?")
    }

    fn attributes(&self) -> MessageAttributes {
        let data_type = if self.differs { CHANGED_DATA_TYPE } else { "String" };
        let value = MessageAttributeValue {
            data_type: data_type.to_owned(),
            ..MessageAttributeValue::string(self.replayed())
        };
        let is_replay = self.kind == Kind::Replay && !self.id.is_empty();
        is_replay.then(|| (JOB_ID_ATTRIBUTE.to_owned(), value)).into_iter().collect()
    }

    fn body(&self, index: usize) -> String {
        let work = if self.differs { json!({ "index": index }) } else { json!({ "of": self.id }) };
        let (job_type, source, id) = (self.job_type, self.source, self.id);
        let body: Value = match self.kind {
            Kind::Native => json!({ "type": job_type, "jobId": id, "payload": work }),
            Kind::Key => json!({
                "type": job_type, "idempotencyKey": id, "jobId": format!("job {index}"), "payload": work,
            }),
            Kind::CloudEvent => {
                json!({ "specversion": "1.0", "type": job_type, "source": source, "id": id, "data": work })
            }
            Kind::Sns => json!({
                "Type": "Notification", "TopicArn": source, "MessageId": id,
                "Message": json!({ "type": job_type, "payload": work }).to_string(),
            }),
            Kind::Replay => json!({ "type": job_type, "payload": work }),
            Kind::EventBridge => {
                json!({ "id": id, "source": source, "detail-type": job_type, "detail": work })
            }
        };
        body.to_string()
    }
}

fn planned() -> impl Strategy<Value = Planned> {
    let kind = prop_oneof![
        Just(Kind::Native),
        Just(Kind::Key),
        Just(Kind::CloudEvent),
        Just(Kind::Sns),
        Just(Kind::EventBridge),
        Just(Kind::Replay)
    ];
    let first = prop_oneof![5 => Just(First::Done), 2 => Just(First::Retry), 1 => Just(First::Reject), 1 => Just(First::Panic)];
    let job_type = prop_oneof![Just("one"), Just("other")];
    let source = prop_oneof![Just("/a"), Just("/b")];
    // One looks like a part of a key. Two differ in a character that some stores do not accept.
    let id = prop_oneof![Just(""), Just("x"), Just("x\u{0}"), Just("x\u{1}"), Just("1:x,0:"), Just("%{0}")];
    let differs = prop_oneof![9 => Just(false), 1 => Just(true)];
    (0..QUEUES.len(), kind, job_type, source, id, first, differs).prop_map(
        |(queue, kind, job_type, source, id, first, differs)| Planned {
            queue,
            kind,
            job_type,
            source,
            id,
            first,
            // A message without its own ID has its own payload too.
            differs: differs || id.is_empty(),
        },
    )
}

fn script() -> impl Strategy<Value = Vec<Planned>> {
    proptest::collection::vec(planned(), 1..14)
}

#[derive(serde::Deserialize)]
struct One {}

impl Job for One {
    const TYPE: &'static str = "one";
}

#[derive(serde::Deserialize)]
struct Other {}

impl Job for Other {
    const TYPE: &'static str = "other";
}

/// The actions of a script's handlers.
#[derive(Default)]
struct Done {
    /// By message ID, because a handler knows that.
    indices: Mutex<HashMap<String, usize>>,
    runs: Mutex<BTreeMap<usize, u32>>,
    succeeded: Mutex<Vec<usize>>,
}

fn handle(script: &[Planned], done: &Done, context: &Context) -> Result<(), Failure> {
    let index = done.indices.lock().unwrap()[&*context.message().id];
    let is_first = {
        let mut runs = done.runs.lock().unwrap();
        let runs = runs.entry(index).or_default();
        *runs += 1;
        *runs == 1
    };
    match script[index].first {
        First::Reject => return Err(Failure::reject("never")),
        First::Retry if is_first => return Err(Failure::retry("again")),
        First::Panic if is_first => panic!("on purpose"),
        First::Done | First::Retry | First::Panic => {}
    }
    done.succeeded.lock().unwrap().push(index);
    Ok(())
}

fn router(script: &Arc<Vec<Planned>>, done: &Arc<Done>) -> Router {
    let (one, other) = ((script.clone(), done.clone()), (script.clone(), done.clone()));
    Router::new()
        .handle(move |context: Context, _: One| {
            let result = handle(&one.0, &one.1, &context);
            async move { result }
        })
        .handle(move |context: Context, _: Other| {
            let result = handle(&other.0, &other.1, &context);
            async move { result }
        })
}

fn change(policy: &mut Policy) {
    let retry = RetryPolicy::exponential(Duration::from_secs(1), 1.0, Duration::from_secs(1)).unwrap();
    policy.retry = retry.with_jitter(JitterMode::None);
}

#[derive(Debug, Clone, Copy)]
enum Host {
    Consumer,
    Function,
}

/// Runs a script, whose scopes start with `prefix`, and returns the violations.
async fn run(
    host: Host,
    script: Vec<Planned>,
    claim_store: ClaimStoreClient,
    prefix: &str,
    lease: Duration,
) -> Result<(), String> {
    let (script, done) = (Arc::new(script), Arc::new(Done::default()));
    let queues =
        QUEUES.map(|(name, _)| ModelQueue::seeded(fastrand::u64(..), name, lease, MAX_RECEIVE_COUNT));
    let mut ids = Vec::new();
    for (index, message) in script.iter().enumerate() {
        let id = queues[message.queue].send_with(
            &message.body(index),
            SendMessage { message_attributes: message.attributes(), ..SendMessage::default() },
        );
        done.indices.lock().unwrap().insert(id.clone(), index);
        ids.push(id);
    }
    let services = queues.iter().zip(QUEUES).map(|(queue, (_, scope))| {
        let intake = Intake::new(format!("{prefix}{scope}"));
        let (router, claim_store) = (router(&script, &done), claim_store.clone());
        async move {
            match host {
                Host::Consumer => {
                    let consumer = Consumer::of_service(
                        queue,
                        router,
                        change,
                        Arc::new(NoopObserver),
                        claim_store,
                        intake,
                    );
                    queue.drained().await;
                    consumer.stop().await;
                }
                Host::Function => {
                    let queue = queue.clone();
                    let observer = Arc::new(NoopObserver);
                    TestFunction { queue, router, change, observer, claim_store, intake }
                        .until_drained()
                        .await;
                }
            }
        }
    });
    join_all(services).await;
    let dead: HashSet<String> =
        queues.iter().flat_map(ModelQueue::dead).map(|message| message.message_id.to_string()).collect();
    check(&script, &done, &ids, &dead, lease)
}

fn check(
    script: &[Planned],
    done: &Done,
    ids: &[String],
    dead: &HashSet<String>,
    lease: Duration,
) -> Result<(), String> {
    let succeeded = done.succeeded.lock().unwrap();
    let mut wrong = String::new();
    let mut effects: HashMap<Parts, usize> = HashMap::new();
    for index in succeeded.iter() {
        *effects.entry(script[*index].identity(*index)).or_default() += 1;
    }
    for (index, message) in script.iter().enumerate() {
        let identity = message.identity(index);
        let is_dead = dead.contains(&ids[index]);
        if !is_dead && !effects.contains_key(&identity) {
            let _ = writeln!(wrong, "{index} was deleted, and no run of {identity:?} succeeded: {message:?}");
        }
        if is_dead && message.first != First::Reject && !message.differs {
            // Its payload is that of its identity, unless another one was claimed first.
            let differs =
                |(other, planned): (usize, &Planned)| planned.differs && planned.identity(other) == identity;
            if !script.iter().enumerate().any(differs) {
                let _ = writeln!(wrong, "{index} is dead without a reason: {message:?}");
            }
        }
    }
    // On a real clock a lease may lapse on a busy machine, and its job then runs again.
    if lease == PAUSED_LEASE {
        for (identity, count) in effects.iter().filter(|(_, count)| **count > 1) {
            let _ = writeln!(wrong, "{identity:?} had its effect {count} times");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong}of {script:#?}")) }
}

fn on_a_paused_clock(host: Host) {
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    let result = runner.run(&script(), |script| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime
            .block_on(async { run(host, script, in_memory(), "", PAUSED_LEASE).await })
            .map_err(TestCaseError::fail)
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_consumer_deletes_nothing_without_its_own_run() {
    on_a_paused_clock(Host::Consumer);
}

#[test]
fn a_function_deletes_nothing_without_its_own_run() {
    on_a_paused_clock(Host::Function);
}

async fn claims_at(url: &str) -> ClaimStoreClient {
    let store = open(&url.parse().unwrap(), WORKER.into(), Retention::default()).await.unwrap();
    claims_of(store)
}

fn claims_of(store: Arc<dyn Store>) -> ClaimStoreClient {
    ClaimStoreClient::new(store, WORKER.into(), Arc::new(NoopObserver), Handle::current())
}

/// Runs half of the scripts in each host, all concurrent.
async fn on_a_shared_store(claim_store: ClaimStoreClient) {
    let mut runner = TestRunner::new(Config::default());
    let unique = fastrand::u64(..);
    let runs = (0..SHARED_CASES).map(|case| {
        let script = script().new_tree(&mut runner).unwrap().current();
        let host = if case % 2 == 0 { Host::Consumer } else { Host::Function };
        let claim_store = claim_store.clone();
        async move { run(host, script, claim_store, &format!("{unique:x}-{case}-"), REAL_LEASE).await }
    });
    let wrong: Vec<String> = join_all(runs).await.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn redis_has_nothing_deleted_without_its_own_run() {
    if let Some(url) = shared_store("DRUMLINE_TEST_REDIS") {
        on_a_shared_store(claims_at(&url).await).await;
    }
}

#[tokio::test]
async fn postgres_has_nothing_deleted_without_its_own_run() {
    if let Some(url) = shared_store("DRUMLINE_TEST_POSTGRES") {
        on_a_shared_store(claims_at(&url).await).await;
    }
}

#[tokio::test]
async fn dynamodb_has_nothing_deleted_without_its_own_run() {
    let Some(endpoint) = shared_store("DRUMLINE_TEST_DYNAMODB") else { return };
    let table = format!("identity-{:x}", fastrand::u64(..));
    create_table(&endpoint, &table).await;
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static(REGION))
        .endpoint_url(&endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await;
    let store = DynamoStore::with_config(&config, &table, WORKER.into(), Retention::default()).await.unwrap();
    on_a_shared_store(claims_of(Arc::new(store))).await;
}
