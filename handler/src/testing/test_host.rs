//! The host of one run in a test: it provides a host's services, records the run's reports, and causes its faults.

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::bench::Bench;
use super::runtime::machine_time;
use super::trouble::{At, ClaimTrouble, Stop};
use crate::api::attempt_info::AttemptInfo;
use crate::api::event::Event;
use crate::api::observer::Observer;
use crate::api::progress::Progress;
use crate::api::run_environment::{NextError, RunEnvironment};
use crate::core::claim::{Claim, ClaimRequest, ClaimResult, ClaimStep, Claimed, Grant};
use crate::core::control::RunControl;
use crate::core::ids::DeliveryId;
use crate::core::maybe_ready::MaybeReady;
use crate::core::next_job::{NextJob, NextJobs};
use crate::core::policy::{Claims, Policy};

pub(super) struct TestHost {
    pub(super) bench: Bench,
    pub(super) policy: Policy,
    pub(super) control: RunControl,
    pub(super) stop: Option<Stop>,
    pub(super) claim_trouble: Option<ClaimTrouble>,
    /// The checkpoint of every granted claim, in place of the stored one.
    pub(super) given_checkpoint: Option<Box<RawValue>>,
    pub(super) recorded: Mutex<Recorded>,
}

/// The reports of a run so far.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) started: bool,
    pub(super) request: Option<ClaimRequest>,
    pub(super) claim: Option<Arc<Claim>>,
    pub(super) progress: Vec<Progress>,
    pub(super) checkpoint: Option<Box<RawValue>>,
    /// The waits between retries of steps.
    pub(super) waits: Vec<Duration>,
}

impl TestHost {
    pub(super) fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn granted(&self, request: &ClaimRequest) -> ClaimResult {
        match (self.bench.memory().claims.claim(request), &self.given_checkpoint) {
            (ClaimResult::Granted(grant), Some(checkpoint)) => {
                ClaimResult::Granted(Grant { checkpoint: Some(checkpoint.clone()), ..grant })
            }
            (answer, _) => answer,
        }
    }

    /// Stops the run if this is the configured moment, as a host does.
    fn stop_if(&self, is_moment: impl FnOnce(At) -> bool) {
        let Some(stop) = self.stop.filter(|stop| is_moment(stop.at)) else { return };
        if stop.takes_claim
            && let Some(claim) = self.recorded().claim.clone()
        {
            self.bench.memory().claims.take_away(&claim);
        }
        self.control.cancel(stop.reason);
    }

    /// Stops the run if its handler waits for the first time, and that is the configured moment.
    pub(super) fn handler_waits(&self) {
        if self.recorded().started {
            self.stop_if(|at| at == At::FirstWait);
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.bench.runtime.map_or_else(machine_time, |runtime| (runtime.now)())
    }
}

impl RunEnvironment for TestHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        match self.bench.runtime {
            Some(runtime) => (runtime.spawn_blocking)(work),
            None => work(),
        }
    }

    fn observer(&self) -> &dyn Observer {
        self
    }

    fn started(&self, _: DeliveryId, job_type: &Arc<str>) -> MaybeReady<'_, Option<Duration>> {
        MaybeReady::now(self.policy.handler_timeout_by_type.get(&**job_type).copied())
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        self.recorded().request = Some(request.clone());
        MaybeReady::now(match self.claim_trouble {
            _ if self.policy.claims == Claims::Off => Ok(ClaimResult::Unclaimed),
            Some(ClaimTrouble::Busy) => Ok(ClaimResult::Busy(request.length)),
            Some(ClaimTrouble::Locked) => Ok(ClaimResult::Locked(request.length)),
            Some(ClaimTrouble::Unanswered) => Err("the test has it so".to_owned()),
            None => Ok(self.granted(request)),
        })
    }

    fn claimed(&self, _: DeliveryId, answer: Claimed) -> MaybeReady<'_, ()> {
        match answer {
            Claimed::Granted(claim) | Claimed::TakenOver(claim, _) => self.recorded().claim = Some(claim),
            // A ledger repeats the request for a while before it decides so.
            Claimed::Unanswered(_) => self.control.claim_step(match self.policy.claims {
                Claims::BestEffort | Claims::Off => ClaimStep::RunUnclaimed,
                Claims::Required => ClaimStep::GiveUp,
            }),
        }
        MaybeReady::now(())
    }

    fn send_next<'a>(
        &'a self,
        _: &'a AttemptInfo,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Option<NextJobs>, NextError>> {
        MaybeReady::now(Ok(Some(NextJobs(jobs.into()))))
    }

    fn sleep(&self, time: Duration, deadline: Instant) -> MaybeReady<'_, bool> {
        let mut recorded = self.recorded();
        // Without a clock, waits take no time but count.
        let waited: Duration = match self.bench.runtime {
            Some(_) => Duration::ZERO,
            None => recorded.waits.iter().sum(),
        };
        if self.now() + waited + time > deadline {
            return MaybeReady::now(false);
        }
        recorded.waits.push(time);
        let Some(runtime) = self.bench.runtime else { return MaybeReady::now(true) };
        MaybeReady::later(async move {
            (runtime.sleep)(time).await;
            true
        })
    }

    fn linger(&self, time: Duration, _: Instant) -> MaybeReady<'_, bool> {
        // Without a clock, a batch starts once no other message of the test can join it.
        let runtime = self.bench.runtime;
        MaybeReady::later(async move {
            match runtime {
                Some(runtime) => (runtime.sleep)(time).await,
                None => std::future::pending().await,
            }
            true
        })
    }

    /// None: the other messages of a test were already announced.
    fn free_slots(&self) -> usize {
        0
    }

    fn max_receives(&self) -> Option<NonZeroU32> {
        self.policy.receives.at_most()
    }

    fn checkpoint(&self, attempt: &AttemptInfo, value: Box<RawValue>) {
        if let Some(claim) = attempt.claim() {
            self.bench.memory().claims.checkpoint(claim, &value);
        }
        self.recorded().checkpoint = Some(value);
    }

    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.bench.extension.as_deref()
    }
}

impl Observer for TestHost {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::RunStarted { .. } => {
                self.recorded().started = true;
                self.stop_if(|at| at == At::Start);
            }
            Event::Progress { progress, .. } => {
                self.recorded().progress.push((*progress).clone());
                self.stop_if(|at| matches!(at, At::Progress(done) if progress.done >= done));
            }
            _ => {}
        }
    }
}
