//! The bounds of a sender.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::pack::MAX_BATCH_BYTES;

/// A wait that no caller notices, and in which 2,000 messages a second fill a batch.
const LINGER: Duration = Duration::from_millis(5);

/// More than a second of linger would be a delay, for which SQS has a parameter of its own.
const MAX_LINGER: Duration = Duration::from_secs(1);

/// Enough for 100 batches in flight, ten times over.
const CAPACITY: usize = 10_000;

/// 64 of the largest batches.
const CAPACITY_BYTES: usize = 64 * MAX_BATCH_BYTES;

/// With answers after 10 ms, 8,000 messages a second.
const MAX_IN_FLIGHT: usize = 8;

/// The bounds of a [`Sender`](super::Sender).
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::SenderOptions;
///
/// let options = SenderOptions::default().linger(Duration::from_millis(20)).capacity(1_000);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SenderOptions {
    pub(super) linger: Duration,
    pub(super) capacity: usize,
    pub(super) capacity_bytes: usize,
    pub(super) max_in_flight: usize,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            linger: LINGER,
            capacity: CAPACITY,
            capacity_bytes: CAPACITY_BYTES,
            max_in_flight: MAX_IN_FLIGHT,
        }
    }
}

impl SenderOptions {
    /// Sets the longest time that a message waits for others to share its request: 5 ms by default, 1 s at most. With zero, a message
    /// leaves at once, or together with those that have queued up while as many batches as allowed were in flight.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger.min(MAX_LINGER);
        self
    }

    /// Sets the number of messages that the sender holds, accepted and not yet answered: 10,000 by default, one at least. Further callers
    /// wait.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the bytes of the messages that the sender holds: 64 MiB by default, and at least one message of the largest size, 1 MiB.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes.clamp(MAX_BATCH_BYTES, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the number of batches to one queue that are in flight at a time: 8 by default, one at least.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = batches.max(1);
        self
    }
}
