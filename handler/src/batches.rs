//! What is to be said to SQS, gathered into batches of ten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::call::MAX_BATCH;
use crate::delivery::DeliveryId;

/// How long a settlement waits for others to fill its batch. It holds no place of a running job, so it costs a little
/// memory only; a tenth of a second fills batches from about a hundred jobs a second on.
const LINGER: Duration = Duration::from_millis(100);

/// Settlements of one kind that wait for their call.
#[derive(Debug)]
pub(crate) struct Batch {
    linger: Duration,
    waiting: VecDeque<DeliveryId>,
    since: Option<Instant>,
    urgent: bool,
}

impl Batch {
    /// Waits a tenth of the lease at most, so that lingering never loses one.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { linger: LINGER.min(lease / 10), waiting: VecDeque::new(), since: None, urgent: false }
    }

    /// Adds one; an urgent one takes all that wait with it.
    pub(crate) fn push(&mut self, now: Instant, id: DeliveryId, urgent: bool) {
        self.waiting.push_back(id);
        self.since.get_or_insert(now);
        self.urgent |= urgent;
    }

    /// The next batch that should go: a full one, an urgent or overdue one, or any where nothing else will come soon.
    pub(crate) fn take(&mut self, now: Instant, idle: bool) -> Option<Vec<DeliveryId>> {
        let since = self.since?;
        let due = self.waiting.len() >= MAX_BATCH || self.urgent || idle || now >= since + self.linger;
        if !due {
            return None;
        }
        let batch = self.waiting.drain(..self.waiting.len().min(MAX_BATCH)).collect();
        if self.waiting.is_empty() {
            (self.since, self.urgent) = (None, false);
        }
        Some(batch)
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.since.map(|since| since + self.linger)
    }
}
