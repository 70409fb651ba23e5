//! A record of the memory store, of one identity. Small, because there are many, and most are of jobs that are done: the
//! memory that they take is most of what they cost.

use std::sync::Arc;

use drumline::core::{ClaimRequest, ClaimResult, PriorRun};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::clock::Now;
use super::name::Name;
use super::text::Text;
use crate::store::Retention;

/// As long as a UUID and a little more: SQS's ids are UUIDs.
const SHORT_ID: usize = 38;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: Name,
    /// Of the claim, or the last one.
    pub(super) fencing_token: u64,
    pub(super) state: State,
    pub(super) payload_hash: u128,
    pub(super) queue: Arc<str>,
    pub(super) message_id: Text<SHORT_ID>,
    pub(super) attempts: u32,
    /// Releases of this message that do not count.
    pub(super) spared: u32,
    /// Until when it is claimed; where it is not running, when it ended.
    pub(super) until: Instant,
    /// What most records are without.
    pub(super) rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) lock: Option<Box<str>>,
    pub(super) failure_reason: Option<Box<str>>,
    pub(super) checkpoint: Option<Box<RawValue>>,
    pub(super) result: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Waiting,
    Done,
    /// Its last attempt has failed.
    Dead,
}

impl Record {
    /// Whether it has not expired: an expired one counts as absent.
    pub(super) fn is_kept(&self, keep: Retention, now: Instant) -> bool {
        let kept = if self.state == State::Done { keep.done } else { keep.history };
        self.until + kept > now
    }

    pub(super) fn is_claimed(&self, now: Instant) -> bool {
        self.state == State::Running && self.until > now
    }

    /// Why the claim is not granted, as far as this record can tell.
    pub(super) fn refusal(&self, request: &ClaimRequest, owner: &str, now: Instant) -> Option<ClaimResult> {
        let is_claimed = self.is_claimed(now);
        if (is_claimed || self.state == State::Done) && self.payload_hash != request.payload_hash {
            return Some(ClaimResult::Mismatch);
        }
        if self.state == State::Done {
            return Some(ClaimResult::Done(Box::new(self.run(owner, now))));
        }
        if let Some(failure_reason) = self.failure_reason()
            && self.message_id.is(&request.message_id)
        {
            return Some(ClaimResult::FailedPermanently(failure_reason.to_owned()));
        }
        is_claimed.then(|| ClaimResult::Busy(self.until - now))
    }

    /// The run of a job that is done.
    fn run(&self, owner: &str, now: Instant) -> PriorRun {
        PriorRun {
            result: self.result().map(ToOwned::to_owned),
            job_id: self.name.job_id_text(),
            message_id: self.message_id.to_string(),
            queue: self.queue.to_string(),
            worker: owner.to_owned(),
            finished_at_ms: Some(Now::at(now).epoch_ms(self.until)),
        }
    }

    pub(super) fn failure_reason(&self) -> Option<&str> {
        self.rest.as_ref()?.failure_reason.as_deref()
    }

    pub(super) fn result(&self) -> Option<&RawValue> {
        self.rest.as_ref()?.result.as_deref()
    }

    /// Nothing is left of it but what `change` leaves.
    pub(super) fn change_rest(&mut self, change: impl FnOnce(Rest) -> Rest) {
        let rest = self.rest.take().map(|rest| *rest).unwrap_or_default();
        self.rest = change(rest).boxed();
    }

    /// The bytes that producers and jobs choose.
    pub(super) fn weight(&self) -> usize {
        let name = self.name.weight();
        let rest = self.rest.as_ref().map_or(0, |rest| {
            // Its holder is kept by the lock's name, and has the key.
            let holder = rest.lock.as_ref().map_or(0, |lock| lock.len() + name);
            rest.weight() + holder
        });
        name + self.message_id.len() + rest
    }
}

impl Rest {
    /// Only where there is something.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        let Self { lock, failure_reason, checkpoint, result } = &self;
        let is_empty = lock.is_none() && failure_reason.is_none() && checkpoint.is_none() && result.is_none();
        (!is_empty).then(|| Box::new(self))
    }

    fn weight(&self) -> usize {
        let texts = [&self.lock, &self.failure_reason].map(|text| text.as_ref().map_or(0, |text| text.len()));
        let values =
            [&self.checkpoint, &self.result].map(|value| value.as_ref().map_or(0, |value| value.get().len()));
        texts.iter().chain(&values).sum::<usize>()
    }
}
