//! The limits of a sender.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::pack::MAX_BATCH_BYTES;

/// The default linger: no caller notices it, and 2,000 messages a second fill a batch in it.
const LINGER: Duration = Duration::from_millis(5);

/// The largest linger. A longer wait would be a delay, for which SQS has a parameter.
const MAX_LINGER: Duration = Duration::from_secs(1);

/// The default capacity: enough for 100 batches in flight, ten times over.
const CAPACITY: usize = 10_000;

/// The default capacity in bytes: 64 of the largest batches.
const CAPACITY_BYTES: usize = 64 * MAX_BATCH_BYTES;

/// The default number of batches in flight. With responses after 10 ms, it allows 8,000 messages a second.
const MAX_IN_FLIGHT: usize = 8;

/// The limits of a [`Sender`](super::Sender).
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
    /// Sets the longest time that a message waits for others to share its request: 5 ms by default, at most 1 s. With zero, a
    /// message leaves immediately, or together with those that queued up while the allowed number of batches was in flight.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger.min(MAX_LINGER);
        self
    }

    /// Sets the number of messages that the sender holds, accepted and without a result: 10,000 by default, at least one.
    /// Further callers wait.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the number of bytes of the messages that the sender holds: 64 MiB by default, at least one message of the largest
    /// size, 1 MiB.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes.clamp(MAX_BATCH_BYTES, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the number of batches in flight to one queue: 8 by default, at least one.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.max_in_flight = batches.max(1);
        self
    }
}
