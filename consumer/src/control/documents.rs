//! The documents of the store with orders for all workers.

/// The kind of the documents: one for each target, and one for all orders about jobs.
pub(super) const KIND: &str = "control";

/// The number of tries for a change, if others change the document at the same time.
pub(super) const TRIES: u32 = 5;
