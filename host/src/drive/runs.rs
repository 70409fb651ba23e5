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

/// With its loop, also if that is dropped half-way: what no loop knows of must not go on.
impl Drop for Run {
    fn drop(&mut self) {
        self.control.abort();
    }
}
