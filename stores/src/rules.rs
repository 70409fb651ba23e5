//! The rules of claims and locks, for stores that read and write rows. Each function is a part of one transaction.

mod kept;
mod unreadable;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, Ownership, ReleaseClaim};
use serde::{Deserialize, Serialize};

pub(crate) use self::kept::Kept;
use self::kept::{State, value};
pub(crate) use self::unreadable::Unreadable;
use crate::forgotten::Forgotten;
use crate::store::{Retention, millis};

/// The rows that one transaction reads and writes. Times are in milliseconds since the Unix epoch.
pub(crate) trait Rows {
    type Error;

    /// Returns the record of a key and its expiry, which may have passed.
    fn claim(&mut self, key: &str) -> Result<Option<(Kept, u64)>, Self::Error>;

    fn set_claim(&mut self, key: &str, kept: &Kept, now: u64, expires: u64) -> Result<(), Self::Error>;

    fn lock(&mut self, name: &str) -> Result<Option<Lock>, Self::Error>;

    fn set_lock(&mut self, name: &str, lock: &Lock, expires: u64) -> Result<(), Self::Error>;

    /// Links a key to a job id other than that of its record.
    fn link(&mut self, job_id: &str, key: &str, now: u64, expires: u64) -> Result<(), Self::Error>;
}

/// The last holder of a lock.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// Empty after the lock was released.
    pub(crate) owner: String,
    pub(crate) token: u64,
    pub(crate) until: u64,
}

/// Returns `now` plus `length`.
pub(crate) fn after(now: u64, length: Duration) -> u64 {
    now.saturating_add(millis(length).cast_unsigned())
}

pub(crate) fn claim<R: Rows>(
    rows: &mut R,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Retention,
    now: u64,
) -> Result<ClaimResult, R::Error> {
    let (key, job_id) = (&**request.identity.key(), &**request.identity.job_id());
    let found = rows.claim(key)?;
    // The counter of an expired row continues.
    let token = found.as_ref().map_or(0, |(kept, _)| kept.token) + 1;
    let before = found.filter(|(_, expires)| *expires > now);
    if let Some((kept, expires)) = &before
        && let Some(refusal) = kept.refusal(request, now)
    {
        if matches!(refusal, ClaimResult::Done(_)) && kept.job_id != *job_id {
            rows.link(job_id, key, now, *expires)?;
        }
        return Ok(refusal);
    }
    let until = after(now, request.length);
    let expires = after(until, keep.history);
    let lock = match &request.lock {
        Some(name) => match lock(rows, name, owner, until, expires, now)? {
            Ok(token) => Some((name.clone(), token)),
            Err(left) => return Ok(ClaimResult::Locked(left)),
        },
        None => None,
    };
    let before = before.map(|(kept, _)| kept);
    if let Some(before) = &before
        && before.job_id != *job_id
    {
        // The job can still be found by its earlier id.
        rows.link(&before.job_id, key, now, expires)?;
    }
    let (kept, takeover) = Kept::granted(before.as_ref(), request, owner, token, until);
    rows.set_claim(key, &kept, now, expires)?;
    let claim = Claim {
        identity: Arc::clone(&request.identity),
        owner: Arc::clone(owner),
        fencing_token: token,
        lock,
    };
    Ok(ClaimResult::Granted(Grant {
        claim: Arc::new(claim),
        attempt: NonZeroU32::new(kept.attempts).unwrap_or(NonZeroU32::MIN),
        checkpoint: value(kept.checkpoint.as_deref()),
        takeover,
    }))
}

/// Takes a lock and returns its counter; if another claim holds it, returns the remaining time.
fn lock<R: Rows>(
    rows: &mut R,
    name: &str,
    owner: &str,
    until: u64,
    expires: u64,
    now: u64,
) -> Result<Result<u64, Duration>, R::Error> {
    let last = rows.lock(name)?.unwrap_or_default();
    if !last.owner.is_empty() && last.until > now {
        return Ok(Err(Duration::from_millis(last.until - now)));
    }
    let token = last.token + 1;
    rows.set_lock(name, &Lock { owner: owner.to_owned(), token, until }, expires)?;
    Ok(Ok(token))
}

/// Changes a claim's lock, if it has one. Returns false if another claim has taken it.
fn change_lock<R: Rows>(
    rows: &mut R,
    claim: &Claim,
    owner: &str,
    until: u64,
    expires: u64,
) -> Result<bool, R::Error> {
    let Some((name, token)) = &claim.lock else { return Ok(true) };
    let is_own = |lock: &Lock| *lock.owner == *claim.owner && lock.token == *token;
    if !rows.lock(name)?.as_ref().is_some_and(is_own) {
        return Ok(false);
    }
    rows.set_lock(name, &Lock { owner: owner.to_owned(), token: *token, until }, expires)?;
    Ok(true)
}

/// Returns the record of a claim if it is the latest claim of its key.
fn own<R: Rows>(rows: &mut R, claim: &Claim, now: u64) -> Result<Option<(Kept, u64)>, R::Error> {
    let found = rows.claim(claim.identity.key())?;
    Ok(found.filter(|(kept, expires)| {
        *expires > now && *kept.owner == *claim.owner && kept.token == claim.fencing_token
    }))
}

pub(crate) fn renew<R: Rows>(
    rows: &mut R,
    claim: &Claim,
    length: Duration,
    keep: Retention,
    now: u64,
) -> Result<Ownership, R::Error> {
    let Some((mut kept, _)) = own(rows, claim, now)? else { return Ok(Ownership::Lost) };
    let until = after(now, length);
    let expires = after(until, keep.history);
    if kept.state != State::Running || !change_lock(rows, claim, &claim.owner, until, expires)? {
        return Ok(Ownership::Lost);
    }
    kept.until = until;
    rows.set_claim(claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}

pub(crate) fn finish<R: Rows>(
    rows: &mut R,
    claim: &Claim,
    result: Option<String>,
    keep: Retention,
    now: u64,
) -> Result<Ownership, R::Error> {
    let Some((mut kept, _)) = own(rows, claim, now)? else { return Ok(Ownership::Lost) };
    match kept.state {
        State::Done => return Ok(Ownership::Kept),
        State::Waiting | State::Dead => return Ok(Ownership::Lost),
        State::Running => {}
    }
    if !change_lock(rows, claim, "", 0, after(now, keep.history))? {
        return Ok(Ownership::Lost);
    }
    kept = Kept { state: State::Done, until: now, result, checkpoint: None, unended: 0, ..kept };
    rows.set_claim(claim.identity.key(), &kept, now, after(now, keep.done))?;
    Ok(Ownership::Kept)
}

pub(crate) fn release<R: Rows>(
    rows: &mut R,
    claim: &Claim,
    how: &ReleaseClaim,
    keep: Retention,
    now: u64,
) -> Result<Ownership, R::Error> {
    let Some((mut kept, _)) = own(rows, claim, now)? else { return Ok(Ownership::Lost) };
    match kept.state {
        State::Done => return Ok(Ownership::Lost),
        State::Waiting | State::Dead => return Ok(Ownership::Kept),
        State::Running => {}
    }
    let expires = after(now, keep.history);
    // A lock that another claim holds by now stays with it.
    change_lock(rows, claim, "", 0, expires)?;
    kept.state = if how.dead { State::Dead } else { State::Waiting };
    kept.attempts -= u32::from(!how.count_attempt).min(kept.attempts);
    kept = Kept { until: now, unended: 0, verdict: how.failure_reason.clone(), ..kept };
    rows.set_claim(claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}

/// Turns a done job into one that waits for its next attempt, with the same counter.
pub(crate) fn forget<R: Rows>(
    rows: &mut R,
    key: &str,
    keep: Retention,
    now: u64,
) -> Result<Forgotten, R::Error> {
    let Some((kept, _)) = rows.claim(key)?.filter(|(_, expires)| *expires > now) else {
        return Ok(Forgotten::Absent);
    };
    if kept.is_claimed(now) {
        return Ok(Forgotten::Running);
    }
    if kept.state != State::Done {
        return Ok(Forgotten::NotDone);
    }
    let kept = Kept { state: State::Waiting, until: now, attempts: 0, result: None, ..kept };
    rows.set_claim(key, &kept, now, after(now, keep.history))?;
    Ok(Forgotten::Done)
}

pub(crate) fn checkpoint<R: Rows>(
    rows: &mut R,
    claim: &Claim,
    value: String,
    now: u64,
) -> Result<Ownership, R::Error> {
    let Some((mut kept, expires)) = own(rows, claim, now)? else { return Ok(Ownership::Lost) };
    if kept.state != State::Running {
        return Ok(Ownership::Lost);
    }
    kept.checkpoint = Some(value);
    rows.set_claim(claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}
