//! The effect of the store's answers on its health.

use std::sync::Arc;

use drumline::core::{StoreOperation, StoreResult};
use drumline::run::{Event, Observer};
use drumline_store::StoreError;

use super::health::Health;

/// Counts an answer, and records whether there was one. A refusal of a single item is an answer.
pub(super) fn record<T>(
    health: &Arc<Health>,
    observer: &dyn Observer,
    operation: StoreOperation,
    answer: &Result<T, StoreError>,
) {
    observer.observe(&Event::StoreRequest { operation, result: StoreResult::from(answer) });
    match answer {
        Ok(_) | Err(StoreError::Refused(_)) => health.answered(),
        Err(StoreError::Unanswered(error)) => health.failed(error),
    }
}
