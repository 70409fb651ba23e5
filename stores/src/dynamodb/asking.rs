//! Requests for claims: the current items decide, and are changed only if they are still the same.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, PriorRun};

use super::changes::Change;
use super::items::{INPROGRESS, Id, Item, after, expiration, number, raw, string};
use super::job_ids;
use super::table::{Failure, Table};
use crate::store::{Retention, StoreError, now_ms, takeover};

/// The number of times that items may change during a request before it fails.
const ROUNDS: usize = 10;

/// The known state of the table.
#[derive(Debug, Default)]
struct Observed {
    claim: Option<Item>,
    lock: Option<Item>,
    /// The claim of version 0.1, if it is considered.
    old: Option<Item>,
}

impl Observed {
    /// Returns the record that decides; an expired one counts as absent.
    ///
    /// A worker of version 0.1 that runs beside this one may have taken over the job of a newer record: only the old record
    /// then shows that it is done, running or failed.
    fn known(&self, request: &ClaimRequest, now: u64) -> Option<&Item> {
        let live = |item: &&Item| !item.is_expired(now);
        let (claim, old) = (self.claim.as_ref().filter(live), self.old.as_ref().filter(live));
        let is_settled = claim.is_some_and(|claim| claim.is_done() || claim.is_claimed(now));
        let decides = |old: &&Item| {
            let is_same_message = *old.message_id == *request.message_id;
            old.is_done() || old.is_claimed(now) || (old.failure_reason.is_some() && is_same_message)
        };
        match claim {
            Some(claim) if is_settled => Some(claim),
            Some(claim) => Some(old.filter(decides).unwrap_or(claim)),
            None => old,
        }
    }
}

pub(super) async fn claim(
    table: &Table,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Retention,
) -> Result<ClaimResult, StoreError> {
    // Identifies this call: a repeated write of it finds its own item.
    let nonce = fastrand::u64(..);
    // A key without a lock is probably new. If it is not, the write fails and returns the current item.
    let (mut seen, old) = tokio::try_join!(
        async {
            match &request.lock {
                Some(lock) => look(table, request, lock).await,
                None => Ok(Observed::default()),
            }
        },
        look_at_old(table, request),
    )?;
    if old.is_some() && request.lock.is_none() {
        // The old record is considered only if there is no newer one.
        seen.claim = table.read_even_expired(Id::Job(request.identity.key())).await?;
    }
    seen.old = old;
    let mut is_indexed = false;
    for _ in 0..ROUNDS {
        let now = now_ms();
        if let Some(refusal) = refusal(&seen, request, nonce, now)? {
            let is_duplicate =
                matches!(&refusal, ClaimResult::Done(run) if *run.job_id != **request.identity.job_id());
            if is_duplicate && !is_indexed && seen.claim.is_some() {
                job_ids::add(table, &request.identity, keep).await;
            }
            return Ok(refusal);
        }
        let asked = ClaimAttempt { request, owner, keep, nonce, now };
        let own = seen.claim.as_ref().filter(|claim| claim.is_claimed(now) && claim.nonce == nonce);
        if let Some(own) = own {
            let grant =
                asked.grant(own.attempts_made, own.fencing_token, own.lock_token, own.checkpoint.clone())?;
            return Ok(ClaimResult::Granted(Grant { takeover: takeover("", own.unended), ..grant }));
        }
        let written = asked.write(table, &seen);
        // Runs concurrently with the claim's own write, so that it takes no extra time.
        let written = if is_indexed {
            written.await?
        } else {
            is_indexed = true;
            tokio::join!(written, job_ids::add(table, &request.identity, keep)).0?
        };
        let failures = match written {
            Ok(grant) => return Ok(ClaimResult::Granted(grant)),
            Err(failures) => failures,
        };
        let found = match (&request.lock, failures.into_iter().next()) {
            (None, Some(Failure::Unmet(item))) => {
                Observed { claim: item.map(|item| *item), ..Observed::default() }
            }
            (lock, _) => look(table, request, lock.as_deref().unwrap_or_default()).await?,
        };
        seen = Observed { old: seen.old, ..found };
    }
    let key = request.identity.key();
    Err(StoreError::Unanswered(format!("DynamoDB: the item of the key {key:?} changes all the time").into()))
}

async fn look(table: &Table, request: &ClaimRequest, lock: &str) -> Result<Observed, StoreError> {
    let (claim, lock) = tokio::try_join!(
        table.read_even_expired(Id::Job(request.identity.key())),
        table.read_even_expired(Id::Lock(lock)),
    )?;
    Ok(Observed { claim, lock, old: None })
}

/// Returns the claim of version 0.1 if it is considered. It is not if a producer may have chosen its key for another queue, or
/// if it may belong to another source, because version 0.1 did not keep the source.
async fn look_at_old(table: &Table, request: &ClaimRequest) -> Result<Option<Item>, StoreError> {
    let Some(key) = &request.legacy_key else { return Ok(None) };
    let found = table.read(Id::OldClaim(key)).await?;
    Ok(found.filter(|old| {
        let is_same_source = request.identity.source().is_none() || *old.message_id == *request.message_id;
        is_same_source
            && *old.queue == *request.queue
            && *old.job_type == **request.identity.job_type()
            && old.validation == validation(request)
    }))
}

/// Returns the reason why the claim is not granted.
fn refusal(
    seen: &Observed,
    request: &ClaimRequest,
    nonce: u64,
    now: u64,
) -> Result<Option<ClaimResult>, StoreError> {
    if let Some(claim) = seen.known(request, now) {
        let is_claimed = claim.is_claimed(now);
        if (is_claimed || claim.is_done()) && claim.validation != validation(request) {
            return Ok(Some(ClaimResult::Mismatch));
        }
        if claim.is_done() {
            return Ok(Some(ClaimResult::Done(Box::new(run(claim)?))));
        }
        if let Some(failure_reason) =
            claim.failure_reason.as_ref().filter(|_| *claim.message_id == *request.message_id)
        {
            return Ok(Some(ClaimResult::FailedPermanently(failure_reason.clone())));
        }
        if is_claimed {
            let left = Duration::from_millis(claim.until - now);
            return Ok((claim.nonce != nonce).then_some(ClaimResult::Busy(left)));
        }
    }
    let locked = seen.lock.as_ref().filter(|lock| lock.until > now);
    Ok(locked.map(|lock| ClaimResult::Locked(Duration::from_millis(lock.until - now))))
}

/// Returns the run of a job that is done.
fn run(claim: &Item) -> Result<PriorRun, StoreError> {
    Ok(PriorRun {
        result: claim.data.clone().map(raw).transpose()?,
        job_id: claim.job_id.clone(),
        message_id: claim.message_id.clone(),
        queue: claim.queue.clone(),
        worker: claim.owner.clone(),
        finished_at_ms: claim.finished_at,
    })
}

fn validation(request: &ClaimRequest) -> String {
    format!("{:032x}", request.payload_hash)
}

/// A request with its owner and time.
struct ClaimAttempt<'a> {
    request: &'a ClaimRequest,
    owner: &'a Arc<str>,
    keep: Retention,
    nonce: u64,
    now: u64,
}

impl ClaimAttempt<'_> {
    /// Writes the claim and its lock, if the observed items are unchanged.
    async fn write(&self, table: &Table, seen: &Observed) -> Result<Result<Grant, Vec<Failure>>, StoreError> {
        let Self { request, nonce, now, .. } = *self;
        let identity = &request.identity;
        let before = seen.known(request, now);
        let same_message = before.filter(|before| *before.message_id == *request.message_id);
        let attempt = same_message.map_or(0, |before| before.attempts_made) + 1;
        let same_payload = before.filter(|before| before.validation == validation(request));
        let checkpoint = same_payload.and_then(|before| before.checkpoint.clone());
        let takeover = before.filter(|before| before.is_unended(now)).and_then(|before| {
            takeover(&before.owner, same_message.map_or(0, |before| before.unended.saturating_add(1)))
        });
        let unended = takeover.as_ref().map_or(0, |takeover| takeover.unended);
        // Counters of expired items may also be continued.
        let next = |item: Option<&Item>| item.map_or(0, |item| item.fencing_token) + 1;
        let fencing_token = next(seen.claim.as_ref()).max(next(seen.old.as_ref()));
        let lock_token = if request.lock.is_some() { next(seen.lock.as_ref()) } else { 0 };

        let mut claim = self
            .take(Id::Job(identity.key()), seen.claim.as_ref(), fencing_token)
            .set("status", string(INPROGRESS))
            .set("validation", string(&validation(request)))
            .set("job_id", string(identity.job_id()))
            .set("scope", string(identity.scope()))
            .set("job_type", string(identity.job_type()))
            .set_or_remove("source", identity.source().map(|source| string(source)))
            .set("queue", string(&request.queue))
            .set("message_id", string(&request.message_id))
            .set("attempts", number(u64::from(attempt)))
            .set("nonce", number(nonce))
            .set("lock_counter", number(lock_token))
            .set_or_remove("unended", (unended > 0).then(|| number(u64::from(unended))))
            .remove("finished_at")
            .remove("verdict")
            .remove("dead")
            .remove("data");
        if checkpoint.is_none() {
            claim = claim.remove("checkpoint");
        } else if seen.claim.as_ref().is_none_or(|claim| claim.is_expired(now)) {
            // The checkpoint comes from version 0.1.
            claim = claim.set_or_remove("checkpoint", checkpoint.as_deref().map(string));
        }
        let lock = request.lock.as_ref();
        let lock = lock.map(|lock| self.take(Id::Lock(lock), seen.lock.as_ref(), lock_token));
        match table.write([Some(claim), lock].into_iter().flatten().collect()).await? {
            Ok(()) => {
                let grant = self.grant(attempt, fencing_token, lock_token, checkpoint)?;
                Ok(Ok(Grant { takeover, ..grant }))
            }
            Err(failures) => Ok(Err(failures)),
        }
    }

    /// Returns the change that claims and locks share.
    fn take(&self, id: Id<'_>, seen: Option<&Item>, fencing_token: u64) -> Change {
        let change = Change::of(id);
        let change = match seen {
            Some(seen) => change.only_if_still(seen),
            None => change.only_if_absent(),
        };
        let length = self.request.length;
        change
            .set("owner", string(self.owner))
            .set("counter", number(fencing_token))
            .set("in_progress_expiration", number(after(self.now, length)))
            .set("expiration", number(expiration(self.now, length + self.keep.history)))
    }

    fn grant(
        &self,
        attempt: u32,
        fencing_token: u64,
        lock_token: u64,
        checkpoint: Option<String>,
    ) -> Result<Grant, StoreError> {
        let claim = Claim {
            identity: Arc::clone(&self.request.identity),
            owner: Arc::clone(self.owner),
            fencing_token,
            lock: self.request.lock.clone().map(|lock| (lock, lock_token)),
        };
        Ok(Grant {
            claim: Arc::new(claim),
            attempt: NonZeroU32::new(attempt).unwrap_or(NonZeroU32::MIN),
            checkpoint: checkpoint.map(raw).transpose()?,
            takeover: None,
        })
    }
}
