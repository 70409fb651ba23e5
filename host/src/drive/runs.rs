//! The runs of a loop, each with the time of its beginning.

use std::collections::HashMap;
use std::time::Instant;

use drumline::core::{DeliveryId, RunControl};
use foldhash::fast::RandomState;

/// The runs that have not ended.
pub(super) type Runs = HashMap<DeliveryId, Run, RandomState>;

/// A run that has not ended.
pub(super) struct Run {
    pub(super) control: RunControl,
    pub(super) began_at: Instant,
}

/// Drops the run's handler: a run ends with its loop, also if that is dropped half-way.
impl Drop for Run {
    fn drop(&mut self) {
        self.control.abort();
    }
}
