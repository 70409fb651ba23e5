//! The claims in memory, and their bound.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Claim, ClaimRequest, Grant, Held, Surrender};
use lru::LruCache;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::record::{ClaimRecord, JobState};
use crate::store::{Keep, StoreError};

/// How many keys the memory store remembers. Beyond that it forgets the one used longest ago, and a duplicate of that
/// job runs again. At 1,000 jobs a second that is after 100 seconds, when nearly all duplicates of SQS's own making have
/// come; and it is some 50 MB.
pub const MAX_RECORDS: usize = 100_000;

/// How many bytes of keys, ids, results, checkpoints and verdicts the memory store keeps, with the same consequence.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

/// How many running claims are passed over to find one that may be forgotten. A process runs far fewer jobs than there
/// are records, and each that is passed over is then the one used last: more than this means that all of them run.
const MAX_PASSED_OVER: usize = 1_000;

/// All claims of this process.
#[derive(Debug)]
pub(super) struct Claims {
    keep: Keep,
    records: LruCache<Key, Record>,
    /// Who acquired each lock last. Whether it still holds is for its record to tell, so there are never more of them.
    locks: HashMap<String, Arc<Claim>>,
    /// By which key a job is found that has another one than its id.
    aliases: LruCache<String, Key>,
    /// The last counter. One for all keys, so that it grows even where a key was forgotten in between.
    counter: u64,
    /// What the records weigh, see [`Record::weight`].
    bytes: usize,
}

/// A claim's key, without a copy of it.
#[derive(Debug, Clone)]
struct Key(Arc<Claim>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0.key
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Key {}

#[derive(Debug)]
struct Record {
    /// The claim, or the last one.
    claim: Arc<Claim>,
    state: State,
    payload_hash: u128,
    job_type: Arc<str>,
    queue: Arc<str>,
    message_id: String,
    attempts: u32,
    /// Surrenders of this message that do not count.
    spared: u32,
    verdict: Option<Box<str>>,
    checkpoint: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    /// Until when it is claimed.
    until: Instant,
    /// From when on the record counts as absent.
    expires: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Waiting,
    Done,
}

impl Record {
    fn is_claimed(&self, now: Instant) -> bool {
        self.state == State::Running && self.until > now
    }

    fn is_of(&self, claim: &Claim) -> bool {
        self.claim.counter == claim.counter && self.claim.owner == claim.owner
    }

    /// Why the claim is not granted, as far as this record can tell.
    fn refusal(&self, request: &ClaimRequest, now: Instant) -> Option<Admission> {
        let is_claimed = self.is_claimed(now);
        if (is_claimed || self.state == State::Done) && self.payload_hash != request.payload_hash {
            return Some(Admission::Mismatch);
        }
        if self.state == State::Done {
            return Some(Admission::Done(self.result.clone()));
        }
        if let Some(verdict) = &self.verdict
            && self.message_id == request.message_id
        {
            return Some(Admission::Condemned(verdict.to_string()));
        }
        is_claimed.then(|| Admission::Held(self.until - now))
    }

    /// The bytes that are somebody else's to choose.
    fn weight(&self) -> usize {
        let value = |value: &Option<Box<RawValue>>| value.as_ref().map_or(0, |value| value.get().len());
        let lock = self.claim.lock.as_ref().map_or(0, |(name, _)| name.len());
        let verdict = self.verdict.as_ref().map_or(0, |verdict| verdict.len());
        let ids = self.claim.key.len() + self.claim.job_id.len() + self.message_id.len();
        ids + lock + verdict + value(&self.checkpoint) + value(&self.result)
    }
}

impl Claims {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            // Unbounded for the cache, which would allocate all its space at once: the bounds are kept here.
            records: LruCache::unbounded(),
            locks: HashMap::new(),
            aliases: LruCache::unbounded(),
            counter: 0,
            bytes: 0,
        }
    }

    pub(super) fn claim(
        &mut self,
        request: &ClaimRequest,
        owner: &Arc<str>,
        now: Instant,
    ) -> Result<Admission, StoreError> {
        let found = self.records.get(request.key.as_str());
        let is_new = found.is_none();
        let known = found.filter(|record| record.expires > now);
        if let Some(refusal) = known.and_then(|record| record.refusal(request, now)) {
            return Ok(refusal);
        }
        if let Some(holder) = request.lock.as_deref().and_then(|lock| self.holder(lock, now)) {
            return Ok(Admission::Locked(holder.until - now));
        }
        self.make_room(now)?;
        let before = if is_new { None } else { self.records.pop(request.key.as_str()) };
        Ok(Admission::Granted(self.grant(request, before, owner, now)))
    }

    fn grant(
        &mut self,
        request: &ClaimRequest,
        before: Option<Record>,
        owner: &Arc<str>,
        now: Instant,
    ) -> Grant {
        if let Some(before) = &before {
            self.forget(before);
        }
        let before = before.filter(|before| before.expires > now);
        let spared = before.as_ref().filter(|before| before.message_id == request.message_id);
        let spared = spared.map_or(0, |before| before.spared);
        let attempt =
            NonZeroU32::new(request.receive_count.saturating_sub(spared)).unwrap_or(NonZeroU32::MIN);
        let same_payload = before.filter(|before| before.payload_hash == request.payload_hash);
        let checkpoint = same_payload.and_then(|before| before.checkpoint);

        self.counter += 1;
        let claim = Arc::new(Claim {
            key: request.key.clone(),
            owner: Arc::clone(owner),
            counter: self.counter,
            lock: request.lock.clone().map(|lock| (lock, self.counter)),
            job_id: request.job_id.clone(),
        });
        if let Some(lock) = &request.lock {
            self.locks.insert(lock.clone(), Arc::clone(&claim));
        }
        if request.key != request.job_id {
            self.aliases.put(request.job_id.clone(), Key(Arc::clone(&claim)));
            if self.aliases.len() > MAX_RECORDS {
                self.aliases.pop_lru();
            }
        }
        let record = Record {
            claim: Arc::clone(&claim),
            state: State::Running,
            payload_hash: request.payload_hash,
            job_type: Arc::clone(&request.job_type),
            queue: Arc::clone(&request.queue),
            message_id: request.message_id.clone(),
            attempts: attempt.get(),
            spared,
            verdict: None,
            checkpoint: checkpoint.clone(),
            result: None,
            until: now + request.length,
            expires: now + request.length + self.keep.history,
        };
        self.bytes += record.weight();
        self.records.put(Key(Arc::clone(&claim)), record);
        Grant { claim, attempt, checkpoint }
    }

    pub(super) fn renew(&mut self, claim: &Claim, length: Duration, now: Instant) -> Held {
        let history = self.keep.history;
        if !self.has_lock(claim) {
            return Held::Lost;
        }
        self.change(claim, now, |record| {
            record.until = now + length;
            record.expires = now + length + history;
        })
    }

    pub(super) fn finish(&mut self, claim: &Claim, result: Option<&RawValue>, now: Instant) -> Held {
        let done = self.keep.done;
        if let Some(record) = self.records.peek(claim.key.as_str())
            && record.is_of(claim)
            && record.state == State::Done
            && record.expires > now
        {
            return Held::Ours;
        }
        if !self.has_lock(claim) {
            return Held::Lost;
        }
        let held = self.change(claim, now, |record| {
            record.state = State::Done;
            record.result = result.map(ToOwned::to_owned);
            record.checkpoint = None;
            record.expires = now + done;
        });
        if held == Held::Ours {
            self.unlock(claim);
        }
        held
    }

    pub(super) fn surrender(&mut self, claim: &Claim, how: &Surrender, now: Instant) -> Held {
        let history = self.keep.history;
        if let Some(record) = self.records.peek(claim.key.as_str())
            && record.is_of(claim)
            && record.state == State::Waiting
            && record.expires > now
        {
            return Held::Ours;
        }
        let held = self.change(claim, now, |record| {
            record.state = State::Waiting;
            record.until = now;
            record.expires = now + history;
            record.verdict = how.verdict.as_deref().map(Box::from);
            if how.spared {
                record.spared += 1;
                record.attempts = record.attempts.saturating_sub(1);
            }
        });
        if held == Held::Ours {
            self.unlock(claim);
        }
        held
    }

    pub(super) fn checkpoint(&mut self, claim: &Claim, value: &RawValue, now: Instant) -> Held {
        self.change(claim, now, |record| record.checkpoint = Some(value.to_owned()))
    }

    /// The claim of a job; `epoch_ms` tells an instant as people do.
    pub(super) fn of_job(
        &self,
        job_id: &str,
        now: Instant,
        epoch_ms: impl Fn(Instant, Instant) -> u64,
    ) -> Option<ClaimRecord> {
        let key = self.aliases.peek(job_id).map_or(job_id, |key| key.borrow());
        let record = self.records.peek(key).filter(|record| record.expires > now)?;
        if record.claim.job_id != job_id {
            // The key has gone to another job.
            return None;
        }
        let state = match record.state {
            State::Done => JobState::Done,
            State::Running if record.is_claimed(now) => JobState::Running,
            State::Waiting if record.verdict.is_some() => JobState::Failed,
            State::Running | State::Waiting => JobState::Waiting,
        };
        Some(ClaimRecord {
            state,
            key: record.claim.key.clone(),
            job_type: record.job_type.to_string(),
            queue: record.queue.to_string(),
            message_id: record.message_id.clone(),
            owner: record.claim.owner.to_string(),
            attempts: record.attempts,
            claimed_until_ms: epoch_ms(record.until, now),
            verdict: record.verdict.as_deref().map(str::to_owned),
            result: record.result.as_ref().and_then(|result| serde_json::from_str(result.get()).ok()),
        })
    }

    /// Writes into the record of a running claim, whether or not it has expired, unless somebody else has it.
    fn change(&mut self, claim: &Claim, now: Instant, write: impl FnOnce(&mut Record)) -> Held {
        let Some(record) = self.records.get_mut(claim.key.as_str()) else { return Held::Lost };
        if record.expires <= now || record.state != State::Running || !record.is_of(claim) {
            return Held::Lost;
        }
        self.bytes -= record.weight();
        write(record);
        self.bytes += record.weight();
        Held::Ours
    }

    /// Who has a lock now.
    fn holder(&self, lock: &str, now: Instant) -> Option<&Record> {
        let claim = self.locks.get(lock)?;
        let record = self.records.peek(claim.key.as_str())?;
        (record.is_of(claim) && record.is_claimed(now)).then_some(record)
    }

    /// Whether nobody has taken the claim's lock, if it has one.
    fn has_lock(&self, claim: &Claim) -> bool {
        claim.lock.as_ref().is_none_or(|(name, counter)| {
            self.locks
                .get(name)
                .is_some_and(|holder| holder.counter == *counter && holder.owner == claim.owner)
        })
    }

    fn unlock(&mut self, claim: &Claim) {
        if let Some((name, _)) = &claim.lock
            && self.has_lock(claim)
        {
            self.locks.remove(name);
        }
    }

    /// Takes back what a record has left outside of itself.
    fn forget(&mut self, record: &Record) {
        self.bytes -= record.weight();
        self.unlock(&record.claim);
    }

    /// Forgets the jobs used longest ago where there are too many. One that runs is never forgotten, because then it
    /// could run twice at once: where there is nothing else, the newcomer has to wait.
    fn make_room(&mut self, now: Instant) -> Result<(), StoreError> {
        let mut passed_over = 0;
        while self.records.len() >= MAX_RECORDS || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.records.peek_lru() else { break };
            if oldest.is_claimed(now) {
                if passed_over == MAX_PASSED_OVER {
                    return Err(StoreError(
                        "there are more running jobs than fit into the memory store".to_owned(),
                    ));
                }
                passed_over += 1;
                let claim = Arc::clone(&oldest.claim);
                self.records.promote(claim.key.as_str());
            } else if let Some((_, oldest)) = self.records.pop_lru() {
                self.forget(&oldest);
            }
        }
        Ok(())
    }
}
