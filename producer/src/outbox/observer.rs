//! The events that a relay reports while it runs.

/// The reason why a job was put back to be sent later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The response of SQS was lost: SQS may have the job, and it is sent again.
    InDoubt,
    /// SQS asks for fewer requests.
    Throttled,
    /// SQS accepts no credentials of this process, or they lack a permission.
    Denied,
    /// SQS cannot be reached, or fails.
    Unreachable,
    /// The queue does not exist, or not in this account and region.
    NoQueue,
    /// SQS has not accepted this job.
    Entry,
    /// The lease of the relay was about to end.
    LeaseEnded,
    /// Any other.
    Other,
}

impl FailureClass {
    /// All classes in order.
    pub const ALL: [Self; 8] = [
        Self::InDoubt,
        Self::Throttled,
        Self::Denied,
        Self::Unreachable,
        Self::NoQueue,
        Self::Entry,
        Self::LeaseEnded,
        Self::Other,
    ];

    /// Returns the name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::NoQueue => "no_queue",
            Self::Entry => "entry",
            Self::LeaseEnded => "lease_ended",
            Self::Other => "other",
        }
    }
}

/// The reason why a job was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParkedClass {
    /// It names no usable queue, and its type has none.
    NoQueue,
    /// The relay's checks refuse it: invalid JSON, a secret, too large, no group for a FIFO queue.
    Refused,
    /// SQS refuses it.
    RefusedBySqs,
}

impl ParkedClass {
    /// All classes in order.
    pub const ALL: [Self; 3] = [Self::NoQueue, Self::Refused, Self::RefusedBySqs];

    /// Returns the name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoQueue => "no_queue",
            Self::Refused => "refused",
            Self::RefusedBySqs => "refused_by_sqs",
        }
    }
}

/// Counts the events of a relay. `queue` is the name of a queue, `None` if it is not known.
pub trait RelayObserver: Send + Sync {
    /// SQS has confirmed jobs.
    fn sent(&self, _queue: &str, _jobs: u64) {}

    /// Jobs were put back, and will be sent later.
    fn failed(&self, _queue: Option<&str>, _class: FailureClass, _jobs: u64) {}

    /// A job was parked.
    fn parked(&self, _queue: Option<&str>, _class: ParkedClass) {}

    /// The outbox has not answered a call, which is repeated.
    fn outbox_unanswered(&self) {}
}

/// An observer that counts nothing.
pub(super) struct NoObserver;

impl RelayObserver for NoObserver {}

/// The counts of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RelaySummary {
    /// The jobs that SQS has confirmed.
    pub sent: u64,
    /// The number of times that a job was put back to be sent later.
    pub put_back: u64,
    /// The jobs that were parked.
    pub parked: u64,
    /// After a drain, the number of jobs that are due but not sent: they failed, or another relay holds them under a lease that
    /// has not ended.
    pub left: u64,
}
