//! The deliveries in hand that wait for a lock: for each lock, the one that has waited longest makes the next request.
//!
//! A run whose lock is held ends at once, so that a waiting delivery takes no slot of a running one. One delivery of each lock
//! makes requests at a time: at once when a run of this process releases the lock; for locks of other processes by a poll.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::core::ids::DeliveryId;
use crate::core::retry::Jitter;

/// The time for which a delivery waits for a lock in hand: then it costs one receive a minute.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// The same if a response waits for it, because a function is paid during this time.
pub(crate) const LOCK_PATIENCE_OF_BATCH: Duration = Duration::from_secs(20);

/// The waiting deliveries for each slot: a burst for one lock fits, and the renewals of all leases take few calls.
pub(crate) const WAITERS_PER_SLOT: usize = 8;

/// The waits between two requests for a lock of another process: doubled from the first to the longest, and spread.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The wait of one delivery for a lock.
#[derive(Debug)]
pub(crate) struct LockWait {
    pub(crate) lock: Arc<str>,
    pub(crate) since: Instant,
    /// The time of its last request.
    pub(crate) until: Instant,
    /// The time of its next request, if it is the next.
    pub(crate) ask_at: Option<Instant>,
    /// It waits; otherwise its run requests the lock, or soon will.
    pub(crate) is_parked: bool,
}

impl LockWait {
    /// The time at which it needs a run; `None` if it has one.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        self.is_parked.then(|| self.ask_at.map_or(self.until, |at| at.min(self.until)))
    }
}

/// All that wait for a lock.
#[derive(Debug, Default)]
pub(crate) struct LockWaits {
    locks: HashMap<Arc<str>, Waiters, RandomState>,
    parked: usize,
    asking: usize,
}

/// The deliveries that wait for one lock.
#[derive(Debug)]
struct Waiters {
    /// In the order of their first requests.
    parked: BTreeSet<(Instant, DeliveryId)>,
    asking: usize,
    /// The lock was released in this process during a request for it.
    freed: bool,
    wait: Duration,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { parked: BTreeSet::new(), asking: 0, freed: false, wait: FIRST_WAIT }
    }
}

impl LockWaits {
    /// The number of deliveries that wait without a run.
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    /// The number of deliveries whose run requests their lock, or soon will.
    pub(crate) fn asking(&self) -> usize {
        self.asking
    }

    pub(crate) fn park(&mut self, wait: &LockWait, id: DeliveryId) {
        self.locks.entry(Arc::clone(&wait.lock)).or_default().parked.insert((wait.since, id));
        self.parked += 1;
    }

    pub(crate) fn unpark(&mut self, wait: &LockWait, id: DeliveryId) {
        if let Some(waiters) = self.locks.get_mut(&wait.lock)
            && waiters.parked.remove(&(wait.since, id))
        {
            self.parked -= 1;
        }
    }

    pub(crate) fn asks(&mut self, lock: &Arc<str>) {
        self.locks.entry(Arc::clone(lock)).or_default().asking += 1;
        self.asking += 1;
    }

    pub(crate) fn has_asked(&mut self, lock: &str) {
        if let Some(waiters) = self.locks.get_mut(lock) {
            waiters.asking = waiters.asking.saturating_sub(1);
            waiters.wait = (waiters.wait * 2).min(LONGEST_WAIT);
            self.asking = self.asking.saturating_sub(1);
        }
    }

    /// A run of this process has released the lock.
    pub(crate) fn freed(&mut self, lock: &str) {
        if let Some(waiters) = self.locks.get_mut(lock) {
            waiters.freed = true;
        }
    }

    /// Returns the next delivery to request a lock, and the time; `None` if one already does, or none waits.
    pub(crate) fn next(&mut self, now: Instant, lock: &str, jitter: Jitter) -> Option<(DeliveryId, Instant)> {
        let waiters = self.locks.get_mut(lock)?;
        if waiters.asking > 0 {
            return None;
        }
        let Some((_, next)) = waiters.parked.first().copied() else {
            self.locks.remove(lock);
            return None;
        };
        if std::mem::take(&mut waiters.freed) {
            waiters.wait = FIRST_WAIT;
            return Some((next, now));
        }
        let wait = waiters.wait;
        Some((next, now + wait + jitter.of(wait / 4)))
    }
}
