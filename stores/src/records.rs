//! A custom store in a few lines: turns a table of texts with compare-and-swap into a [`Store`].
//!
//! Nearly every database has such a table. This module contains all rules of claims; the author only implements [`Records`],
//! which reads some texts, and replaces some of them if they have not changed. `examples/own_store.rs` of this crate is a store
//! that passes the suite.
//!
//! Times come from this process's clock: the clocks of workers on several hosts must agree within about a second.

mod documents;
mod snapshot;
mod table;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::snapshot::{Snapshot, attempts_of, claim_of, ids_of, lock_of, progress_of};
pub use self::table::{Change, Records};
use crate::document::Document;
use crate::forgotten::Forgotten;
use crate::matches::in_order;
use crate::record::{AttemptRecord, JobRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};
use crate::rules::{self, Rows, after};
use crate::store::{Retention, Store, StoreError, now_ms};
use crate::tokens::{TokenLease, TokenRequest};

/// The time for which a call is retried because other processes change the same records.
const PATIENCE: Duration = Duration::from_secs(3);

/// The wait before a call is retried.
const PAUSE: Duration = Duration::from_millis(1);

/// A [`Store`] whose texts are in a table.
#[derive(Debug)]
pub struct RecordStore<R> {
    records: R,
    owner: Arc<str>,
    keep: Retention,
}

impl<R: Records> RecordStore<R> {
    /// Creates a store in this table. Its claims are marked with `owner`, a unique name of this process.
    pub fn new(records: R, owner: Arc<str>, keep: Retention) -> Self {
        Self { records, owner, keep }
    }

    /// Reads the texts of these keys and changes them; repeats this if they have changed meanwhile.
    async fn transact<T>(
        &self,
        keys: Vec<String>,
        work: impl Fn(&mut Snapshot, u64) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        loop {
            let texts = self.records.read(&keys).await?;
            let mut snapshot = Snapshot::new(&keys, texts)?;
            let value = work(&mut snapshot, now_ms())?;
            let changes = snapshot.changes();
            if changes.is_empty() || self.records.swap(&changes).await? {
                return Ok(value);
            }
            if begun.elapsed() > PATIENCE {
                let text = format!("{} was changed by others for {} s", keys[0], PATIENCE.as_secs());
                return Err(StoreError::Unanswered(text.into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the time until which a job id refers to its records: as long as any of them is kept.
    fn linked_until(&self, now: u64) -> u64 {
        after(now, self.keep.history.max(self.keep.done))
    }

    async fn all_of(&self, job_id: &str) -> Result<Vec<JobRecord>, StoreError> {
        let ids = ids_of(job_id);
        let found = self.records.read(std::slice::from_ref(&ids)).await?;
        let keys = Snapshot::new(std::slice::from_ref(&ids), found)?.linked(job_id, now_ms())?;
        let all: Vec<String> =
            keys.iter().flat_map(|key| [claim_of(key), progress_of(key), attempts_of(key)]).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = Snapshot::new(&all, self.records.read(&all).await?)?;
        let now = now_ms();
        let matches = keys.into_iter().filter_map(|key| snapshot.job(job_id, key, now).transpose());
        Ok(in_order(matches.collect::<Result<_, _>>()?))
    }
}

/// Returns the keys that a change under a claim needs.
fn keys_of(claim: &Claim) -> Vec<String> {
    let lock = claim.lock.iter().map(|(name, _)| lock_of(name));
    std::iter::once(claim_of(claim.identity.key())).chain(lock).collect()
}

impl<R: Records> Store for RecordStore<R> {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        let identity = &request.identity;
        let mut keys = vec![claim_of(identity.key()), ids_of(identity.job_id())];
        keys.extend(request.lock.iter().map(|name| lock_of(name)));
        MaybeReady::later(self.transact(keys, |rows, now| {
            let answer = rules::claim(rows, request, &self.owner, self.keep, now)?;
            if let ClaimResult::Granted(_) = &answer {
                let expires = self.linked_until(after(now, request.length));
                rows.link(identity.job_id(), identity.key(), now, expires)?;
            }
            Ok(answer)
        }))
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        let mut keys = keys_of(claim);
        keys.push(ids_of(claim.identity.job_id()));
        MaybeReady::later(self.transact(keys, move |rows, now| {
            let ownership = rules::renew(rows, claim, length, self.keep, now)?;
            if ownership == Ownership::Kept {
                let expires = self.linked_until(after(now, length));
                rows.link(claim.identity.job_id(), claim.identity.key(), now, expires)?;
            }
            Ok(ownership)
        }))
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(self.transact(keys_of(claim), move |rows, now| {
            let result = result.map(|result| result.get().to_owned());
            rules::finish(rows, claim, result, self.keep, now)
        }))
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(
            self.transact(keys_of(claim), move |rows, now| rules::release(rows, claim, how, self.keep, now)),
        )
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(self.transact(keys_of(claim), move |rows, now| {
            rules::checkpoint(rows, claim, value.get().to_owned(), now)
        }))
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        let key = progress_of(identity.key());
        let keys = vec![key.clone(), ids_of(identity.job_id())];
        MaybeReady::later(self.transact(keys, move |rows, now| {
            rows.set(&key, progress, after(now, self.keep.history));
            rows.link(identity.job_id(), identity.key(), now, self.linked_until(now))
        }))
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        let key = attempts_of(identity.key());
        let keys = vec![key.clone(), ids_of(identity.job_id())];
        MaybeReady::later(self.transact(keys, move |rows, now| {
            let mut attempts: Vec<AttemptRecord> = rows.history(&key, now).unwrap_or_default();
            attempts.push(attempt.clone());
            let surplus = attempts.len().saturating_sub(MAX_ATTEMPTS_KEPT);
            attempts.drain(..surplus);
            rows.set(&key, &attempts, after(now, self.keep.history));
            rows.link(identity.job_id(), identity.key(), now, self.linked_until(now))
        }))
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(self.all_of(job_id))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        let work = move |rows: &mut Snapshot, now| rules::forget(rows, key, self.keep, now);
        MaybeReady::later(self.transact(vec![claim_of(key)], work))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::later(documents::get(&self.records, kind, name))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::later(documents::list(&self.records, kind))
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        MaybeReady::later(async move {
            documents::check(kind, name, after)?;
            let keys = documents::keys(kind, name).to_vec();
            self.transact(keys, |rows, now| documents::put(rows, kind, (name, after), before, keep, now))
                .await
        })
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        let work = |rows: &mut Snapshot, now| tokens::take(rows, request, now);
        MaybeReady::later(self.transact(vec![tokens::key(request)], work))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::later(async { self.records.read(&["ping".to_owned()]).await.map(drop) })
    }

    fn outlives_its_process(&self) -> bool {
        self.records.outlive_their_process()
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
