//! A store to test, and what tests do with it over and over.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, Ownership, ReleaseClaim};
use drumline::message::Identity;
use drumline_store::{JobRecord, MemoryStore, Retention, Store};
use serde_json::value::RawValue;
use tokio::time::Instant;

/// A claim that expires while the test waits for that.
pub const SHORT: Duration = Duration::from_millis(300);
/// A claim that does not.
pub const LONG: Duration = Duration::from_secs(120);
/// What remains of a long claim on the slowest of machines.
pub const MOST_OF_IT: Duration = Duration::from_secs(60);
/// The queue that jobs come from, its scope, and their type and payload.
pub const QUEUE: &str = "jobs";
pub const SCOPE: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";
pub const TYPE: &str = "image.process";
pub const PAYLOAD: u128 = 0xfedc_ba98_7654_3210_0123_4567_89ab_cdef;
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Memory,
    #[cfg(feature = "redis")]
    Redis,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "dynamodb")]
    DynamoDb,
}

#[derive(Debug, Clone, Copy)]
pub enum Runtime {
    /// Whose time passes at once where all wait.
    Paused,
    Real,
    /// With several threads.
    Threads,
}

/// One test's own part of a store.
#[derive(Clone)]
pub struct World {
    pub kind: Kind,
    /// Where the store is.
    at: Arc<str>,
    /// What no other test's names have.
    mark: Arc<str>,
    memory: Arc<std::sync::OnceLock<Arc<dyn Store>>>,
}

/// Runs a test, where there is a store of this kind.
pub fn run<F: Future<Output = ()>>(kind: Kind, runtime: Runtime, test: impl FnOnce(World) -> F) {
    let Some(at) = place(kind) else { return };
    let mut builder = match runtime {
        Runtime::Paused | Runtime::Real => tokio::runtime::Builder::new_current_thread(),
        Runtime::Threads => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().start_paused(matches!(runtime, Runtime::Paused));
    builder.build().unwrap().block_on(async {
        let world = World {
            kind,
            at: at.into(),
            mark: format!("{:016x}", fastrand::u64(..)).into(),
            memory: Arc::default(),
        };
        #[cfg(feature = "dynamodb")]
        if kind == Kind::DynamoDb {
            crate::dynamodb_only::make_table(&world.at, &world.mark).await;
        }
        test(world).await;
    });
}

/// Where the store of a kind is.
fn place(kind: Kind) -> Option<String> {
    match kind {
        Kind::Memory => Some("memory:".to_owned()),
        #[cfg(feature = "redis")]
        Kind::Redis => variable("DRUMLINE_TEST_REDIS"),
        #[cfg(feature = "postgres")]
        Kind::Postgres => variable("DRUMLINE_TEST_POSTGRES"),
        #[cfg(feature = "dynamodb")]
        Kind::DynamoDb => variable("DRUMLINE_TEST_DYNAMODB"),
    }
}

/// What the environment names; where it does not, says that the calling test is left out.
#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
pub fn variable(name: &str) -> Option<String> {
    let value = drumline_store::variable(name);
    if value.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        writeln!(std::io::stderr(), "skipped: {test}, as {name} is not set").unwrap();
    }
    value
}

impl World {
    /// Where the server is, as the environment has it.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What no other test's names have: also the name of its table.
    #[cfg(feature = "dynamodb")]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The same, elsewhere.
    pub fn moved_to(&self, at: String) -> Self {
        Self { at: at.into(), ..self.clone() }
    }

    /// A process' own connection to the store. In memory there is one process.
    pub async fn worker(&self, owner: &str) -> Arc<dyn Store> {
        self.worker_keeping(owner, Retention::default()).await
    }

    pub async fn worker_keeping(&self, owner: &str, keep: Retention) -> Arc<dyn Store> {
        let owner: Arc<str> = self.name(owner).into();
        if self.kind == Kind::Memory {
            return Arc::clone(self.memory.get_or_init(|| Arc::new(MemoryStore::new(owner, keep))));
        }
        self.open(owner, keep).await.unwrap()
    }

    pub async fn open(
        &self,
        owner: Arc<str>,
        keep: Retention,
    ) -> Result<Arc<dyn Store>, drumline_store::OpenError> {
        match self.kind {
            Kind::Memory => unreachable!("is never opened anew"),
            #[cfg(feature = "redis")]
            Kind::Redis => {
                // The names differ anyway; this shows that a prefix works.
                let url = format!("{}?prefix=drumline-test", self.at);
                drumline_store::open(&url.parse().unwrap(), owner, keep).await
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                let url = format!("{}?pool=2", self.at);
                drumline_store::open(&url.parse().unwrap(), owner, keep).await
            }
            #[cfg(feature = "dynamodb")]
            Kind::DynamoDb => {
                let config = crate::dynamodb_only::config(&self.at).await;
                drumline_store::dynamodb::DynamoStore::with_config(&config, &self.mark, owner, keep)
                    .await
                    .map(|store| Arc::new(store) as Arc<dyn Store>)
            }
        }
    }

    /// Returns true for the store of one process, which dies with its workers.
    pub fn is_memory(&self) -> bool {
        self.kind == Kind::Memory
    }

    /// A name that no other test has.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.mark)
    }

    /// The identity of a job by its id.
    pub fn identity(&self, name: &str) -> Identity {
        Identity::new(SCOPE, TYPE, None, self.name(name))
    }

    /// The request of the first run of a job, whose id is its job id. Records of version 0.1 count, of which there are none.
    pub fn request(&self, name: &str) -> ClaimRequest {
        request_of(self.identity(name))
    }

    /// The same, with a lock.
    pub fn locking(&self, name: &str, lock: &str) -> ClaimRequest {
        ClaimRequest { lock: Some(self.name(lock)), ..self.request(name) }
    }
}

/// The request of the first run of a job.
pub fn request_of(identity: Identity) -> ClaimRequest {
    ClaimRequest {
        payload_hash: PAYLOAD,
        lock: None,
        length: LONG,
        queue: QUEUE.into(),
        message_id: format!("message of {}", identity.id()).into(),
        receive_count: 1,
        legacy_key: Some(Arc::clone(identity.id())),
        identity: Arc::new(identity),
    }
}

/// The same request as SQS delivers it again.
pub fn again(request: &ClaimRequest) -> ClaimRequest {
    ClaimRequest { receive_count: request.receive_count + 1, ..request.clone() }
}

pub fn short(request: ClaimRequest) -> ClaimRequest {
    ClaimRequest { length: SHORT, ..request }
}

pub async fn granted(store: &Arc<dyn Store>, request: &ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        ClaimResult::Granted(grant) => grant,
        other => panic!("not granted but {other:?}"),
    }
}

/// The only job of a job id.
pub async fn only(store: &Arc<dyn Store>, job_id: &str) -> JobRecord {
    let mut jobs = store.jobs(job_id).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

/// Asks until the claim is granted.
pub async fn granted_in_time(store: &Arc<dyn Store>, request: &ClaimRequest) -> Grant {
    let begun = Instant::now();
    loop {
        match store.claim(request).await.unwrap() {
            ClaimResult::Granted(grant) => return grant,
            ClaimResult::Busy(left) | ClaimResult::Locked(left) => {
                assert!(left <= request.length.max(SHORT), "{left:?}");
                assert!(begun.elapsed() < PATIENCE, "is still held");
            }
            other => panic!("not granted but {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a claim has expired, without taking it.
pub async fn expired(store: &Arc<dyn Store>, claim: &Claim) {
    use drumline_store::JobState;
    eventually("a claim expires", async || {
        let record = only(store, claim.identity.job_id()).await;
        record.claim.unwrap().state == JobState::Waiting
    })
    .await;
}

/// Gives a claim up after a failure.
pub async fn fail(store: &Arc<dyn Store>, claim: &Claim) {
    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
    assert_eq!(store.release_claim(claim, &how).await, Ok(Ownership::Kept));
}

pub fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub fn text(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get)
}

/// That an admission is of this kind; tells what it is if not.
#[macro_export]
macro_rules! assert_admission {
    ($admission:expr, $kind:pat $(if $guard:expr)?) => {{
        let admission = &$admission;
        assert!(matches!(admission, $kind $(if $guard)?), "{admission:?}");
    }};
}

/// That nothing can be written under a claim.
pub async fn assert_lost(store: &Arc<dyn Store>, claim: &Claim) {
    let how = ReleaseClaim { count_attempt: true, failure_reason: Some("too late".to_owned()), dead: false };
    assert_eq!(store.renew(claim, LONG).await, Ok(Ownership::Lost));
    assert_eq!(store.checkpoint(claim, &json("\"too late\"")).await, Ok(Ownership::Lost));
    assert_eq!(store.release_claim(claim, &how).await, Ok(Ownership::Lost));
    assert_eq!(store.finish(claim, Some(&json("\"too late\""))).await, Ok(Ownership::Lost));
}
