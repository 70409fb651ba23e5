//! A store in this process: fast, bounded, and forgotten with the process.
//!
//! It keeps two runs in this process from one effect, and answers a duplicate that comes to this process again. Of what
//! other processes do it knows nothing, and it forgets the oldest jobs when it is full: see [`MAX_RECORDS`].
//!
//! Attempts are counted as SQS does, because other processes may have made some of them: the attempt is the message's
//! receive count, less the spared surrenders that were seen here, and at least 1. The shared stores count for themselves.
//!
//! The clock is tokio's, so that a test may pause it. Every call is answered at once, under one lock.

mod claims;
mod histories;
mod record;
mod records;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::{Admission, Answer, Claim, ClaimRequest, Held, Surrender};
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::claims::Claims;
use self::histories::Histories;
use crate::record::{AttemptRecord, JobRecord, ProgressRecord};
use crate::store::{Keep, Store, StoreError};

pub use self::claims::{MAX_BYTES, MAX_RECORDS};

/// A [`Store`] in this process.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    claims: Claims,
    histories: Histories,
}

impl MemoryStore {
    /// An empty store, of which `owner` owns all claims.
    pub fn new(owner: Arc<str>, keep: Keep) -> Self {
        let state = State { claims: Claims::new(owner, keep), histories: Histories::new(keep.history) };
        Self { state: Mutex::new(state) }
    }

    /// Nothing in here panics half-way through a change, so what a panicking thread left is as good as ever.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, StoreError>> {
        Answer::now(self.state().claims.claim(request, Instant::now()))
    }

    fn renew<'a>(&'a self, claim: &'a Claim, length: Duration) -> Answer<'a, Result<Held, StoreError>> {
        Answer::now(Ok(self.state().claims.renew(claim, length, Instant::now())))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> Answer<'a, Result<Held, StoreError>> {
        Answer::now(Ok(self.state().claims.finish(claim, result, Instant::now())))
    }

    fn surrender<'a>(&'a self, claim: &'a Claim, how: &'a Surrender) -> Answer<'a, Result<Held, StoreError>> {
        Answer::now(Ok(self.state().claims.surrender(claim, how, Instant::now())))
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> Answer<'a, Result<Held, StoreError>> {
        Answer::now(Ok(self.state().claims.checkpoint(claim, value, Instant::now())))
    }

    fn progress<'a>(
        &'a self,
        job_id: &'a str,
        progress: &'a ProgressRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.state().histories.progress(job_id, progress, Instant::now());
        Answer::now(Ok(()))
    }

    fn attempted<'a>(
        &'a self,
        job_id: &'a str,
        attempt: &'a AttemptRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.state().histories.attempted(job_id, attempt, Instant::now());
        Answer::now(Ok(()))
    }

    fn job<'a>(&'a self, job_id: &'a str) -> Answer<'a, Result<Option<JobRecord>, StoreError>> {
        let now = Instant::now();
        let mut state = self.state();
        let claim = state.claims.of_job(job_id, now, epoch_ms);
        let (progress, attempts) = state.histories.of_job(job_id, now);
        let is_known = claim.is_some() || progress.is_some() || !attempts.is_empty();
        Answer::now(Ok(is_known.then(|| JobRecord { job_id: job_id.to_owned(), claim, progress, attempts })))
    }

    fn ping(&self) -> Answer<'_, Result<(), StoreError>> {
        Answer::now(Ok(()))
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// `at` as people tell time, given that it is `now`.
fn epoch_ms(at: Instant, now: Instant) -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = if at >= now { since_epoch + (at - now) } else { since_epoch.saturating_sub(now - at) };
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
