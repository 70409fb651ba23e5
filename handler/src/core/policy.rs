//! The validated numbers for a ledger's decisions.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::core::limits::Percent;
use crate::core::retry::{MAX_VISIBILITY, ReceiveLimit, RetryPolicy};

/// The maximum number of slots of a queue: beyond this, memory and SQS's in-flight quota are the limit, not the setting.
pub const MAX_CONCURRENCY: usize = 10_000;

/// The shortest effective lease: SQS counts visibility in whole seconds.
pub(crate) const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Enough time for a hanging call to be repeated, and for three failing ones.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// The treatment of a queue's deliveries. Fields are public because every combination that [`Policy::check`] passes
/// is meaningful; [`Ledger::new`](crate::core::Ledger::new) checks.
#[derive(Debug, Clone)]
pub struct Policy {
    /// True if message groups are ordered lanes. Only the queue's `.fifo` suffix decides it.
    pub fifo: bool,
    /// True if all of a FIFO queue's messages are one lane: one after the other, and none after one that failed. For Lambda
    /// batches whose groups depend on each other; without effect on a standard queue.
    pub one_lane: bool,
    /// The number of handlers running at once, 1 to 10,000.
    pub concurrency: NonZeroUsize,
    /// The length of a lease: whole seconds, 1 s to 12 h.
    pub lease: Duration,
    /// The time limit of one attempt, more than zero.
    pub handler_timeout: Duration,
    /// The time limits of one attempt of single job types.
    pub handler_timeout_by_type: HashMap<String, Duration>,
    /// The backoff of job types without a separate one.
    pub retry: RetryPolicy,
    /// The backoff of single job types.
    pub retry_by_type: HashMap<String, RetryPolicy>,
    /// The number of failed attempts after which a message fails permanently; `None` leaves that to the redrive policy, which
    /// counts receives.
    pub max_attempts: Option<NonZeroU32>,
    /// The same for single job types.
    pub max_attempts_by_type: HashMap<String, NonZeroU32>,
    /// The receives that the queue allows, after which SQS moves a message to the DLQ.
    pub receives: ReceiveLimit,
    /// The claims of runs.
    pub claims: Claims,
    /// The evidence that makes a message a suspect, which may kill the process.
    pub crash_evidence: CrashEvidence,
    /// The treatment of messages without a handler.
    pub unknown_type: UnknownType,
    /// The destination of permanent failures.
    pub dead_letter: DeadLetterPath,
    /// The share of the slots that one message group of a standard queue may have; without effect on a FIFO queue.
    pub tenant_share: Option<Percent>,
    /// The way to acknowledge to SQS.
    pub acknowledge: Acknowledge,
    /// The time that a batch that is acknowledged by its response waits for SQS to confirm a visibility: the message is in the
    /// response anyway, and is redelivered a little later or earlier than its backoff says.
    pub confirm_within: Duration,
    /// The receives of the ledger; `None` if messages are delivered to it, as on Lambda.
    pub polling: Option<Polling>,
}

/// The claims of runs, and the behaviour while their store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Claims {
    /// No claims are kept.
    #[default]
    Off,
    /// No run starts without its claim, and no message of a done job is deleted without its mark while there is time: no effect
    /// happens twice.
    Required,
    /// If the store does not answer, a run starts without a claim, and a message is deleted without a mark: an effect may
    /// happen twice.
    BestEffort,
}

/// The evidence that makes a message a suspect: one that may have killed the process that ran it. See ADR 0004.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrashEvidence {
    /// Its receives, if this process knows no ending of it: claims are in the memory of one process, or there are none. A
    /// failure in another process counts like a crash.
    #[default]
    Receives,
    /// Claims in a store that outlives the process: only those that were taken over without an ending count. A run without a
    /// claim, while the store does not answer, is judged by its receives.
    Store,
}

/// The treatment of a message of an unknown type, or of a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownType {
    /// Another instance may already know it, because a rolling deploy is in progress.
    #[default]
    Retry,
    /// A permanent failure.
    Reject,
}

/// The destination of permanent failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterPath {
    /// The queue's redrive policy moves the original after its `maxReceiveCount`.
    Redrive,
    /// A copy with the reason is sent to the DLQ; the original is deleted after SQS has confirmed the copy.
    Copy,
    /// There is no DLQ. Nothing is deleted; the message is received again after the longest backoff, and then after twice as
    /// long each time, up to 12 hours, until it expires.
    Nowhere,
}

/// The way to acknowledge to SQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// By deleting the message.
    #[default]
    ByDelete,
    /// By leaving it out of the batch response: the caller deletes it.
    ByResponse,
}

/// The settings of receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// The wait time of one receive: 0 to 20 s.
    pub wait_time: Duration,
}

/// The reason why a set of numbers is not a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPolicy(&'static str);

impl std::fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidPolicy {}

/// The maximum number of messages of a receive. See
/// [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
pub const MAX_RECEIVE: usize = 10;

/// SQS's long polls wait this long at most. See
/// [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
pub const MAX_WAIT_TIME: Duration = Duration::from_secs(20);

impl Policy {
    /// The defaults of a consumer on a standard queue with a DLQ.
    pub fn new(lease: Duration) -> Self {
        Self {
            fifo: false,
            one_lane: false,
            concurrency: NonZeroUsize::new(32).expect("32 is not 0"),
            lease,
            handler_timeout: Duration::from_secs(15 * 60),
            handler_timeout_by_type: HashMap::new(),
            retry: RetryPolicy::default(),
            retry_by_type: HashMap::new(),
            max_attempts: None,
            max_attempts_by_type: HashMap::new(),
            receives: ReceiveLimit::Unknown,
            claims: Claims::Off,
            crash_evidence: CrashEvidence::default(),
            unknown_type: UnknownType::default(),
            dead_letter: DeadLetterPath::Redrive,
            tenant_share: None,
            acknowledge: Acknowledge::default(),
            confirm_within: CONFIRM_WITHIN,
            polling: Some(Polling { wait_time: MAX_WAIT_TIME }),
        }
    }

    /// Checks that the numbers are within their bounds.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        if self.concurrency.get() > MAX_CONCURRENCY {
            return Err(InvalidPolicy("concurrency is at most 10000"));
        }
        if self.lease < SHORTEST_LEASE || self.lease > MAX_VISIBILITY || self.lease.subsec_nanos() != 0 {
            return Err(InvalidPolicy("the visibility timeout is a whole number of seconds, 1s to 12h"));
        }
        let mut timeouts = self.handler_timeout_by_type.values().chain([&self.handler_timeout]);
        if timeouts.any(Duration::is_zero) {
            return Err(InvalidPolicy("the handler timeout is more than nothing"));
        }
        if self.polling.is_some_and(|polling| polling.wait_time > MAX_WAIT_TIME) {
            return Err(InvalidPolicy("the wait time is at most 20s"));
        }
        Ok(())
    }

    /// The timeout of attempts of a job type.
    pub(crate) fn handler_timeout_for(&self, job_type: &str) -> Duration {
        self.handler_timeout_by_type.get(job_type).copied().unwrap_or(self.handler_timeout)
    }

    /// The number of failed attempts of a job type after which a message fails permanently.
    pub fn max_attempts_for(&self, job_type: Option<&str>) -> Option<NonZeroU32> {
        job_type.and_then(|name| self.max_attempts_by_type.get(name)).copied().or(self.max_attempts)
    }

    /// The backoff for a job type.
    pub fn retry_for(&self, job_type: Option<&str>) -> &RetryPolicy {
        job_type.and_then(|name| self.retry_by_type.get(name)).unwrap_or(&self.retry)
    }
}
