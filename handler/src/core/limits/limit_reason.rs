//! The limits that jobs wait for.

/// A limit that jobs wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitReason {
    /// The type has its maximum number of running jobs.
    Concurrency,
    /// All cores of the process are used by jobs that need one.
    Cpu,
    /// The type's rate is used up, for this job's key.
    Rate,
    /// A handler has reported that the service it calls requests a pause.
    Throttled,
    /// Too many jobs of the type have failed.
    Breaker,
    /// An operator has paused the type.
    Operator,
    /// The tenant has its share of the slots.
    Tenant,
    /// The store that keeps the shared rate of the type does not answer.
    RateStore,
}

impl LimitReason {
    /// All reasons, in order.
    pub const ALL: [Self; 8] = [
        Self::Concurrency,
        Self::Cpu,
        Self::Rate,
        Self::Throttled,
        Self::Breaker,
        Self::Operator,
        Self::Tenant,
        Self::RateStore,
    ];

    /// Its name in logs and as a label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Cpu => "cpu",
            Self::Rate => "rate",
            Self::Throttled => "throttled",
            Self::Breaker => "breaker",
            Self::Operator => "operator",
            Self::Tenant => "tenant",
            Self::RateStore => "rate_store",
        }
    }

    /// Returns the reason for which the jobs of a type wait, as text that follows the type.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Concurrency => "as many of its jobs run as may at once",
            Self::Cpu => "every core that the process may use is busy",
            Self::Rate => "its rate is used up for now",
            Self::Throttled => "the service that it calls has asked for a pause",
            Self::Breaker => "too many of its jobs have failed",
            Self::Operator => "an operator has paused it",
            Self::Tenant => "its tenant has its share of the slots",
            Self::RateStore => "the store that keeps its rate does not answer",
        }
    }
}
