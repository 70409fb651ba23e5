//! The state of the limits at one moment, for metrics and for the status of a worker.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use super::limit_reason::LimitReason;
use super::rules::{JobKind, Rate};

/// The limits of one job type at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeSnapshot {
    /// The job type.
    pub job_type: Arc<str>,
    /// The number of its jobs that run with a permit.
    pub running: usize,
    /// The number of its jobs that may run at once, if that is limited.
    pub slots: Option<NonZeroUsize>,
    /// The main need of its jobs.
    pub kind: JobKind,
    /// The rate of its jobs, if it is limited.
    pub rate: Option<RateSnapshot>,
    /// The limits that let none of its jobs start now.
    pub closed: Vec<ClosedLimit>,
    /// The number of messages that wait in hand for each limit, over all queues of the process.
    pub waiting: BTreeMap<LimitReason, usize>,
}

/// The rate of a type at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSnapshot {
    /// The rate.
    pub rate: Rate,
    /// The number of jobs that may start at once; `None` if that differs by key.
    pub tokens: Option<u32>,
    /// The time at which the next job may start, if none may now and that is known.
    pub next: Option<Instant>,
}

/// A limit that lets no job of its type start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLimit {
    /// The limit: throttled, the breaker, or an operator.
    pub reason: LimitReason,
    /// The time at which it was closed; that of the snapshot for an operator's pause, whose time its order has.
    pub since: Instant,
    /// The time at which it opens by itself, if that is known.
    pub until: Option<Instant>,
    /// A text about the cause, for logs. It may quote a handler or an operator.
    pub why: Option<Arc<str>>,
}

impl ClosedLimit {
    /// The closing of an operator's pause, as of a snapshot.
    pub(super) fn by_operator(now: Instant) -> Self {
        Self { reason: LimitReason::Operator, since: now, until: None, why: None }
    }
}

impl TypeSnapshot {
    /// The number of messages that wait in hand for any limit.
    pub fn all_waiting(&self) -> usize {
        self.waiting.values().sum()
    }
}

/// The messages that wait in hand for limits, of all ledgers of the process together.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<(Arc<str>, LimitReason), usize>);

impl Waiting {
    /// One ledger has this many messages that wait for a limit, after `before`.
    pub(super) fn change(&mut self, job_type: &Arc<str>, reason: LimitReason, before: usize, count: usize) {
        let key = (Arc::clone(job_type), reason);
        let all = (self.0.get(&key).copied().unwrap_or_default() + count).saturating_sub(before);
        match all {
            0 => drop(self.0.remove(&key)),
            _ => drop(self.0.insert(key, all)),
        }
    }

    /// Adds the numbers to the snapshots, which are in the order of their types. A type without a state may wait for its tenants.
    pub(super) fn add_to(&self, types: &mut BTreeMap<Arc<str>, TypeSnapshot>) {
        for ((job_type, reason), count) in &self.0 {
            let new = || TypeSnapshot { job_type: Arc::clone(job_type), ..TypeSnapshot::default() };
            types.entry(Arc::clone(job_type)).or_insert_with(new).waiting.insert(*reason, *count);
        }
    }
}
