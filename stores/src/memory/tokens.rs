//! The buckets of rates in memory.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::tokens::{TokenLease, TokenRequest, lease};

/// The most buckets that are kept. Of more, those that are full go first, and then all: the tokens of each would be there once more.
const MAX_BUCKETS: usize = 100_000;

/// The buckets of this process.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// When the first request was made.
    began: Option<Instant>,
    /// When each bucket is full, in microseconds since then.
    full_at: HashMap<String, u64>,
}

impl Tokens {
    pub(super) fn lease(&mut self, request: &TokenRequest, now: Instant) -> TokenLease {
        let since: Duration = now.saturating_duration_since(*self.began.get_or_insert(now));
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 4);
        if self.full_at.len() >= MAX_BUCKETS && !self.full_at.contains_key(&request.bucket) {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= MAX_BUCKETS {
                self.full_at.clear();
            }
        }
        let (leased, full_at) = lease(request, self.full_at.get(&request.bucket).copied().unwrap_or(0), now);
        self.full_at.insert(request.bucket.clone(), full_at);
        leased
    }
}
