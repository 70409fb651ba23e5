//! The claims of one tester, in memory. Its claims do not expire: a run ends or loses its claim.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::core::claim::{Claim, ClaimRequest, ClaimResult, Grant, PriorRun, ReleaseClaim};

/// The name of the worker that a tester represents.
pub(super) const WORKER: &str = "tester";

#[derive(Debug, Default)]
pub(super) struct TestClaims {
    records: HashMap<Arc<str>, Record>,
    last_token: u64,
}

#[derive(Debug)]
struct Record {
    state: State,
    fencing_token: u64,
    payload_hash: u128,
    message_id: Arc<str>,
    queue: Arc<str>,
    lock: Option<String>,
    checkpoint: Option<Box<RawValue>>,
    /// The runs of this message that did not count as attempts.
    spared: u32,
}

#[derive(Debug)]
enum State {
    Running,
    Waiting { failure_reason: Option<String> },
    Done(PriorRun),
}

impl TestClaims {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> ClaimResult {
        let key = request.identity.key();
        if let Some(refusal) = self.records.get(key).and_then(|record| record.refusal(request)) {
            return refusal;
        }
        let is_held = |record: &Record| matches!(record.state, State::Running) && record.lock == request.lock;
        if request.lock.is_some() && self.records.values().any(is_held) {
            return ClaimResult::Locked(request.length);
        }
        let before = self.records.remove(key);
        let of_message = before.as_ref().filter(|record| record.message_id == request.message_id);
        let spared = of_message.map_or(0, |record| record.spared);
        let same_payload = before.filter(|record| record.payload_hash == request.payload_hash);
        let checkpoint = same_payload.and_then(|record| record.checkpoint);
        self.last_token += 1;
        let record = Record {
            state: State::Running,
            fencing_token: self.last_token,
            payload_hash: request.payload_hash,
            message_id: Arc::clone(&request.message_id),
            queue: Arc::clone(&request.queue),
            lock: request.lock.clone(),
            checkpoint: checkpoint.clone(),
            spared,
        };
        self.records.insert(Arc::clone(key), record);
        let claim = Claim {
            identity: Arc::clone(&request.identity),
            owner: WORKER.into(),
            fencing_token: self.last_token,
            lock: request.lock.clone().map(|lock| (lock, self.last_token)),
        };
        let attempt = request.receive_count.saturating_sub(spared);
        ClaimResult::Granted(Grant {
            claim: Arc::new(claim),
            attempt: NonZeroU32::new(attempt).unwrap_or(NonZeroU32::MIN),
            checkpoint,
            takeover: None,
        })
    }

    pub(super) fn checkpoint(&mut self, claim: &Claim, value: &RawValue) {
        if let Some(record) = self.held(claim) {
            record.checkpoint = Some(value.to_owned());
        }
    }

    pub(super) fn finish(&mut self, claim: &Claim, result: Option<&RawValue>) {
        let Some(record) = self.held(claim) else { return };
        let run = PriorRun {
            result: result.map(ToOwned::to_owned),
            job_id: claim.identity.job_id().to_string(),
            message_id: record.message_id.to_string(),
            queue: record.queue.to_string(),
            worker: WORKER.to_owned(),
            finished_at_ms: None,
        };
        record.checkpoint = None;
        record.state = State::Done(run);
    }

    pub(super) fn release(&mut self, claim: &Claim, how: ReleaseClaim) {
        if let Some(record) = self.held(claim) {
            record.spared += u32::from(!how.count_attempt);
            record.state = State::Waiting { failure_reason: how.failure_reason };
        }
    }

    /// Has another run take a claim, and end.
    pub(super) fn take_away(&mut self, claim: &Claim) {
        self.last_token += 1;
        let fencing_token = self.last_token;
        if let Some(record) = self.held(claim) {
            record.state = State::Waiting { failure_reason: None };
            record.fencing_token = fencing_token;
        }
    }

    fn held(&mut self, claim: &Claim) -> Option<&mut Record> {
        let record = self.records.get_mut(claim.identity.key())?;
        let is_held = matches!(record.state, State::Running) && record.fencing_token == claim.fencing_token;
        is_held.then_some(record)
    }
}

impl Record {
    /// Returns the reason for which a claim is not granted, in the order in which stores check.
    fn refusal(&self, request: &ClaimRequest) -> Option<ClaimResult> {
        let is_same = self.payload_hash == request.payload_hash;
        match &self.state {
            State::Running | State::Done(_) if !is_same => Some(ClaimResult::Mismatch),
            State::Running => Some(ClaimResult::Busy(request.length)),
            State::Done(run) => Some(ClaimResult::Done(Box::new(run.clone()))),
            State::Waiting { failure_reason: Some(reason) } if self.message_id == request.message_id => {
                Some(ClaimResult::FailedPermanently(reason.clone()))
            }
            State::Waiting { .. } => None,
        }
    }
}
