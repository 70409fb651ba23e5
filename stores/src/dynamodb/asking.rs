//! Asking for a claim: what is there decides, and is written to only if it is still so.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Claim, ClaimRequest, Grant};

use super::changes::Change;
use super::items::{INPROGRESS, Id, Item, after, expiration, now_ms, number, raw, string};
use super::table::{Failure, Table};
use crate::store::{Keep, StoreError};

/// How often what is there may change under the asking, until it is given up.
const ROUNDS: usize = 10;

/// The longest job id that fits into a key. A job with a longer one is found by its key only.
const MAX_JOB_ID_BYTES: usize = 2_000;

/// What is in the table, as far as it is known.
#[derive(Debug, Default)]
struct Seen {
    claim: Option<Item>,
    lock: Option<Item>,
}

pub(super) async fn claim(
    table: &Table,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Keep,
) -> Result<Admission, StoreError> {
    // What tells this call from all others: a write of it that was repeated meets its own item.
    let nonce = fastrand::u64(..);
    // A key without a lock is new, most likely. If not, the write fails and brings what is there.
    let mut seen = match &request.lock {
        Some(lock) => look(table, request, lock).await?,
        None => Seen::default(),
    };
    for _ in 0..ROUNDS {
        let now = now_ms();
        if let Some(refusal) = refusal(&seen, request, nonce, now)? {
            return Ok(refusal);
        }
        let asked = Asked { request, owner, keep, nonce, now };
        let own = seen.claim.as_ref().filter(|claim| claim.is_claimed(now) && claim.nonce == nonce);
        let grant = match own {
            Some(own) => {
                asked.grant(own.attempts_made, own.counter, own.lock_counter, own.checkpoint.clone())?
            }
            None => match asked.write(table, &seen).await? {
                Ok(grant) => grant,
                Err(failures) => {
                    seen = match (&request.lock, failures.into_iter().next()) {
                        (None, Some(Failure::Unmet(item))) => {
                            Seen { claim: item.map(|item| *item), lock: None }
                        }
                        (lock, _) => look(table, request, lock.as_deref().unwrap_or_default()).await?,
                    };
                    continue;
                }
            },
        };
        if request.key != request.job_id && request.job_id.len() <= MAX_JOB_ID_BYTES {
            let until = expiration(now, request.length + keep.history.max(keep.done));
            let alias = Change::of(Id::Alias(&request.job_id)).set("key", string(&request.key));
            if let Err(error) = table.put(alias.set("expiration", number(until))).await {
                // It is only for people.
                tracing::debug!(%error, "a job will not be found by its id");
            }
        }
        return Ok(Admission::Granted(grant));
    }
    Err(StoreError(format!("DynamoDB: the item of the key {:?} changes all the time", request.key)))
}

async fn look(table: &Table, request: &ClaimRequest, lock: &str) -> Result<Seen, StoreError> {
    let (claim, lock) = tokio::try_join!(
        table.read_even_expired(Id::Claim(&request.key)),
        table.read_even_expired(Id::Lock(lock)),
    )?;
    Ok(Seen { claim, lock })
}

/// Why the claim is not granted.
fn refusal(
    seen: &Seen,
    request: &ClaimRequest,
    nonce: u64,
    now: u64,
) -> Result<Option<Admission>, StoreError> {
    if let Some(claim) = seen.claim.as_ref().filter(|claim| !claim.is_expired(now)) {
        let is_claimed = claim.is_claimed(now);
        if (is_claimed || claim.is_done()) && claim.validation != validation(request) {
            return Ok(Some(Admission::Mismatch));
        }
        if claim.is_done() {
            return Ok(Some(Admission::Done(claim.data.clone().map(raw).transpose()?)));
        }
        if let Some(verdict) = claim.verdict.as_ref().filter(|_| *claim.message_id == *request.message_id) {
            return Ok(Some(Admission::Condemned(verdict.clone())));
        }
        if is_claimed {
            let left = Duration::from_millis(claim.until - now);
            return Ok((claim.nonce != nonce).then_some(Admission::Held(left)));
        }
    }
    let locked = seen.lock.as_ref().filter(|lock| lock.until > now);
    Ok(locked.map(|lock| Admission::Locked(Duration::from_millis(lock.until - now))))
}

fn validation(request: &ClaimRequest) -> String {
    format!("{:032x}", request.payload_hash)
}

/// A request, and who makes it when.
struct Asked<'a> {
    request: &'a ClaimRequest,
    owner: &'a Arc<str>,
    keep: Keep,
    nonce: u64,
    now: u64,
}

impl Asked<'_> {
    /// Writes the claim and its lock, if what was seen is still so.
    async fn write(&self, table: &Table, seen: &Seen) -> Result<Result<Grant, Vec<Failure>>, StoreError> {
        let Self { request, nonce, now, .. } = *self;
        let before = seen.claim.as_ref().filter(|claim| !claim.is_expired(now));
        let same_message = before.filter(|before| *before.message_id == *request.message_id);
        let attempt = same_message.map_or(0, |before| before.attempts_made) + 1;
        let same_payload = before.filter(|before| before.validation == validation(request));
        let checkpoint = same_payload.and_then(|before| before.checkpoint.clone());
        // Those of items that only count as absent may as well go on.
        let next = |item: Option<&Item>| item.map_or(0, |item| item.counter) + 1;
        let counter = next(seen.claim.as_ref());
        let lock_counter = if request.lock.is_some() { next(seen.lock.as_ref()) } else { 0 };

        let mut claim = self
            .take(Id::Claim(&request.key), seen.claim.as_ref(), counter)
            .set("status", string(INPROGRESS))
            .set("validation", string(&validation(request)))
            .set("job_id", string(&request.job_id))
            .set("job_type", string(&request.job_type))
            .set("queue", string(&request.queue))
            .set("message_id", string(&request.message_id))
            .set("attempts", number(u64::from(attempt)))
            .set("nonce", number(nonce))
            .set("lock_counter", number(lock_counter))
            .remove("verdict")
            .remove("data");
        if checkpoint.is_none() {
            claim = claim.remove("checkpoint");
        }
        let lock = request.lock.as_ref();
        let lock = lock.map(|lock| self.take(Id::Lock(lock), seen.lock.as_ref(), lock_counter));
        match table.write([Some(claim), lock].into_iter().flatten().collect()).await? {
            Ok(()) => Ok(Ok(self.grant(attempt, counter, lock_counter, checkpoint)?)),
            Err(failures) => Ok(Err(failures)),
        }
    }

    /// What claims and locks have in common.
    fn take(&self, id: Id<'_>, seen: Option<&Item>, counter: u64) -> Change {
        let change = Change::of(id);
        let change = match seen {
            Some(seen) => change.only_if_still(seen),
            None => change.only_if_absent(),
        };
        let length = self.request.length;
        change
            .set("owner", string(self.owner))
            .set("counter", number(counter))
            .set("in_progress_expiration", number(after(self.now, length)))
            .set("expiration", number(expiration(self.now, length + self.keep.history)))
    }

    fn grant(
        &self,
        attempt: u32,
        counter: u64,
        lock_counter: u64,
        checkpoint: Option<String>,
    ) -> Result<Grant, StoreError> {
        let claim = Claim {
            key: Arc::clone(&self.request.key),
            owner: Arc::clone(self.owner),
            counter,
            lock: self.request.lock.clone().map(|lock| (lock, lock_counter)),
            job_id: Arc::clone(&self.request.job_id),
        };
        Ok(Grant {
            claim: Arc::new(claim),
            attempt: NonZeroU32::new(attempt).unwrap_or(NonZeroU32::MIN),
            checkpoint: checkpoint.map(raw).transpose()?,
        })
    }
}
