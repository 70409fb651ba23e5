//! The claims in memory, and their bound.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, Ownership, ReleaseClaim};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::clock::Now;
use super::job_ids::JobIds;
use super::record::{Record, Rest, State};
use super::records::{HashedKey, Records};
use crate::forgotten::Forgotten;
use crate::record::{ClaimRecord, JobState};
use crate::store::{Retention, StoreError};

/// How many claims the memory store remembers. Beyond that it forgets a few of those granted longest ago, and a duplicate of such a
/// job runs again. At 1,000 jobs a second that is after 100 seconds, when nearly all duplicates of SQS's own making have
/// come; and it is some 30 MB. What is done is remembered for at least half as many further claims.
pub const MAX_RECORDS: usize = 100_000;

/// How many bytes of keys, ids, results, checkpoints and verdicts the memory store keeps, with the same consequence.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

/// How many claims are forgotten at once when there are too many. They lie side by side in cold memory, and fetching some of them
/// together takes little longer than fetching one.
pub(super) const FORGOTTEN_AT_ONCE: usize = 32;

/// How many running claims are passed over to find one that may be forgotten. A process runs far fewer jobs than there
/// are records, and each that is passed over is then the last to be forgotten: more than this means that all of them run.
const MAX_PASSED_OVER: usize = 1_000;

/// How many duplicates are found by their own job ids. They are few, and only people ask for them.
const MAX_DUPLICATES: usize = 10_000;

/// How many bytes the job ids of duplicates have, with the keys that they lead to.
const MAX_DUPLICATES_BYTES: usize = 16 * 1024 * 1024;

/// All claims of this process.
#[derive(Debug)]
pub(super) struct Claims {
    owner: Arc<str>,
    keep: Retention,
    records: Records,
    /// Who acquired each lock last. Whether it still holds is for its record to tell, so there are never more of them.
    locks: HashMap<String, Holder>,
    /// The keys of the jobs that others duplicate, by the job ids of those.
    duplicates: JobIds,
    /// The last counter. One for all keys, so that it grows even where a key was forgotten in between.
    fencing_token: u64,
    /// What the records weigh, see [`Record::weight`].
    bytes: usize,
}

#[derive(Debug)]
struct Holder {
    key: Arc<str>,
    fencing_token: u64,
}

impl Claims {
    /// None, of which `owner` will own all.
    pub(super) fn new(owner: Arc<str>, keep: Retention) -> Self {
        Self {
            owner,
            keep,
            records: Records::new(MAX_RECORDS + FORGOTTEN_AT_ONCE),
            locks: HashMap::new(),
            duplicates: JobIds::new(MAX_DUPLICATES, MAX_DUPLICATES_BYTES),
            fencing_token: 0,
            bytes: 0,
        }
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Instant) -> Result<ClaimResult, StoreError> {
        let key = self.records.hashed(request.identity.key());
        let found = self.records.get(key);
        let is_new = found.is_none();
        let known = found.filter(|record| record.is_kept(self.keep, now));
        if let Some(refusal) = known.and_then(|record| record.refusal(request, &self.owner, now)) {
            if let ClaimResult::Done(run) = &refusal
                && *run.job_id != **request.identity.job_id()
            {
                self.duplicates.add(request.identity.job_id(), request.identity.key());
            }
            return Ok(refusal);
        }
        if let Some(holder) = request.lock.as_deref().and_then(|lock| self.holder(lock, now)) {
            return Ok(ClaimResult::Locked(holder.until - now));
        }
        self.make_room(now)?;
        let before = if is_new { None } else { self.records.remove(key) };
        Ok(ClaimResult::Granted(self.grant(request, key, before, now)))
    }

    fn grant(
        &mut self,
        request: &ClaimRequest,
        key: HashedKey<'_>,
        before: Option<Record>,
        now: Instant,
    ) -> Grant {
        if let Some(before) = &before {
            let Self { bytes, locks, .. } = self;
            forget(before, bytes, locks);
        }
        let before = before.filter(|before| before.is_kept(self.keep, now));
        let spared = before.as_ref().filter(|before| before.message_id.is(&request.message_id));
        let spared = spared.map_or(0, |before| before.spared);
        let attempt =
            NonZeroU32::new(request.receive_count.saturating_sub(spared)).unwrap_or(NonZeroU32::MIN);
        let same_payload = before.filter(|before| before.payload_hash == request.payload_hash);
        let checkpoint = same_payload.and_then(|before| before.rest?.checkpoint);

        self.fencing_token += 1;
        if let Some(lock) = &request.lock {
            let holder =
                Holder { key: Arc::clone(request.identity.key()), fencing_token: self.fencing_token };
            self.locks.insert(lock.clone(), holder);
        }
        let rest = Rest {
            lock: request.lock.as_deref().map(Box::from),
            checkpoint: checkpoint.clone(),
            ..Rest::default()
        };
        let record = Record {
            name: (&*request.identity).into(),
            fencing_token: self.fencing_token,
            state: State::Running,
            payload_hash: request.payload_hash,
            queue: Arc::clone(&request.queue),
            message_id: (*request.message_id).into(),
            attempts: attempt.get(),
            spared,
            until: now + request.length,
            rest: rest.boxed(),
        };
        self.bytes += record.weight();
        self.records.add(key, record);
        let claim = Arc::new(Claim {
            identity: Arc::clone(&request.identity),
            owner: Arc::clone(&self.owner),
            fencing_token: self.fencing_token,
            lock: request.lock.clone().map(|lock| (lock, self.fencing_token)),
        });
        Grant { claim, attempt, checkpoint, takeover: None }
    }

    pub(super) fn renew(&mut self, claim: &Claim, length: Duration, now: Instant) -> Ownership {
        if !self.has_lock(claim) {
            return Ownership::Lost;
        }
        self.change(claim, now, |record| record.until = now + length)
    }

    pub(super) fn finish(&mut self, claim: &Claim, result: Option<&RawValue>, now: Instant) -> Ownership {
        let held = self.end(claim, State::Done, now, |record| {
            let result = result.map(ToOwned::to_owned);
            record.change_rest(|rest| Rest { result, checkpoint: None, lock: None, ..rest });
        });
        // What took long would be forgotten soon. Only a claim that is ours has a counter of this store's.
        if held == Ownership::Kept && self.fencing_token - claim.fencing_token > MAX_RECORDS as u64 / 2 {
            self.records.move_to_end(self.records.hashed(claim.identity.key()));
        }
        held
    }

    pub(super) fn release_claim(&mut self, claim: &Claim, how: &ReleaseClaim, now: Instant) -> Ownership {
        let state = if how.dead { State::Dead } else { State::Waiting };
        self.end(claim, state, now, |record| {
            let failure_reason = how.failure_reason.as_deref().map(Box::from);
            record.change_rest(|rest| Rest { failure_reason, lock: None, ..rest });
            if !how.count_attempt {
                record.spared += 1;
                record.attempts = record.attempts.saturating_sub(1);
            }
        })
    }

    /// Ends a claim. What is said twice counts once.
    fn end(
        &mut self,
        claim: &Claim,
        state: State,
        now: Instant,
        write: impl FnOnce(&mut Record),
    ) -> Ownership {
        // A job is not done under a lock that somebody else has by now, but may well be given up.
        let is_fenced = state == State::Done && !self.has_lock(claim);
        let Some(record) = self.record_of(claim, now) else { return Ownership::Lost };
        if record.state == state {
            return Ownership::Kept;
        }
        if record.state != State::Running || is_fenced {
            return Ownership::Lost;
        }
        let before = record.weight();
        write(record);
        record.state = state;
        record.until = now;
        let after = record.weight();
        self.bytes = self.bytes - before + after;
        if let Some((lock, fencing_token)) = &claim.lock {
            unlock(&mut self.locks, lock, *fencing_token);
        }
        Ownership::Kept
    }

    pub(super) fn checkpoint(&mut self, claim: &Claim, value: &RawValue, now: Instant) -> Ownership {
        self.change(claim, now, |record| {
            record.change_rest(|rest| Rest { checkpoint: Some(value.to_owned()), ..rest });
        })
    }

    /// Has a done job count as one that waits, under the same fencing token.
    pub(super) fn forget_done(&mut self, key: &str, now: Instant) -> Forgotten {
        let keep = self.keep;
        let Some(record) =
            self.records.get_mut(self.records.hashed(key)).filter(|record| record.is_kept(keep, now))
        else {
            return Forgotten::Absent;
        };
        if record.is_claimed(now) {
            return Forgotten::Running;
        }
        if record.state != State::Done {
            return Forgotten::NotDone;
        }
        let before = record.weight();
        record.change_rest(|rest| Rest { result: None, ..rest });
        record.state = State::Waiting;
        record.until = now;
        record.attempts = 0;
        let after = record.weight();
        self.bytes = self.bytes - before + after;
        Forgotten::Done
    }

    /// Returns the keys of the claims made under a job id, and of the jobs that it duplicates.
    pub(super) fn keys<'a>(&'a self, job_id: &'a str) -> impl Iterator<Item = String> {
        let made = self.records.of_job(job_id).map(|record| record.name.key());
        made.chain(self.duplicates.keys(job_id).iter().map(ToString::to_string))
    }

    /// Returns the keys and the job ids of the claims written last, the newest first.
    pub(super) fn recent(&self, limit: usize, now: Instant) -> impl Iterator<Item = (String, String)> {
        let kept = self.records.newest_first().filter(move |record| record.is_kept(self.keep, now));
        kept.take(limit).map(|record| (record.name.key(), record.name.job_id_text()))
    }

    /// Returns the record of a key, unless it has expired.
    pub(super) fn of(&self, key: &str, now: Instant) -> Option<&Record> {
        self.records.get(self.records.hashed(key)).filter(|record| record.is_kept(self.keep, now))
    }

    /// Returns a record's claim as it is shown to people.
    pub(super) fn shown(&self, record: &Record, now: Now) -> ClaimRecord {
        let state = match record.state {
            State::Done => JobState::Done,
            State::Running if record.is_claimed(now.instant) => JobState::Running,
            State::Waiting | State::Dead if record.failure_reason().is_some() => JobState::Failed,
            State::Dead => JobState::Dead,
            State::Running | State::Waiting => JobState::Waiting,
        };
        let until = now.epoch_ms(record.until);
        ClaimRecord {
            state,
            key: record.name.key(),
            job_id: record.name.job_id_text(),
            job_type: record.name.job_type().to_owned(),
            queue: record.queue.to_string(),
            message_id: record.message_id.to_string(),
            owner: self.owner.to_string(),
            attempts: record.attempts,
            claimed_until_ms: until,
            finished_at_ms: (state == JobState::Done).then_some(until),
            failure_reason: record.failure_reason().map(str::to_owned),
            result: record.result().and_then(|result| serde_json::from_str(result.get()).ok()),
        }
    }

    /// Writes into the record of a running claim, whether or not it has expired, unless somebody else has it.
    fn change(&mut self, claim: &Claim, now: Instant, write: impl FnOnce(&mut Record)) -> Ownership {
        let record = self.record_of(claim, now).filter(|record| record.state == State::Running);
        let Some(record) = record else { return Ownership::Lost };
        let before = record.weight();
        write(record);
        let after = record.weight();
        self.bytes = self.bytes - before + after;
        Ownership::Kept
    }

    /// The record of a claim, as long as it is the last one of its key.
    fn record_of(&mut self, claim: &Claim, now: Instant) -> Option<&mut Record> {
        let record = self.records.get_mut(self.records.hashed(claim.identity.key()))?;
        let is_last = record.fencing_token == claim.fencing_token && self.owner == claim.owner;
        (is_last && record.is_kept(self.keep, now)).then_some(record)
    }

    /// Who has a lock now.
    fn holder(&self, lock: &str, now: Instant) -> Option<&Record> {
        let holder = self.locks.get(lock)?;
        let record = self.records.get(self.records.hashed(&holder.key))?;
        (record.fencing_token == holder.fencing_token && record.is_claimed(now)).then_some(record)
    }

    /// Whether nobody has taken the claim's lock, if it has one.
    fn has_lock(&self, claim: &Claim) -> bool {
        claim
            .lock
            .as_ref()
            .is_none_or(|(name, fencing_token)| is_locked_by(&self.locks, name, *fencing_token))
    }

    /// Forgets the jobs claimed longest ago if there are too many. One that runs is never forgotten, because then it
    /// could run twice at once: if there is nothing else, the newcomer has to wait.
    fn make_room(&mut self, now: Instant) -> Result<(), StoreError> {
        if !self.is_full() {
            return Ok(());
        }
        let at_once = if self.records.is_full() { FORGOTTEN_AT_ONCE } else { 1 };
        let (mut forgotten, mut passed_over) = (0, 0);
        loop {
            let is_full = self.is_full();
            let Self { records, locks, bytes, .. } = self;
            let Some(oldest) = records.oldest().filter(|_| is_full || forgotten < at_once) else { break };
            if !oldest.is_claimed(now) {
                forget(oldest, bytes, locks);
                records.drop_oldest();
                forgotten += 1;
            } else if !is_full {
                break;
            } else if passed_over == MAX_PASSED_OVER {
                return Err(StoreError::Unanswered(
                    "there are more running jobs than fit into the memory store".into(),
                ));
            } else {
                passed_over += 1;
                records.move_oldest_to_end();
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.records.is_full() || self.bytes > MAX_BYTES
    }
}

/// Takes back what a record has left outside of itself.
fn forget(record: &Record, bytes: &mut usize, locks: &mut HashMap<String, Holder>) {
    *bytes -= record.weight();
    if let Some(lock) = record.rest.as_ref().and_then(|rest| rest.lock.as_deref()) {
        unlock(locks, lock, record.fencing_token);
    }
}

fn is_locked_by(locks: &HashMap<String, Holder>, lock: &str, fencing_token: u64) -> bool {
    locks.get(lock).is_some_and(|holder| holder.fencing_token == fencing_token)
}

fn unlock(locks: &mut HashMap<String, Holder>, lock: &str, fencing_token: u64) {
    if is_locked_by(locks, lock, fencing_token) {
        locks.remove(lock);
    }
}
