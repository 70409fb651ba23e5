//! Collects the entries for SQS into batches of ten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::core::call::MAX_BATCH;
use crate::core::ids::DeliveryId;

/// The time that a settlement waits for others to fill its batch, if a whole batch can be expected within that time: while jobs end
/// at a hundred a second or more.
const LINGER: Duration = Duration::from_millis(100);

/// The time that it waits otherwise, for those that end together with it. If the worker is killed in this time, its job runs
/// again.
const GATHER: Duration = Duration::from_millis(5);

/// Settlements of one kind that wait for their call.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The maximum wait of a settlement.
    longest: Duration,
    waiting: VecDeque<DeliveryId>,
    /// The times of the latest ones, as many as fill a batch.
    arrivals: VecDeque<Instant>,
    since: Option<Instant>,
    urgent: bool,
}

impl Batch {
    /// Makes an empty batch, which waits at most a tenth of the lease, so that lingering never loses a lease.
    pub(crate) fn new(lease: Duration) -> Self {
        let (waiting, arrivals) = (VecDeque::new(), VecDeque::with_capacity(MAX_BATCH));
        Self { longest: lease / 10, waiting, arrivals, since: None, urgent: false }
    }

    /// Adds one; an urgent one takes all that wait with it.
    pub(crate) fn push(&mut self, now: Instant, id: DeliveryId, urgent: bool) {
        self.waiting.push_back(id);
        if self.arrivals.len() == MAX_BATCH {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        self.since.get_or_insert(now);
        self.urgent |= urgent;
    }

    /// Returns the next batch to send: a full one, an urgent or overdue one, or any if no further entries will come soon.
    pub(crate) fn take(&mut self, now: Instant, idle: bool) -> Option<Vec<DeliveryId>> {
        let since = self.since?;
        let due = self.waiting.len() >= MAX_BATCH || self.urgent || idle || now >= since + self.linger();
        if !due {
            return None;
        }
        let batch = self.waiting.drain(..self.waiting.len().min(MAX_BATCH)).collect();
        if self.waiting.is_empty() {
            (self.since, self.urgent) = (None, false);
        }
        Some(batch)
    }

    /// Returns the time that the first one waits, by the rate of the latest ones.
    fn linger(&self) -> Duration {
        let fills_soon = match (self.arrivals.front(), self.arrivals.back()) {
            (Some(first), Some(last)) => self.arrivals.len() == MAX_BATCH && *last <= *first + LINGER,
            _ => false,
        };
        let linger = if fills_soon { LINGER } else { GATHER };
        linger.min(self.longest)
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.since.map(|since| since + self.linger())
    }
}
