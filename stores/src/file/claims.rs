//! Claims and locks: each function is one transaction's part.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, Ownership, ReleaseClaim};
use rusqlite::{OptionalExtension, Result, Transaction, params};

use super::kept::{Kept, State, value};
use crate::store::{Retention, millis};

/// A row's record; `None` if it is not one that this version can read.
pub(super) fn read(transaction: &Transaction<'_>, key: &str) -> Result<Option<(Kept, i64)>> {
    let mut statement = transaction.prepare_cached("SELECT record, expires FROM claims WHERE key = ?1")?;
    let row: Option<(String, i64)> =
        statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.and_then(|(record, expires)| Some((serde_json::from_str(&record).ok()?, expires))))
}

fn write(transaction: &Transaction<'_>, key: &str, kept: &Kept, now: u64, expires: i64) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO claims (key, job_id, message_id, record, changed, expires)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let changed = kept.until.max(now).cast_signed();
    let record = crate::store::to_json(kept);
    statement.execute(params![key, kept.job_id, kept.message_id, record, changed, expires])?;
    Ok(())
}

pub(super) fn after(now: u64, length: Duration) -> u64 {
    now.saturating_add(millis(length).cast_unsigned())
}

fn expiry(now: u64, keep: Duration) -> i64 {
    after(now, keep).cast_signed()
}

/// Has a key be found by another job id.
fn duplicate(transaction: &Transaction<'_>, job_id: &str, key: &str, now: u64, expires: i64) -> Result<()> {
    let sql = "INSERT INTO duplicates (job_id, key, changed, expires) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (job_id, key) DO UPDATE SET expires = max(expires, excluded.expires)";
    transaction.prepare_cached(sql)?.execute(params![job_id, key, now.cast_signed(), expires])?;
    Ok(())
}

pub(super) fn claim(
    transaction: &Transaction<'_>,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Retention,
    now: u64,
) -> Result<ClaimResult> {
    let (key, job_id) = (&**request.identity.key(), &**request.identity.job_id());
    let found = read(transaction, key)?;
    // The counter of a row that has expired goes on.
    let token = found.as_ref().map_or(0, |(kept, _)| kept.token) + 1;
    let before = found.filter(|(_, expires)| *expires > now.cast_signed());
    if let Some((kept, expires)) = &before
        && let Some(refusal) = kept.refusal(request, now)
    {
        if matches!(refusal, ClaimResult::Done(_)) && kept.job_id != *job_id {
            duplicate(transaction, job_id, key, now, *expires)?;
        }
        return Ok(refusal);
    }
    let until = after(now, request.length);
    let expires = expiry(until, keep.history);
    let lock = match &request.lock {
        Some(name) => match lock(transaction, name, owner, until, expires, now)? {
            Ok(token) => Some((name.clone(), token)),
            Err(left) => return Ok(ClaimResult::Locked(left)),
        },
        None => None,
    };
    let before = before.map(|(kept, _)| kept);
    if let Some(before) = &before
        && before.job_id != *job_id
    {
        // The job is still found by the id that it had before.
        duplicate(transaction, &before.job_id, key, now, expires)?;
    }
    let (kept, takeover) = Kept::granted(before.as_ref(), request, owner, token, until);
    write(transaction, key, &kept, now, expires)?;
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

/// Takes a lock, and returns its counter; or for how long another claim has it.
fn lock(
    transaction: &Transaction<'_>,
    name: &str,
    owner: &str,
    until: u64,
    expires: i64,
    now: u64,
) -> Result<std::result::Result<u64, Duration>> {
    let mut statement =
        transaction.prepare_cached("SELECT owner, token, until FROM locks WHERE name = ?1")?;
    let row: Option<(String, i64, i64)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let (holder, token, held_until) = row.unwrap_or_default();
    if !holder.is_empty() && held_until.cast_unsigned() > now {
        return Ok(Err(Duration::from_millis(held_until.cast_unsigned() - now)));
    }
    let sql = "INSERT OR REPLACE INTO locks (name, owner, token, until, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![name, owner, token + 1, until.cast_signed(), expires];
    transaction.prepare_cached(sql)?.execute(row)?;
    Ok(Ok((token + 1).cast_unsigned()))
}

/// Changes a claim's lock, if it has one. Returns false if another claim has taken it.
fn change_lock(
    transaction: &Transaction<'_>,
    claim: &Claim,
    owner: &str,
    until: u64,
    expires: i64,
) -> Result<bool> {
    let Some((name, token)) = &claim.lock else { return Ok(true) };
    let sql =
        "UPDATE locks SET owner = ?1, until = ?2, expires = ?3 WHERE name = ?4 AND owner = ?5 AND token = ?6";
    let row = params![owner, until.cast_signed(), expires, name, &*claim.owner, token.cast_signed()];
    Ok(transaction.prepare_cached(sql)?.execute(row)? == 1)
}

/// The record of a claim, as long as it is the last one of its key.
fn own(transaction: &Transaction<'_>, claim: &Claim, now: u64) -> Result<Option<(Kept, i64)>> {
    let found = read(transaction, claim.identity.key())?;
    Ok(found.filter(|(kept, expires)| {
        *expires > now.cast_signed() && *kept.owner == *claim.owner && kept.token == claim.fencing_token
    }))
}

pub(super) fn renew(
    transaction: &Transaction<'_>,
    claim: &Claim,
    length: Duration,
    keep: Retention,
    now: u64,
) -> Result<Ownership> {
    let Some((mut kept, _)) = own(transaction, claim, now)? else { return Ok(Ownership::Lost) };
    let until = after(now, length);
    let expires = expiry(until, keep.history);
    if kept.state != State::Running || !change_lock(transaction, claim, &claim.owner, until, expires)? {
        return Ok(Ownership::Lost);
    }
    kept.until = until;
    write(transaction, claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}

pub(super) fn finish(
    transaction: &Transaction<'_>,
    claim: &Claim,
    result: Option<String>,
    keep: Retention,
    now: u64,
) -> Result<Ownership> {
    let Some((mut kept, _)) = own(transaction, claim, now)? else { return Ok(Ownership::Lost) };
    match kept.state {
        State::Done => return Ok(Ownership::Kept),
        State::Waiting | State::Dead => return Ok(Ownership::Lost),
        State::Running => {}
    }
    if !change_lock(transaction, claim, "", 0, expiry(now, keep.history))? {
        return Ok(Ownership::Lost);
    }
    kept = Kept { state: State::Done, until: now, result, checkpoint: None, unended: 0, ..kept };
    write(transaction, claim.identity.key(), &kept, now, expiry(now, keep.done))?;
    Ok(Ownership::Kept)
}

pub(super) fn release(
    transaction: &Transaction<'_>,
    claim: &Claim,
    how: &ReleaseClaim,
    keep: Retention,
    now: u64,
) -> Result<Ownership> {
    let Some((mut kept, _)) = own(transaction, claim, now)? else { return Ok(Ownership::Lost) };
    match kept.state {
        State::Done => return Ok(Ownership::Lost),
        State::Waiting | State::Dead => return Ok(Ownership::Kept),
        State::Running => {}
    }
    let expires = expiry(now, keep.history);
    // A lock that another claim has by now stays that one's.
    change_lock(transaction, claim, "", 0, expires)?;
    kept.state = if how.dead { State::Dead } else { State::Waiting };
    kept.attempts -= u32::from(!how.count_attempt).min(kept.attempts);
    kept = Kept { until: now, unended: 0, verdict: how.failure_reason.clone(), ..kept };
    write(transaction, claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}

pub(super) fn checkpoint(
    transaction: &Transaction<'_>,
    claim: &Claim,
    value: String,
    now: u64,
) -> Result<Ownership> {
    let Some((mut kept, expires)) = own(transaction, claim, now)? else { return Ok(Ownership::Lost) };
    if kept.state != State::Running {
        return Ok(Ownership::Lost);
    }
    kept.checkpoint = Some(value);
    write(transaction, claim.identity.key(), &kept, now, expires)?;
    Ok(Ownership::Kept)
}
