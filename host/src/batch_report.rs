//! The result of a driver's run.

use std::collections::HashSet;
use std::sync::Arc;

use drumline::core::{Disposition, DrainSummary};
use drumline::message::Message;

/// The result of a driver's run: how it ended, and what became of the messages that were handed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// The summary of the drain.
    pub summary: DrainSummary,
    /// The ids of the messages that the host may delete: done, or copied to the DLQ. All others must stay in the queue. Only
    /// messages that were handed in are listed; those of a polled queue are deleted by calls, and have no bound.
    pub deletable: HashSet<Arc<str>>,
    /// True if at least one message failed permanently.
    pub failed_permanently: bool,
}

impl BatchReport {
    /// Adds a final disposition.
    pub(crate) fn finished(&mut self, message: &Message, disposition: Disposition, handed_in: bool) {
        self.failed_permanently |= disposition.failed_permanently();
        if handed_in && disposition.may_be_deleted() {
            self.deletable.insert(Arc::clone(&message.id));
        }
    }
}
