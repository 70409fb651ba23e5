//! Tokens of rates that workers share, calculated with GCRA.

use std::num::NonZeroU32;
use std::time::Duration;

use drumline::core::Rate;

/// The time for which leased tokens can be used: several times as long as a store takes to answer, but short, because tokens
/// that are used late add to the tokens of the later time.
pub const TOKEN_VALIDITY: Duration = Duration::from_millis(250);

/// The largest time by which a bucket may be ahead of its rule. It can be ahead if it was filled by a clock that was ahead (of
/// a worker, or of a server before a failover), or under another rule. A bucket that is further ahead counts as just emptied.
const MOST_AHEAD: Duration = Duration::from_secs(5);

/// The time for which a bucket is kept after it is full. A full bucket is equal to a missing one.
pub(crate) const KEPT: Duration = Duration::from_secs(60);

/// A request for the tokens of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The name of the bucket, of up to about a hundred bytes. All requests for it should have the same rate and burst.
    pub bucket: String,
    /// The number of tokens per time.
    pub rate: Rate,
    /// The largest number of tokens in the bucket.
    pub burst: NonZeroU32,
    /// The largest number of tokens to lease.
    pub most: NonZeroU32,
}

/// Leased tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLease {
    /// The number of tokens, which may be zero.
    pub tokens: u32,
    /// The time for which they can be used, counted from before the request.
    pub valid_for: Duration,
    /// The time until the requested number of tokens is available, or half of the bucket's capacity if that is less: an earlier
    /// request gets few tokens or none.
    pub next_in: Duration,
}

impl TokenLease {
    #[cfg(any(feature = "redis", feature = "postgres"))]
    pub(crate) fn answered(tokens: i64, next_in_us: i64) -> Self {
        Self {
            tokens: u32::try_from(tokens).unwrap_or(0),
            valid_for: TOKEN_VALIDITY,
            next_in: Duration::from_micros(u64::try_from(next_in_us).unwrap_or(0)),
        }
    }
}

#[cfg(any(feature = "redis", feature = "postgres"))]
impl TokenRequest {
    /// Returns the numbers for a server's calculation: the tokens and the microseconds of the rate, the burst, the largest
    /// number of tokens to lease, and [`MOST_AHEAD`] in microseconds.
    pub(crate) fn numbers(&self) -> [i64; 5] {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let [count, burst, most] =
            [self.rate.count(), self.burst, self.most].map(|number| i64::from(number.get()));
        [count, micros(self.rate.per()), burst, most, micros(MOST_AHEAD)]
    }
}

/// Takes tokens from a bucket that is full at `full_at`, at the time `now`; both are in microseconds of one clock. Returns the
/// lease, and the new time when the bucket is full.
///
/// The servers' scripts calculate the same.
pub(crate) fn lease(request: &TokenRequest, full_at: u64, now: u64) -> (TokenLease, u64) {
    let (count, per) = (u128::from(request.rate.count().get()), request.rate.per().as_micros());
    let time_of =
        |tokens: u32| u64::try_from((u128::from(tokens) * per).div_ceil(count)).unwrap_or(u64::MAX / 4);
    let TokenRequest { burst, most, .. } = request;
    // The time from full to empty.
    let (empty_at, ahead) =
        (now.saturating_add(time_of(burst.get())), u64::try_from(MOST_AHEAD.as_micros()).unwrap_or(0));
    let full_at = full_at.clamp(now, empty_at.saturating_add(ahead));
    // Times are rounded up: without that microsecond, the last token of a bucket could arrive a microsecond late.
    let left = u128::from(empty_at.saturating_sub(full_at));
    let there = if left == 0 { 0 } else { (left + 1) * count / per };
    let tokens = u32::try_from(there).unwrap_or(u32::MAX).min(most.get());
    let full_at = full_at.saturating_add(time_of(tokens));
    let next = most.get().min(burst.get().div_ceil(2));
    let next_in = Duration::from_micros(full_at.saturating_add(time_of(next)).saturating_sub(empty_at));
    (TokenLease { tokens, valid_for: TOKEN_VALIDITY, next_in }, full_at)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
