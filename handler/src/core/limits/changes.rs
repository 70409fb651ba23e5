//! The changes after which a blocked job may start.

use std::sync::atomic::{AtomicU64, Ordering};

use event_listener::{Event, EventListener};

/// The changes after which a blocked job may start: counted for ledgers, and an event for waiting tasks.
#[derive(Debug, Default)]
pub(super) struct Changes {
    count: AtomicU64,
    event: Event,
}

impl Changes {
    /// Records a change, and notifies this many listeners.
    pub(super) fn notify(&self, listeners: usize) {
        self.count.fetch_add(1, Ordering::Release);
        self.event.notify(listeners);
    }

    /// Waits for the next change.
    pub(super) fn listen(&self) -> EventListener {
        self.event.listen()
    }

    /// The number of changes so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}
