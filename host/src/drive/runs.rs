//! The runs of a loop, each with the time of its beginning.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use drumline::core::{DeliveryId, RunControl};
use foldhash::fast::RandomState;

/// The runs that have not ended.
#[derive(Default)]
pub(super) struct Runs {
    running: HashMap<DeliveryId, Run, RandomState>,
    beginnings: Beginnings,
}

/// A run that has not ended.
struct Run {
    control: RunControl,
    began_at: Instant,
}

/// Drops the run's handler: a run ends with its loop, also if that is dropped half-way.
impl Drop for Run {
    fn drop(&mut self) {
        // Nothing is left of a run that has ended, unless its handler has passed its context on.
        if self.control.is_shared() {
            self.control.abort();
        }
    }
}

impl Runs {
    /// Adds a run that begins `now`.
    pub(super) fn begin(&mut self, now: Instant, id: DeliveryId, control: RunControl) {
        self.end(id);
        self.beginnings.add(now);
        self.running.insert(id, Run { control, began_at: now });
    }

    /// Returns the control of a run.
    pub(super) fn control(&self, id: DeliveryId) -> Option<&RunControl> {
        self.running.get(&id).map(|run| &run.control)
    }

    /// Removes a run that has ended, and returns the time of its beginning.
    pub(super) fn end(&mut self, id: DeliveryId) -> Option<Instant> {
        let began_at = self.running.remove(&id)?.began_at;
        self.beginnings.remove(began_at);
        Some(began_at)
    }

    /// Returns the time at which the oldest run began.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.beginnings.first()
    }
}

/// The number of runs by the time of their beginning.
#[derive(Default)]
struct Beginnings(BTreeMap<Instant, usize>);

impl Beginnings {
    fn add(&mut self, began_at: Instant) {
        *self.0.entry(began_at).or_default() += 1;
    }

    fn remove(&mut self, began_at: Instant) {
        if let Some(count) = self.0.get_mut(&began_at) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&began_at);
            }
        }
    }

    fn first(&self) -> Option<Instant> {
        self.0.first_key_value().map(|(began_at, _)| *began_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::drive::branches::now;

    #[test]
    fn a_run_has_a_beginning_until_it_ends() {
        let (mut runs, start) = (Runs::default(), now());
        let id = DeliveryId::default();
        assert_eq!((runs.oldest(), runs.end(id)), (None, None));
        for begun in [start, start + Duration::from_secs(1)] {
            runs.begin(begun, id, RunControl::new());
            assert_eq!(runs.oldest(), Some(begun), "a second run of a delivery has an age of its own");
        }
        assert_eq!(runs.end(id), Some(start + Duration::from_secs(1)));
        assert_eq!((runs.oldest(), runs.control(id).is_none()), (None, true));
    }

    #[test]
    fn the_first_beginning_is_that_of_the_oldest_run_left() {
        let (mut beginnings, start) = (Beginnings::default(), now());
        let at = |secs| start + Duration::from_secs(secs);
        for secs in [0, 0, 1, 2] {
            beginnings.add(at(secs));
        }
        for (ended, first) in [(1, Some(0)), (0, Some(0)), (0, Some(2)), (2, None)] {
            beginnings.remove(at(ended));
            assert_eq!(beginnings.first(), first.map(at), "after the end of {ended}");
        }
    }
}
