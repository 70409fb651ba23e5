//! The messages that were cancelled before they were received.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The maximum number of cancelled messages that are remembered until they are received: the most recent ones.
const MAX_CANCELLED: usize = 1_000;

/// The messages that were cancelled before they were received, with the reasons.
#[derive(Debug, Default)]
pub(super) struct CancelledMessages {
    pub(super) reasons: HashMap<Arc<str>, Arc<str>>,
    /// In the order of their cancellation.
    pub(super) order: VecDeque<Arc<str>>,
}

impl CancelledMessages {
    pub(super) fn add(&mut self, message_id: &str, reason: &str) {
        let message_id: Arc<str> = message_id.into();
        if self.reasons.insert(Arc::clone(&message_id), reason.into()).is_none() {
            self.order.push_back(message_id);
        }
        if self.order.len() > MAX_CANCELLED
            && let Some(oldest) = self.order.pop_front()
        {
            self.reasons.remove(&oldest);
        }
    }
}
