//! A store in a DynamoDB table.
//!
//! # The table
//!
//! Its partition key is `id`, a string, and it has no sort key. Its time-to-live attribute is `expiration`. Names and meanings
//! of the attributes follow Powertools for AWS Lambda where it has such attributes, so that its tools can read them; the keys
//! differ, so neither program finds the other's claims.
//!
//! ```text
//! aws dynamodb create-table --table-name jobs --billing-mode PAY_PER_REQUEST \
//!     --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH
//! aws dynamodb update-time-to-live --table-name jobs \
//!     --time-to-live-specification Enabled=true,AttributeName=expiration
//! ```
//!
//! | `id` | Holds |
//! | --- | --- |
//! | `job#KEY` | `status` (INPROGRESS or COMPLETED), `in_progress_expiration` (ms; 0 once surrendered), `expiration` (s), `data` (the result), `validation` (the payload's hash), `finished_at` (ms), `owner`, `counter`, `job_id`, `scope`, `job_type`, `source`, `queue`, `message_id`, `attempts`, `verdict`, `dead` (1 after the message's last attempt), `checkpoint`, `nonce`, `lock_counter` |
//! | `job-progress#KEY` | `data` |
//! | `job-attempts#KEY` | `attempts`, the oldest first |
//! | `jobs#JOBID` | `keys` of a job id, a set of at most 20 |
//! | `lock#NAME` | `owner`, `counter`, `in_progress_expiration`, `expiration` |
//! | `document#KIND#NAME` | `data`, `changed` (µs), `expiration` |
//! | `documents#KIND` | `keys`: the names of a kind's documents, some 200 |
//! | `tokens#BUCKET` | `full_at` (µs): when the bucket of a rate is full, `expiration` |
//!
//! `KEY` is the key of an identity. Version 0.1 kept claims under `claim#KEY`, `alias#JOBID`, `progress#JOBID` and
//! `attempts#JOBID`, whose names a producer could choose: the store reads these, and never writes them. Version 0.1 has the
//! same locks.
//!
//! A role needs `GetItem` and `UpdateItem` on the table: transactions consist of updates, and need no further permission.
//!
//! # Requests
//!
//! | Call | Requests |
//! | --- | --- |
//! | claim of a new key | 1 write |
//! | claim that is held, done, condemned | 1 write, which fails and brings the answer |
//! | claim of a key that failed or ran out before | 2 writes, the first of which fails |
//! | claim with a lock | 2 reads at once, then 1 transaction of two writes, if it is free |
//! | each of these claims, besides | 1 write of `jobs#JOBID`, at the same time as its own |
//! | each of them while records of version 0.1 count | 1 read before it; 2 in turn if there is one |
//! | renewal, finish, surrender | 1 write; a transaction of two with a lock |
//! | checkpoint, progress | 1 write; 2 for the first progress of a job |
//! | failed attempt | 2 writes at once |
//! | forgetting | 1 read, then 1 write if the job is done |
//! | document; its change | 1 read; 2 writes in turn |
//! | documents of a kind | 1 read, then 1 for each, 25 at once |
//! | lease of tokens | 1 read, then 1 write if there are some; 1 more for each that another worker is ahead with |
//! | look-up of a job id | 5 reads at once, then 3 at once for each of its keys |
//!
//! A job that succeeds at the first attempt therefore takes 3 writes, plus a strongly consistent read as long as records of
//! version 0.1 are considered. `jobs#JOBID` is for people: its write is best effort, and a claim does not fail because of it.
//! The cost of a write depends on the size of its item: large checkpoints make renewals expensive. Expired items may stay for
//! days until DynamoDB removes them, but count as absent from the second of their expiry on.
//!
//! # Clocks
//!
//! DynamoDB does not report its time, so this is the only store that uses the clocks of the processes. If one process's clock
//! is some seconds ahead of another's, it sees the other's claims expire earlier by this difference: if this exceeds the time
//! between two renewals, it takes the claims over early. Fencing still protects the job: the former owner can write nothing
//! more. Clocks of AWS's own hosts differ by milliseconds.
//!
//! Workers that share a rate comply with it in the long run, even if their clocks differ by up to five seconds. The worker
//! whose clock is ahead may take the tokens of that time early, once, and the others get fewer meanwhile: at 100/s and a
//! difference of 10 ms, that is one token.

mod asking;
mod changes;
mod client;
mod documents;
mod forgetting;
mod items;
mod job_ids;
mod table;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;

use self::changes::Change;
use self::items::{COMPLETED, INPROGRESS, Id, Item, number, string};
use self::table::{Failure, Table};
use crate::document::Document;
use crate::forgotten::Forgotten;
use crate::matches::{add_old, in_order};
use crate::open::OpenError;
use crate::record::{AttemptRecord, JobRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};
use crate::store::{Retention, Store, StoreError, now_ms, to_json};
use crate::tokens::{TokenLease, TokenRequest};

pub use aws_sdk_dynamodb;

pub(crate) use self::client::location;

/// A [`Store`] in DynamoDB.
#[derive(Debug)]
pub struct DynamoStore {
    table: Table,
    owner: Arc<str>,
    keep: Retention,
}

impl DynamoStore {
    /// Connects with a new client that uses AWS's usual settings, like [`open`](crate::open).
    pub async fn connect(
        table: &str,
        region: Option<String>,
        owner: Arc<str>,
        keep: Retention,
    ) -> Result<Self, OpenError> {
        let config = client::config(region).await.map_err(OpenError::Url)?;
        Self::with_config(&config, table, owner, keep).await
    }

    /// Connects with an existing AWS configuration: region, credentials, endpoint and HTTP client.
    pub async fn with_config(
        config: &SdkConfig,
        table: &str,
        owner: Arc<str>,
        keep: Retention,
    ) -> Result<Self, OpenError> {
        let store = Self { table: Table::new(client::client(config), table.to_owned()), owner, keep };
        store.ping().await.map_err(OpenError::Unavailable)?;
        Ok(store)
    }

    /// Returns a change of a running claim's item.
    fn under(claim: &Claim) -> Change {
        Change::of(Id::Job(claim.identity.key()))
            .only_if("status", "=", string(INPROGRESS))
            .only_if("owner", "=", string(&claim.owner))
            .only_if("counter", "=", number(claim.fencing_token))
            // The claim was not released.
            .only_if("in_progress_expiration", "<>", number(0))
            .only_if("expiration", ">", number(now_ms() / 1000))
    }

    /// Returns a change of the item of a claim's lock, on condition that the claim still owns it.
    fn lock_under(claim: &Claim) -> Option<Change> {
        let (name, fencing_token) = claim.lock.as_ref()?;
        Some(Change::of(Id::Lock(name)).only_if("owner", "=", string(&claim.owner)).only_if(
            "counter",
            "=",
            number(*fencing_token),
        ))
    }

    /// Releases a claim's lock. The counter stays, so that the next owner gets a larger one.
    fn unlock(&self, claim: &Claim) -> Option<Change> {
        let unlock = Self::lock_under(claim)?.remove("owner").set("in_progress_expiration", number(0));
        Some(unlock.set("expiration", number(items::expiration(now_ms(), self.keep.history))))
    }

    /// Converts the result of a write to ownership: the write has happened now or before. `before` checks the claim's item for
    /// an earlier write.
    fn held(
        claim: &Claim,
        written: &Result<(), Vec<Failure>>,
        before: impl FnOnce(&Item) -> bool,
    ) -> Ownership {
        match written {
            Ok(()) => Ownership::Kept,
            Err(failures) => match failures.first() {
                Some(Failure::Unmet(Some(item)))
                    if item.is_of(claim) && !item.is_expired(now_ms()) && before(item) =>
                {
                    Ownership::Kept
                }
                _ => Ownership::Lost,
            },
        }
    }
}

impl DynamoStore {
    async fn add_attempt(&self, key: &str, attempt: &AttemptRecord) -> Result<(), StoreError> {
        let now = now_ms();
        let attempt = AttributeValue::L(vec![string(&to_json(attempt))]);
        let expiration = number(items::expiration(now, self.keep.history));
        let added = Change::of(Id::JobAttempts(key))
            .append("attempts", attempt.clone())
            .set("expiration", expiration.clone())
            .only_if_alive(now);
        let Ok(item) = self.table.write_one(added).await? else {
            // The existing item has expired.
            let first = Change::of(Id::JobAttempts(key)).set("attempts", attempt);
            return self.table.put(first.set("expiration", expiration)).await;
        };
        let surplus = item.attempts.len().saturating_sub(MAX_ATTEMPTS_KEPT);
        if surplus > 0 {
            self.table.put(Change::of(Id::JobAttempts(key)).drop_first("attempts", surplus)).await?;
        }
        Ok(())
    }

    async fn find(&self, job_id: &str) -> Result<Vec<JobRecord>, StoreError> {
        if job_id.len() > job_ids::MAX_JOB_ID_BYTES {
            return Ok(Vec::new());
        }
        let table = &self.table;
        let (keys, old_claim, alias, progress, attempts) = tokio::try_join!(
            table.read(Id::JobIds(job_id)),
            table.read(Id::OldClaim(job_id)),
            table.read(Id::OldAlias(job_id)),
            table.read(Id::OldProgress(job_id)),
            table.read(Id::OldAttempts(job_id)),
        )?;
        let mut matches = Vec::new();
        for key in keys.map(|item| item.keys).unwrap_or_default() {
            let (claim, progress, attempts) = tokio::try_join!(
                table.read(Id::Job(&key)),
                table.read(Id::JobProgress(&key)),
                table.read(Id::JobAttempts(&key)),
            )?;
            matches.extend(items::job(job_id, claim, progress, attempts)?);
        }
        let old_claim = match alias.and_then(|alias| alias.key) {
            Some(key) => table.read(Id::OldClaim(&key)).await?,
            None => old_claim,
        };
        // Its key may belong to another job now.
        let old_claim = old_claim.filter(|claim| claim.job_id == job_id);
        if let Some(old) = items::job(job_id, old_claim, progress, attempts)? {
            add_old(&mut matches, old);
        }
        Ok(in_order(matches))
    }
}

impl Store for DynamoStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        MaybeReady::later(asking::claim(&self.table, request, &self.owner, self.keep))
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let now = now_ms();
            let until = number(items::after(now, length));
            let expiration = number(items::expiration(now, length + self.keep.history));
            let changes = [Some(Self::under(claim)), Self::lock_under(claim)].into_iter().flatten();
            let changes = changes.map(|change| {
                change.set("in_progress_expiration", until.clone()).set("expiration", expiration.clone())
            });
            let written = self.table.write(changes.collect()).await?;
            Ok(Self::held(claim, &written, |_| false))
        })
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let now = now_ms();
            let expiration = items::expiration(now, self.keep.done);
            let done = Self::under(claim)
                .set("status", string(COMPLETED))
                .set("finished_at", number(now))
                .set("expiration", number(expiration))
                .remove("checkpoint")
                .set_or_remove("data", result.map(|result| string(result.get())));
            let changes = [Some(done), self.unlock(claim)].into_iter().flatten();
            let written = self.table.write(changes.collect()).await?;
            Ok(Self::held(claim, &written, Item::is_done))
        })
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let expiration = items::expiration(now_ms(), self.keep.history);
            let given_up = Self::under(claim)
                .set("in_progress_expiration", number(0))
                .set("expiration", number(expiration))
                .lower("attempts", number(u64::from(!how.count_attempt)))
                .set_or_remove("dead", how.dead.then(|| number(1)))
                .set_or_remove("verdict", how.failure_reason.as_deref().map(string));
            let changes = [Some(given_up.clone()), self.unlock(claim)].into_iter().flatten();
            let mut written = self.table.write(changes.collect()).await?;
            if let Err(failures) = &written
                && let [Failure::Met, Failure::Unmet(_)] = failures[..]
            {
                // The claim still owns its key, and has lost only the lock.
                written = self.table.write(vec![given_up]).await?;
            }
            Ok(Self::held(claim, &written, Item::is_surrendered))
        })
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let change = Self::under(claim).set("checkpoint", string(value.get()));
            let written = self.table.write(vec![change]).await?;
            Ok(Self::held(claim, &written, |_| false))
        })
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let expiration = items::expiration(now_ms(), self.keep.history);
            let last = Change::of(Id::JobProgress(identity.key())).set("data", string(&to_json(progress)));
            if !self.table.put_over(last.set("expiration", number(expiration))).await? {
                job_ids::add(&self.table, identity, self.keep).await;
            }
            Ok(())
        })
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let added = self.add_attempt(identity.key(), attempt);
            tokio::join!(added, job_ids::add(&self.table, identity, self.keep)).0
        })
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(self.find(job_id))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        MaybeReady::later(forgetting::forget(&self.table, key, self.keep))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::later(documents::get(&self.table, kind, name))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::later(documents::list(&self.table, kind))
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
        MaybeReady::later(documents::put(&self.table, kind, document, before, keep))
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        MaybeReady::later(tokens::take(&self.table, request))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::later(async move { self.table.read(Id::Job("")).await.map(|_| ()) })
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
