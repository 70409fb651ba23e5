//! A naive model of a store of claims, and the requests to it that are in flight.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{Claim, DeliveryId, NextJob, NextJobs, Ownership, Takeover};
use drumline::message::Identity;

/// The state of a job in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Claimed { until: Instant },
    Released,
    Done,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    state: State,
    fencing_token: u64,
    /// The process that claimed it last; `None` if that process had another message.
    process: Option<u32>,
    /// The number of claims of the message in a row that were taken over without an ending.
    unended: u32,
}

/// An answer to a request for a claim.
#[derive(Debug, Clone)]
pub(crate) enum Admitted {
    Granted(Arc<Claim>, Option<Takeover>),
    Done,
    Busy(Duration),
}

/// A request of the worker.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Claim { message: usize, length: Duration },
    Renew { claim: Arc<Claim>, length: Duration },
    Mark { claim: Arc<Claim> },
    Release { claim: Arc<Claim> },
}

/// The store's answer to a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Admitted(Admitted),
    Written(Ownership),
}

/// A request that was not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) delivery: DeliveryId,
    pub(crate) request: Request,
    /// The answer, if the request has reached the store.
    pub(crate) answer: Option<Answer>,
}

/// The records of all jobs, each found by the number of its message.
#[derive(Debug, Default)]
pub(crate) struct Store {
    records: HashMap<usize, Record>,
    /// The number of the process that makes the requests.
    pub(crate) process: u32,
}

impl Store {
    /// Carries out a request.
    pub(crate) fn perform(&mut self, now: Instant, request: &Request) -> Answer {
        match request {
            Request::Claim { message, length } => Answer::Admitted(self.claim(now, *message, *length)),
            Request::Renew { claim, length } => Answer::Written(self.write(claim, |state| match state {
                State::Claimed { .. } => Some(State::Claimed { until: now + *length }),
                State::Released | State::Done => None,
            })),
            Request::Mark { claim } => Answer::Written(self.write(claim, |state| match state {
                State::Claimed { .. } | State::Done => Some(State::Done),
                State::Released => None,
            })),
            Request::Release { claim } => Answer::Written(self.write(claim, |state| match state {
                State::Claimed { .. } | State::Released => Some(State::Released),
                State::Done => None,
            })),
        }
    }

    fn claim(&mut self, now: Instant, message: usize, length: Duration) -> Admitted {
        let new = Record { state: State::Released, fencing_token: 0, process: None, unended: 0 };
        let record = self.records.entry(message).or_insert(new);
        let takeover = match record.state {
            State::Done => return Admitted::Done,
            State::Claimed { until } if until > now => return Admitted::Busy(until - now),
            State::Claimed { .. } => Some(Takeover {
                former_owner: Some(owner(record.process)),
                unended: if record.process.is_some() { record.unended + 1 } else { 0 },
            }),
            State::Released => None,
        };
        *record = Record {
            state: State::Claimed { until: now + length },
            fencing_token: record.fencing_token + 1,
            process: Some(self.process),
            unended: takeover.as_ref().map_or(0, |takeover| takeover.unended),
        };
        let claim = Claim {
            identity: Arc::new(Identity::new("arn", "type", None, format!("m{message}"))),
            owner: owner(record.process),
            fencing_token: record.fencing_token,
            lock: lock_of(message).map(|lock| (lock.to_owned(), record.fencing_token)),
        };
        Admitted::Granted(Arc::new(claim), takeover)
    }

    /// A write with a claim, which is done if the claim still belongs to its owner.
    fn write(&mut self, claim: &Claim, change: impl FnOnce(State) -> Option<State>) -> Ownership {
        let record =
            self.records.get_mut(&number(claim)).filter(|record| record.fencing_token == claim.fencing_token);
        let Some(record) = record else { return Ownership::Lost };
        let Some(state) = change(record.state) else { return Ownership::Lost };
        record.state = state;
        Ownership::Kept
    }

    /// Another worker claims the job with another message, for a short time: the claim has expired by the store's clock.
    pub(crate) fn claim_elsewhere(&mut self, now: Instant, message: usize) {
        if let Some(record) = self.records.get_mut(&message)
            && let State::Claimed { .. } = record.state
        {
            record.state = State::Released;
            self.claim(now, message, Duration::from_secs(10));
            if let Some(record) = self.records.get_mut(&message) {
                record.process = None;
            }
        }
    }

    /// Returns true if a run of the job was marked as done.
    pub(crate) fn is_done(&self, message: usize) -> bool {
        self.records.get(&message).is_some_and(|record| record.state == State::Done)
    }
}

fn owner(process: Option<u32>) -> Arc<str> {
    process.map_or_else(|| "elsewhere".into(), |process| format!("worker {process}").into())
}

/// The lock of a message's job: a third of the jobs have one.
pub(crate) fn lock_of(message: usize) -> Option<&'static str> {
    (message % 3 == 1).then_some("lock")
}

/// The next jobs of a message's job: a fifth of the jobs have one.
pub(crate) fn next_of(message: usize) -> Option<NextJobs> {
    (message % 5 == 2).then(|| NextJobs(vec![NextJob::new(format!("after m{message}"), "next", "{}")].into()))
}

/// The number of the message whose job is claimed.
pub(crate) fn number(claim: &Claim) -> usize {
    claim.identity.id()[1..].parse().expect("a number")
}
