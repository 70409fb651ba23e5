//! The rate that this process keeps alone, by GCRA: a bucket for each key.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::rules::RateRule;
use super::search_pace::SearchPace;

/// The value that is counted separately: `None` counts the jobs without a key.
pub(super) type Key = Option<Arc<str>>;

/// The maximum number of separately counted keys of a type: each is a short text and a time, together some 3 MB.
pub(super) const MAX_KEYS: usize = 10_000;

/// The rate of one type in this process.
pub(super) struct LocalRate {
    limiter: RateLimiter<Key, Buckets, GivenTime>,
    buckets: Buckets,
    clock: GivenTime,
    /// The origin of the nanoseconds.
    began: Option<Instant>,
    search: SearchPace,
}

impl LocalRate {
    pub(super) fn new(rule: &RateRule) -> Self {
        let interval = rule.rate.interval().max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).expect("the interval is not zero");
        let burst = rule.burst.min(rule.rate.most_burst());
        let (buckets, clock) = (Buckets::default(), GivenTime::default());
        let limiter = RateLimiter::new(quota.allow_burst(burst), buckets.clone(), clock.clone());
        Self { limiter, buckets, clock, began: None, search: SearchPace::default() }
    }

    /// Takes a token of a key, or returns the time of the next one.
    pub(super) fn take(&mut self, now: Instant, key: &Key) -> Result<(), Instant> {
        let at = self.set_time(now);
        self.limiter.check_key(key).map_err(|refused| now + refused.wait_time_from(at))
    }

    /// Returns the number of jobs without a key that may start now, and if it is zero, the time at which the next one may.
    pub(super) fn left(&self, now: Instant, rule: &RateRule) -> (u32, Option<Instant>) {
        let burst = rule.burst.min(rule.rate.most_burst()).get();
        let full_at = self.buckets.map().get(&None).copied();
        let (Some(began), Some(full_at)) = (self.began, full_at) else { return (burst, None) };
        let interval = rule.rate.interval().max(Duration::from_nanos(1));
        let full_at = Duration::from_nanos(full_at.as_u64());
        // Each missing token takes an interval until the bucket is full.
        let until_full = full_at.saturating_sub(now.saturating_duration_since(began));
        let missing = until_full.as_nanos().div_ceil(interval.as_nanos());
        let left = u32::try_from(u128::from(burst).saturating_sub(missing)).unwrap_or_default();
        let next = began + full_at.saturating_sub(interval * (burst - 1));
        (left, (left == 0).then_some(next))
    }

    /// Returns true if the key has a separate bucket, or may get one. If there are too many keys, those with full buckets are
    /// removed first.
    pub(super) fn has_room_for(&mut self, now: Instant, key: &Key) -> bool {
        let is_known = |buckets: &Buckets| {
            let map = buckets.map();
            map.len() < MAX_KEYS || map.contains_key(key)
        };
        if is_known(&self.buckets) {
            return true;
        }
        if !self.search.is_due(now) {
            return false;
        }
        let at = self.set_time(now);
        self.buckets.map().retain(|_, full_at| *full_at > at);
        is_known(&self.buckets)
    }

    /// Sets the limiter's time.
    fn set_time(&mut self, now: Instant) -> Nanos {
        let since = now.saturating_duration_since(*self.began.get_or_insert(now));
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.clock.0.store(nanos, Ordering::Relaxed);
        Nanos::from(nanos)
    }
}

impl fmt::Debug for LocalRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRate").field("keys", &self.buckets.map().len()).finish_non_exhaustive()
    }
}

/// The clock of a limiter: the time of the last call.
#[derive(Debug, Clone, Default)]
struct GivenTime(Arc<AtomicU64>);

impl Clock for GivenTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// The time at which the bucket of each key is full again. A key that has used nothing has none.
#[derive(Debug, Clone, Default)]
struct Buckets(Arc<Mutex<HashMap<Key, Nanos, foldhash::fast::RandomState>>>);

impl Buckets {
    fn map(&self) -> MutexGuard<'_, HashMap<Key, Nanos, foldhash::fast::RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut map = self.map();
        if let Some(full_at) = map.get_mut(key) {
            let (taken, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(taken);
        }
        let (taken, next) = measure(None)?;
        map.insert(key.clone(), next);
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "local_rate_tests.rs"]
mod tests;
