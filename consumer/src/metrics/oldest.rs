//! The age of the oldest message that a queue's receives have recently returned.
//!
//! SQS's own `ApproximateAgeOfOldestMessage` leaves out messages that were received three times or more; this one includes
//! them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::labels::ByQueue;

/// The time span of one slot of receives.
const SLOT: Duration = Duration::from_secs(10);

/// The number of slots: the minute before the last receive, and the slot of that receive, so that a reader that reads once a
/// minute misses none.
const SLOTS: usize = 7;

type Seconds = Gauge<f64, AtomicU64>;

/// The gauges of all queues.
#[derive(Default)]
pub(super) struct OldestAges(Family<ByQueue, Seconds>);

impl OldestAges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "drumline_oldest_message_age_seconds",
            "The age of the oldest message among those received in the last minute of receiving, at its receive",
            self.0.clone(),
        );
    }

    /// Returns the age in the gauge of a queue.
    pub(super) fn longest(&self, queue: &ByQueue) -> Duration {
        Duration::try_from_secs_f64(self.0.get_or_create(queue).get()).unwrap_or_default()
    }

    pub(super) fn for_queue(&self, queue: &ByQueue) -> Arc<OldestAge> {
        Arc::new(OldestAge { gauge: self.0.get_or_create(queue).clone(), window: Mutex::default() })
    }
}

/// The gauge of one queue. It changes only with a receive: while no message is received, because no slot is free or the queue
/// is paused, the last value stays the best known one.
pub(super) struct OldestAge {
    gauge: Seconds,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    /// The time of the first receive, at which the first slot begins.
    begun: Option<Instant>,
    newest: usize,
    oldest: [Duration; SLOTS],
    /// The greatest of `oldest`, so that a receive in the same slot as the last one reads no others.
    longest: Duration,
}

impl OldestAge {
    /// Records the age of the oldest message that a receive returned at `now`, or that it returned none.
    pub(super) fn received(&self, age: Option<Duration>, now: Instant) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauge.set(window.received(age.unwrap_or_default(), now).as_secs_f64());
    }
}

impl Window {
    /// Returns the greatest age in the window that ends now.
    fn received(&mut self, age: Duration, now: Instant) -> Duration {
        let since = now.duration_since(*self.begun.get_or_insert(now));
        let slot = usize::try_from(since.as_secs() / SLOT.as_secs()).unwrap_or(usize::MAX).max(self.newest);
        if slot > self.newest {
            for passed in (self.newest + 1..=slot).take(SLOTS) {
                self.oldest[passed % SLOTS] = Duration::ZERO;
            }
            self.newest = slot;
            self.longest = self.oldest.into_iter().max().unwrap_or_default();
        }
        let oldest = &mut self.oldest[slot % SLOTS];
        *oldest = age.max(*oldest);
        self.longest = age.max(self.longest);
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_shown_for_a_minute_of_receives() {
        let (mut window, begun) = (Window::default(), Instant::now());
        let mut at = |secs, age| {
            window.received(Duration::from_secs(age), begun + Duration::from_secs(secs)).as_secs()
        };
        assert_eq!(at(0, 500), 500);
        assert_eq!(at(5, 20), 500);
        assert_eq!(at(30, 90), 500);
        assert_eq!(at(60, 0), 500, "a reader may come once a minute");
        assert_eq!(at(70, 0), 90);
        assert_eq!(at(95, 0), 90);
        assert_eq!(at(100, 0), 0, "drained");
        assert_eq!(at(4000, 7), 7);
        assert_eq!(at(9000, 3), 3, "all slots have passed");
    }

    #[test]
    fn without_receives_the_last_age_stays() {
        let gauges = OldestAges::default();
        let queue = gauges.for_queue(&ByQueue { queue: "jobs".to_owned() });
        let begun = Instant::now();
        let shown = |secs: u64, age: Option<u64>| {
            queue.received(age.map(Duration::from_secs), begun + Duration::from_secs(secs));
            queue.gauge.get()
        };
        assert!((shown(0, Some(40)) - 40.0).abs() < 0.1);
        assert!((shown(3600, None) - 0.0).abs() < 0.1, "the first receive after an hour brought nothing");
    }
}
