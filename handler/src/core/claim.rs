//! The idempotency claim: what a run asks for before its handler starts, so that one effect happens once.
//!
//! A claim is a lease on an idempotency key: it has an owner, an expiry that the [ledger](crate::core::Ledger)'s beat renews,
//! and a counter that grows with every grant. Everything written under a claim is conditional on owner and counter, so
//! an owner that was paused and wakes up late can write nothing any more: the counter is the fencing token that an SQS
//! receipt handle is not. See ADR 0008.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::message::identity::Identity;

/// The longest idempotency or lock key, in bytes: what fits into every store (keys of `DynamoDB` end at 2,048).
pub const MAX_KEY_BYTES: usize = 1024;

/// The largest checkpoint, in bytes of JSON. It is written every second or so, and read back with every claim: for
/// positions and sums, not for data.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// The largest stored result, in bytes of JSON: enough for references to what was made.
pub const MAX_RESULT_BYTES: usize = 32 * 1024;

/// The request of a run for a claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The identity of the job: its effect happens once.
    pub identity: Arc<Identity>,
    /// The key under which stores of version 0.1 kept this job: looked up where nothing is kept under the identity. Such
    /// a record counts only if its queue, type and payload hash are this request's, and its message too if the identity has a
    /// source, which that version did not keep. `None` skips the look-up.
    pub legacy_key: Option<Arc<str>>,
    /// A hash of the type and the payload, independent of the order and the notation in which it was written. One identity
    /// must always have the same.
    pub payload_hash: u128,
    /// The name of a lock that no two jobs may hold at once, regardless of their identities.
    pub lock: Option<String>,
    /// The time for which the claim lasts from now, unless it is renewed.
    pub length: Duration,
    /// The queue's name.
    pub queue: Arc<str>,
    /// The message's id. Attempts and failure reasons belong to a message: after a redrive the job has a new one, and a
    /// fresh budget of attempts.
    pub message_id: Arc<str>,
    /// How often the message was received, less the receives after which it went back for a limit, as far as this process knows: what
    /// a store counts attempts by that knows nothing of other processes.
    pub receive_count: u32,
}

/// A claim that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The identity, as in the request.
    pub identity: Arc<Identity>,
    /// Who holds it: a name of this process.
    pub owner: Arc<str>,
    /// The fencing token: larger than that of any earlier claim of the identity.
    pub fencing_token: u64,
    /// The lock that was acquired with it, and its own fencing token.
    pub lock: Option<(String, u64)>,
}

/// The run that has done a job, as a store remembers it: what a duplicate of the job duplicates.
#[derive(Debug, Clone, Default)]
pub struct PriorRun {
    /// The result that it left.
    pub result: Option<Box<RawValue>>,
    /// The job id that it ran under.
    pub job_id: String,
    /// The message that it ran for.
    pub message_id: String,
    /// The name of that message's queue.
    pub queue: String,
    /// The process that ran it.
    pub worker: String,
    /// When it succeeded, in milliseconds since the Unix epoch; `None` for records of version 0.1.
    pub finished_at_ms: Option<u64>,
}

impl PartialEq for PriorRun {
    fn eq(&self, other: &Self) -> bool {
        let parts = |run: &Self| {
            let result = run.result.as_ref().map(|result| result.get().to_owned());
            let texts = [&run.job_id, &run.message_id, &run.queue, &run.worker].map(Clone::clone);
            (result, texts, run.finished_at_ms)
        };
        parts(self) == parts(other)
    }
}

impl Eq for PriorRun {}

/// The response of a store to a request.
#[derive(Debug, Clone)]
pub enum ClaimResult {
    /// Nobody keeps claims here: the job runs without one.
    Unclaimed,
    /// The claim is ours.
    Granted(Grant),
    /// A run of the same identity has succeeded before.
    Done(Box<PriorRun>),
    /// This message has failed for good before, for this reason.
    FailedPermanently(String),
    /// The identity is claimed elsewhere, for this long unless it is renewed.
    Busy(Duration),
    /// The lock is held elsewhere, for this long unless it is renewed.
    Locked(Duration),
    /// The identity stands for another payload, which is done or being worked on.
    Mismatch,
}

/// An answer to a run's request for a claim that the run does not end with: what it reports to
/// [`Ledger::claimed`](crate::core::Ledger::claimed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The claim is ours, and the run goes on.
    Granted(Arc<Claim>),
    /// The claim is ours, taken over from a run that never ended. The run waits for [`ClaimStep::Begin`].
    TakenOver(Arc<Claim>, Takeover),
    /// The store does not answer, for this reason. The run waits for a [`ClaimStep`].
    Unanswered(String),
}

/// The next step of a run that waits for the ledger's decision about its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStep {
    /// Ask again, for a claim of this length.
    Ask(Duration),
    /// Run without a claim.
    RunUnclaimed,
    /// End as [`StoreUnavailable`](crate::core::Ending::StoreUnavailable).
    GiveUp,
    /// Begin under the claim that was taken over. The ledger cancels the run at this time.
    Begin(Instant),
}

/// The reason why a job could not be marked as done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkError {
    /// The store does not answer. Whether the mark was written is not known.
    Unanswered(String),
    /// The store refuses this mark, and would refuse it again.
    Refused(String),
}

impl std::fmt::Display for MarkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unanswered(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

/// The result of a job, as JSON: at most [`MAX_RESULT_BYTES`].
#[derive(Debug, Clone)]
pub struct JobResult(pub Arc<RawValue>);

impl PartialEq for JobResult {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for JobResult {}

/// A granted claim, and what is known of the job from earlier attempts.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The claim.
    pub claim: Arc<Claim>,
    /// Which attempt at this message it is.
    pub attempt: NonZeroU32,
    /// The checkpoint of an earlier attempt.
    pub checkpoint: Option<Box<RawValue>>,
    /// The run that had the claim before and never ended, if there was one: its claim expired, and no process has
    /// finished or released it.
    pub takeover: Option<Takeover>,
}

/// A run that never ended, and whose claim was taken over: mostly its worker has died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// The worker of that run. `None` if the store has been asked before, and its answer was lost.
    pub former_owner: Option<Arc<str>>,
    /// The number of claims in a row for this message that were taken over without an ending in between: 0 if the run that never
    /// ended was of another message of the job.
    pub unended: u32,
}

/// The release of a claim whose job is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseClaim {
    /// False if the run was stopped and has not failed: then the attempt is not counted.
    pub count_attempt: bool,
    /// The reason if the message has failed permanently.
    pub failure_reason: Option<String>,
    /// The attempt was the message's last: SQS moves the message to the DLQ instead of handing it out again.
    pub dead: bool,
}

/// The response of a store to a write under a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It was ours, and the write has happened.
    Kept,
    /// Somebody else's, or nobody's: nothing was written.
    Lost,
}
