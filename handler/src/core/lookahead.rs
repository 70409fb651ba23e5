//! The number of messages that are requested beyond the free slots. See ADR 0045.
//!
//! While a receive is in flight, jobs end: if jobs are short compared to the way to SQS, far fewer slots are free when a
//! receive is opened than when its messages arrive. Invariants: a message that is received ahead is expected to wait no longer
//! than one receive takes, 50 ms at most; at most as many are received ahead as there are slots, or as one receive returns;
//! jobs that have become slow end it at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;
use crate::core::policy::MAX_RECEIVE;
use crate::core::slots::{EndedJobs, JobTimes};

/// A message that was received ahead and has waited this long for a slot is released to the queue, because another worker may
/// have one. Long compared to the expected wait, so that a busy processor costs no receive.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the maximum number of messages that are received ahead with this many slots.
pub(crate) fn most_ahead(slots: usize) -> usize {
    slots.max(MAX_RECEIVE)
}

/// The messages that are received ahead.
#[derive(Debug, Default)]
pub(crate) struct Lookahead {
    /// The places for them.
    places: usize,
    /// The run times of jobs, and of those that have ended since they were known.
    jobs: Option<JobTimes>,
    ended: EndedJobs,
    /// The messages that arrived when every slot was taken, in their order. Some may have started since.
    waiting: VecDeque<(Instant, DeliveryId)>,
}

impl Lookahead {
    /// A job has kept its slot for this long.
    pub(crate) fn job_ended(&mut self, took: Duration) {
        self.ended.add(took);
    }

    /// The places for messages beyond the slots.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    /// Sets the places to the number of slots that become free while a receive is in flight, by the longest recent jobs; none
    /// if they would not fill a receive. Used places, of which there are this many, stay until they are free.
    pub(crate) fn update(&mut self, slots: usize, receive_takes: Option<Duration>, used: usize) {
        self.jobs = JobTimes::with(self.jobs, std::mem::take(&mut self.ended));
        let places = self.jobs.zip(receive_takes).map_or(0, |(jobs, receive_takes)| {
            places(slots, receive_takes, Duration::from_secs_f64(jobs.longest))
        });
        self.places = places.max(self.places.min(used));
    }

    /// Leaves only the used places, of which there are this many.
    pub(crate) fn close(&mut self, used: usize) {
        self.places = self.places.min(used);
    }

    /// A message arrived at this time, and waits for a slot.
    pub(crate) fn waits(&mut self, at: Instant, id: DeliveryId) {
        self.waiting.push_back((at, id));
    }

    /// A pause ends that kept the messages from starting: they wait from now on.
    pub(crate) fn pause_ended(&mut self, now: Instant) {
        for (at, _) in &mut self.waiting {
            *at = now;
        }
    }

    /// Removes and returns the first message that has waited too long; those that no longer wait are forgotten.
    pub(crate) fn next_overdue(
        &mut self,
        now: Instant,
        still_waits: impl Fn(DeliveryId) -> bool,
    ) -> Option<DeliveryId> {
        while let Some((at, id)) = self.waiting.front().copied() {
            if still_waits(id) && now < at + PATIENCE {
                return None;
            }
            self.waiting.pop_front();
            if still_waits(id) {
                // The slots are kept by jobs of which none has ended in that time.
                self.job_ended(PATIENCE);
                return Some(id);
            }
        }
        None
    }

    /// The time at which the first one has waited too long.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at + PATIENCE)
    }
}

/// Returns the number of slots that become free while a receive is in flight, within bounds.
fn places(slots: usize, receive_takes: Duration, job_takes: Duration) -> usize {
    let most = most_ahead(slots);
    let slot_nanos = receive_takes.as_nanos().saturating_mul(slots as u128);
    let places = match slot_nanos.checked_div(job_takes.as_nanos()) {
        Some(places) => usize::try_from(places).unwrap_or(most).min(most),
        None if receive_takes.is_zero() => 0,
        None => most,
    };
    if places < MAX_RECEIVE { 0 } else { places }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn as_many_are_received_ahead_as_slots_become_free_meanwhile() {
        let table = [
            // slots, a receive takes, jobs take, places
            (32, micros(10_000), micros(100), 32),
            (32, micros(10_000), micros(10_000), 32),
            (32, micros(10_000), micros(20_000), 16),
            (32, micros(10_000), micros(32_000), 10),
            (32, micros(10_000), micros(33_000), 0),
            (32, micros(10_000), Duration::from_secs(1), 0),
            (32, micros(0), micros(0), 0),
            (32, micros(10_000), micros(0), 32),
            (1, micros(10_000), micros(100), 10),
            (1, micros(10_000), micros(2_000), 0),
            (10_000, Duration::MAX, micros(1), 10_000),
        ];
        for (slots, receive_takes, job_takes, expected) in table {
            assert_eq!(
                places(slots, receive_takes, job_takes),
                expected,
                "{slots} slots, {receive_takes:?} a receive, {job_takes:?} a job"
            );
        }
    }

    #[test]
    fn places_in_use_stay_until_they_are_not() {
        let (mut lookahead, receive_takes) = (Lookahead::default(), Some(micros(10_000)));
        lookahead.update(32, receive_takes, 0);
        assert_eq!(lookahead.places(), 0, "no job has ended");
        lookahead.job_ended(micros(100));
        lookahead.update(32, receive_takes, 0);
        assert_eq!(lookahead.places(), 32);
        lookahead.job_ended(Duration::from_secs(1));
        for (used, places) in [(32, 32), (12, 12), (20, 12), (0, 0), (32, 0)] {
            lookahead.update(32, receive_takes, used);
            assert_eq!(lookahead.places(), places, "{used} are used");
        }
        for _ in 0..600 {
            lookahead.job_ended(micros(100));
        }
        lookahead.update(32, receive_takes, 0);
        assert_eq!(lookahead.places(), 32, "the long one was long ago");
        lookahead.close(5);
        assert_eq!(lookahead.places(), 5);
    }
}
