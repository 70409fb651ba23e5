//! The idempotency claim: what a run asks for before its handler starts, so that one effect happens once.
//!
//! A claim is a lease on an idempotency key: it has an owner, an expiry that the [ledger](crate::Ledger)'s beat renews,
//! and a counter that grows with every grant. Everything written under a claim is conditional on owner and counter, so
//! an owner that was paused and wakes up late can write nothing any more: the counter is the fencing token that an SQS
//! receipt handle is not. See ADR 0008.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

/// The longest idempotency or lock key, in bytes: what fits into every store (keys of `DynamoDB` end at 2,048).
pub const MAX_KEY_BYTES: usize = 1024;

/// The largest checkpoint, in bytes of JSON. It is written every second or so, and read back with every claim: for
/// positions and sums, not for data.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// The largest stored result, in bytes of JSON: enough for references to what was made.
pub const MAX_RESULT_BYTES: usize = 32 * 1024;

/// What a run asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Under which key the effect happens once; the job's id where the producer named none.
    pub key: Arc<str>,
    /// What must be the same whenever the key is: a hash of the type and the payload, whatever the order and the notation
    /// in which that was written.
    pub payload_hash: u128,
    /// What no two jobs may work on at once.
    pub lock: Option<String>,
    /// Until when, from now, unless it is renewed.
    pub length: Duration,
    /// The job's id.
    pub job_id: Arc<str>,
    /// The job's type.
    pub job_type: Arc<str>,
    /// The queue's name.
    pub queue: Arc<str>,
    /// The message's id. Attempts and verdicts belong to a message: a redrive gives the job a new one, and it begins anew.
    pub message_id: Arc<str>,
    /// How often the message was received.
    pub receive_count: u32,
}

/// A claim that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key, as in the request.
    pub key: Arc<str>,
    /// Who holds it: a name of this process.
    pub owner: Arc<str>,
    /// The fencing token: larger than that of any earlier claim of the key.
    pub counter: u64,
    /// The lock that was acquired with it, and its own fencing token.
    pub lock: Option<(String, u64)>,
    /// The job's id.
    pub job_id: Arc<str>,
}

/// What a store says to a request.
#[derive(Debug, Clone)]
pub enum Admission {
    /// Nobody keeps claims here: the job runs without one.
    Unclaimed,
    /// The claim is ours.
    Granted(Grant),
    /// The job was done before, and this is what it left.
    Done(Option<Box<RawValue>>),
    /// This message has failed for good before, for this reason.
    Condemned(String),
    /// The key is claimed elsewhere, for this long unless it is renewed.
    Held(Duration),
    /// The lock is held elsewhere, for this long unless it is renewed.
    Locked(Duration),
    /// The key stands for another payload, which is done or being worked on.
    Mismatch,
    /// The store does not answer, for this reason.
    Unavailable(String),
}

/// A granted claim, and what is known of the job from earlier attempts.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The claim.
    pub claim: Arc<Claim>,
    /// Which attempt at this message it is.
    pub attempt: NonZeroU32,
    /// What an earlier attempt kept for this one.
    pub checkpoint: Option<Box<RawValue>>,
}

/// How a claim is given up without its job being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surrender {
    /// Whether the attempt is not counted: the run was stopped, and has not failed.
    pub spared: bool,
    /// Why the message has failed for good, where it has.
    pub verdict: Option<String>,
}

/// What a store says to a write under a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It was ours, and the write has happened.
    Ours,
    /// Somebody else's, or nobody's: nothing was written.
    Lost,
}
