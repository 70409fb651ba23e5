//! A store in this process: fast, bounded, and forgotten with the process.
//!
//! It keeps two runs in this process from one effect, and answers a duplicate that comes to this process again. Of what
//! other processes do it knows nothing, and it forgets the oldest jobs when it is full: see [`MAX_RECORDS`].
//!
//! Attempts are counted as SQS does, because other processes may have made some of them: the attempt is the message's
//! receive count, less the spared releases that were seen here, and at least 1. The shared stores count for themselves.
//!
//! Jobs are found by their job ids: the claims by a scan over hashes of all ids, which takes a tenth of a millisecond and
//! costs claims nothing; histories, and duplicates under another job id, by small indices of their own. Version 0.1 left
//! nothing in memory.
//!
//! The clock is tokio's, so that a test may pause it. Every call is answered at once, under one lock.

mod claims;
mod clock;
mod documents;
mod histories;
mod job_ids;
mod name;
mod record;
mod records;
mod text;
mod tokens;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::claims::Claims;
use self::clock::Now;
use self::documents::Documents;
use self::histories::Histories;
use self::tokens::Tokens;
use crate::document::Document;
use crate::forgotten::Forgotten;
use crate::matches::{in_order, newest};
use crate::record::{AttemptRecord, JobRecord, ProgressRecord};
use crate::store::{Retention, Store, StoreError};
use crate::tokens::{TokenLease, TokenRequest};

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
    documents: Documents,
    tokens: Tokens,
}

impl MemoryStore {
    /// An empty store, of which `owner` owns all claims.
    pub fn new(owner: Arc<str>, keep: Retention) -> Self {
        let (claims, histories) = (Claims::new(owner, keep), Histories::new(keep.history));
        let state = State { claims, histories, documents: Documents::default(), tokens: Tokens::default() };
        Self { state: Mutex::new(state) }
    }

    /// Nothing in here panics half-way through a change, so what a panicking thread left is as good as ever.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn jobs(&self, job_id: &str, now: Instant) -> Vec<JobRecord> {
        let keys: HashSet<String> = self.claims.keys(job_id).chain(self.histories.keys(job_id)).collect();
        let now = Now::at(now);
        in_order(keys.iter().filter_map(|key| self.job(job_id, key, now)).collect())
    }

    fn job(&self, job_id: &str, key: &str, now: Now) -> Option<JobRecord> {
        let record = self.claims.of(key, now.instant);
        let (progress, attempts) = self.histories.of(key, now.instant);
        let claim = record.map(|record| self.claims.shown(record, now));
        let job = JobRecord::of(job_id, claim, progress, attempts)?;
        let scope = record.map(|record| record.name.scope().to_owned());
        let source = record.and_then(|record| record.name.source()).map(str::to_owned);
        Some(JobRecord { scope, source, ..job })
    }

    fn recent(&self, limit: usize, now: Instant) -> Vec<JobRecord> {
        // The claim's job id counts, which is that of the last run.
        let keys = self.histories.recent(limit).chain(self.claims.recent(limit, now));
        let keys: HashMap<String, String> = keys.collect();
        let now = Now::at(now);
        newest(keys.iter().filter_map(|(key, job_id)| self.job(job_id, key, now)).collect(), limit)
    }
}

impl Store for MemoryStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        MaybeReady::now(self.state().claims.claim(request, Instant::now()))
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(Ok(self.state().claims.renew(claim, length, Instant::now())))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(Ok(self.state().claims.finish(claim, result, Instant::now())))
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(Ok(self.state().claims.release_claim(claim, how, Instant::now())))
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::now(Ok(self.state().claims.checkpoint(claim, value, Instant::now())))
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.state().histories.progress(identity, progress, Instant::now());
        MaybeReady::now(Ok(()))
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.state().histories.attempted(identity, attempt, Instant::now());
        MaybeReady::now(Ok(()))
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::now(Ok(self.state().jobs(job_id, Instant::now())))
    }

    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::now(Ok(self.state().recent(limit, Instant::now())))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        MaybeReady::now(Ok(self.state().claims.forget_done(key, Instant::now())))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::now(self.state().documents.get(kind, name, Instant::now()))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::now(self.state().documents.list(kind, Instant::now()))
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        let document = Document { name: name.to_owned(), text: after.to_owned() };
        MaybeReady::now(self.state().documents.put(kind, document, before, keep, Instant::now()))
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        MaybeReady::now(Ok(self.state().tokens.lease(request, Instant::now())))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::now(Ok(()))
    }

    fn outlives_its_process(&self) -> bool {
        false
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

#[cfg(test)]
mod figures;
#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
