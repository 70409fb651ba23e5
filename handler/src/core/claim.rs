//! The idempotency claim: a run requests one before its handler starts, so that one effect happens once.
//!
//! A claim is a lease on an idempotency key: it has an owner, an expiry that the [ledger](crate::core::Ledger) renews, and a
//! counter that grows with every grant. Every write with a claim is conditional on owner and counter, so an owner that was
//! paused and wakes up late can no longer write: the counter is the fencing token that an SQS receipt handle is not. See ADR
//! 0008.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::message::identity::Identity;

/// The longest idempotency or lock key, in bytes, which fits into every store (keys of `DynamoDB` end at 2,048).
pub const MAX_KEY_BYTES: usize = 1024;

/// The largest checkpoint, in bytes of JSON. It is written about every second, and read with every claim: for positions and
/// sums, not for data.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// The largest stored result, in bytes of JSON: enough for references to results.
pub const MAX_RESULT_BYTES: usize = 32 * 1024;

/// The request of a run for a claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The identity of the job: its effect happens once.
    pub identity: Arc<Identity>,
    /// The key under which stores of version 0.1 kept this job. It is looked up if nothing is stored under the identity. Such a
    /// record counts only if its queue, type and payload hash are this request's, and its message too if the identity has a
    /// source, which that version did not keep. `None` skips the look-up.
    pub legacy_key: Option<Arc<str>>,
    /// A hash of the type and the payload, independent of the order and the notation of the payload. One identity must always
    /// have the same hash.
    pub payload_hash: u128,
    /// The name of a lock that no two jobs may hold at once, regardless of their identities.
    pub lock: Option<String>,
    /// The time for which the claim lasts from now, unless it is renewed.
    pub length: Duration,
    /// The queue's name.
    pub queue: Arc<str>,
    /// The message's id. Attempts and failure reasons belong to a message: after a redrive the job has a new message, and a new
    /// budget of attempts.
    pub message_id: Arc<str>,
    /// The number of receives of the message, minus the receives after which it was released for a limit, as far as this
    /// process knows. A store that knows nothing of other processes counts attempts by it.
    pub receive_count: u32,
}

/// A claim that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The identity, as in the request.
    pub identity: Arc<Identity>,
    /// The owner: a name of this process.
    pub owner: Arc<str>,
    /// The fencing token: larger than that of any earlier claim of the identity.
    pub fencing_token: u64,
    /// The lock that was acquired with it, and its own fencing token.
    pub lock: Option<(String, u64)>,
}

/// The run that has done a job, as a store remembers it: the original of a duplicate.
#[derive(Debug, Clone, Default)]
pub struct PriorRun {
    /// The result of the run.
    pub result: Option<Box<RawValue>>,
    /// The job id of the run.
    pub job_id: String,
    /// The message of the run.
    pub message_id: String,
    /// The name of that message's queue.
    pub queue: String,
    /// The process that ran it.
    pub worker: String,
    /// The time of its success, in milliseconds since the Unix epoch; `None` for records of version 0.1.
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
    /// No claims are kept here: the job runs without one.
    Unclaimed,
    /// This run has the claim.
    Granted(Grant),
    /// A run of the same identity has succeeded before.
    Done(Box<PriorRun>),
    /// This message has failed permanently before, for this reason.
    FailedPermanently(String),
    /// The identity is claimed elsewhere, for this long unless it is renewed.
    Busy(Duration),
    /// The lock is held elsewhere, for this long unless it is renewed.
    Locked(Duration),
    /// The identity belongs to another payload, which is done or in progress.
    Mismatch,
}

/// An answer to a run's request for a claim that does not end the run: the run reports it to
/// [`Ledger::claimed`](crate::core::Ledger::claimed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The run has the claim, and continues.
    Granted(Arc<Claim>),
    /// The run has the claim, taken over from a run that never ended. It waits for [`ClaimStep::Begin`].
    TakenOver(Arc<Claim>, Takeover),
    /// The store does not answer, for this reason. The run waits for a [`ClaimStep`].
    Unanswered(String),
}

/// The next step of a run that waits for the ledger's decision about its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStep {
    /// Request the claim again, for this duration.
    Ask(Duration),
    /// Run without a claim.
    RunUnclaimed,
    /// End as [`StoreUnavailable`](crate::core::Ending::StoreUnavailable).
    GiveUp,
    /// Start with the claim that was taken over. The ledger cancels the run at this time.
    Begin(Instant),
}

/// The reason why a job could not be marked as done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkError {
    /// The store does not answer. It is unknown whether the mark was written.
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

/// A granted claim, and the data of earlier attempts at the job.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The claim.
    pub claim: Arc<Claim>,
    /// The number of the attempt at this message.
    pub attempt: NonZeroU32,
    /// The checkpoint of an earlier attempt.
    pub checkpoint: Option<Box<RawValue>>,
    /// The run that had the claim before and never ended, if there was one: its claim expired, and no process has finished or
    /// released it.
    pub takeover: Option<Takeover>,
}

/// A run that never ended, and whose claim was taken over: mostly because its worker has died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// The worker of that run. `None` if an earlier request reached the store and its answer was lost.
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
    /// The claim was still ours, and the write has happened.
    Kept,
    /// The claim belongs to another run, or to none: nothing was written.
    Lost,
}
