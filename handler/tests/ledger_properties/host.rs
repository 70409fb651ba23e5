//! A host on virtual time, between a ledger and the model of SQS, driven by a script.

mod claims;
mod limits;
mod looks;
mod steps;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{
    Action, Call, CallError, CancelReason, Claim, Claims, DeliveryId, DrainSummary, Effect, Ending, Jitter,
    JobResult, Ledger, LedgerEvent, Limits, MAX_RECEIVE, Outcome, PauseReason, Permit, Policy, Receive,
    Replies, RunReport, SlotPool, SlotRules,
};
use drumline::message::Message;
use serde_json::value::RawValue;

use crate::rival::Rival;
use crate::script::Setting;
use crate::sqs::{Sqs, index};
use crate::store::{Asked, Request, Store, lock_of, next_of, number};
use crate::watch::Watch;
use claims::{Reply, RunClaim};

/// Hosts abandon every call after this time: a call without an answer by then never gets one.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that a receive waits for messages.
pub(crate) const WAIT_TIME: Duration = Duration::from_secs(20);

/// Longer than the 20 s of a receive and the 15 s after which it counts as hanging.
const OVERDUE: Duration = Duration::from_secs(35);

/// The time that every drain gets beyond its grace.
pub(crate) const LAST_SECONDS: Duration = Duration::from_secs(3);

pub(crate) struct Run {
    delivery: DeliveryId,
    pub(crate) message: usize,
    cancelled: Option<CancelReason>,
    aborted: bool,
    /// Every fourth message's handler blocks its thread, and cannot be dropped.
    blocks: bool,
    claim: RunClaim,
    /// The ledger has decided that it ends without its claim.
    gives_up: bool,
    permit: Option<Permit>,
}

impl Run {
    /// Returns true if its handler has started.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.claim, RunClaim::Kept(_) | RunClaim::None)
    }

    /// Returns true if it has taken a claim over, and waits until it may run alone.
    fn is_isolated(&self) -> bool {
        matches!(self.claim, RunClaim::TakenOver(_))
    }

    fn holds(&self, claim: &Arc<Claim>) -> bool {
        matches!(&self.claim, RunClaim::Kept(held) | RunClaim::TakenOver(held) if held == claim)
    }
}

pub(crate) struct InFlight {
    call: Call,
    asked_at: Instant,
    /// SQS's answers, if the call has reached it.
    replies: Option<Replies>,
}

pub(crate) struct Host {
    pub(crate) ledger: Ledger,
    /// The limits of the process, if some of its jobs are limited.
    limits: Option<Limits>,
    pub(crate) sqs: Sqs,
    pub(crate) watch: Watch,
    pub(crate) now: Instant,
    on_lambda: bool,
    pub(crate) runs: Vec<Run>,
    pub(crate) in_flight: Vec<InFlight>,
    store: Store,
    pub(crate) asked: Vec<Asked>,
    told: Vec<(DeliveryId, Reply)>,
    store_is_down: bool,
    /// Deliveries whose handlers have succeeded, and that have no outcome before their mark.
    marking: HashSet<DeliveryId>,
    answered: Vec<(Call, Replies)>,
    pub(crate) open: Vec<(Receive, Instant)>,
    brought_too_late: usize,
    draws: u32,
    /// Drops every note, as a host without telemetry does.
    pub(crate) drops_notes: bool,
    /// Every effect except the notes, if they are compared.
    pub(crate) trace: Option<Vec<String>>,
    /// The slots that it shares, if it does.
    pool: Option<SlotPool>,
    rival: Option<Rival>,
}

#[allow(clippy::disallowed_methods)]
pub(crate) fn some_instant() -> Instant {
    Instant::now()
}

impl Host {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self::at(some_instant(), setting)
    }

    /// Like [`new`](Self::new), on a clock that starts at `now`.
    pub(crate) fn at(now: Instant, setting: &Setting) -> Self {
        let mut host = Self::with(now, setting.policy(), setting.max_receives());
        if setting.is_limited {
            host.limit_jobs();
        }
        if setting.shares_slots {
            let slots = setting.policy().concurrency.max(NonZeroUsize::new(2).unwrap());
            let pool = SlotPool::new(slots);
            host.rival = Some(Rival::new(now, &pool, slots));
            host.pool = Some(pool);
            host.restart(&setting.policy());
        }
        if setting.is_quick {
            host.runs_short_jobs();
        }
        host
    }

    /// Its jobs take no time and its receives some, until the ledger has measured both.
    fn runs_short_jobs(&mut self) {
        // After this it is no longer careful.
        for _ in 0..3 {
            self.wait(WAIT_TIME);
            self.obliges();
        }
        for _ in 0..6 {
            for _ in 0..MAX_RECEIVE {
                self.sqs.send(self.now, 0, 0);
            }
            self.wait(Duration::from_millis(10));
            self.obliges();
        }
        // Events before the script do not count as seen.
        self.watch.seen.clear();
    }

    /// The other queue that shares the slots leaves, and all slots are free for this one.
    pub(crate) fn loses_rival(&mut self) {
        self.rival = None;
        self.act();
    }

    pub(crate) fn rival_acts(&mut self, pick: usize, how: u8) {
        if let Some(rival) = &mut self.rival {
            rival.acts(self.now, pick, how);
        }
        self.act();
    }

    /// The number of slots of runs that have not ended.
    pub(crate) fn slots_in_use(&self) -> usize {
        self.pool.as_ref().map_or(0, |pool| pool.snapshot().iter().map(|member| member.running).sum())
    }

    /// A host with this policy, on a queue with this `maxReceiveCount`.
    pub(crate) fn with(now: Instant, policy: Policy, max_receives: u32) -> Self {
        let mut host = Self {
            sqs: Sqs::new(policy.fifo, policy.lease, max_receives),
            watch: Watch::new(policy.clone()),
            now,
            on_lambda: policy.polling.is_none(),
            ledger: Ledger::new(policy).unwrap(),
            limits: None,
            runs: Vec::new(),
            in_flight: Vec::new(),
            store: Store::default(),
            asked: Vec::new(),
            told: Vec::new(),
            store_is_down: false,
            marking: HashSet::new(),
            answered: Vec::new(),
            open: Vec::new(),
            brought_too_late: 0,
            draws: 1,
            drops_notes: false,
            trace: None,
            pool: None,
            rival: None,
        };
        host.act();
        host
    }

    /// Starts a new process: it knows nothing of the old one, whose calls and receives are gone.
    pub(crate) fn restart(&mut self, policy: &Policy) {
        self.watch = self.watch.of_next_process(policy.clone());
        self.store.process += 1;
        self.ledger = Ledger::new(policy.clone()).unwrap();
        if let Some(pool) = &self.pool {
            self.ledger.join_pool(pool.join("queue", SlotRules::default()));
        }
        self.runs.clear();
        if self.limits.is_some() {
            self.limit_jobs();
        }
        self.in_flight.clear();
        self.asked.clear();
        self.told.clear();
        self.marking.clear();
        self.answered.clear();
        self.open.clear();
        self.brought_too_late = 0;
        self.act();
    }

    pub(crate) fn end(&mut self, pick: usize, ending: Ending, job_type: Option<&str>) {
        let run = self.runs.remove(pick);
        let is_marked = ending == Ending::Done && matches!(run.claim, RunClaim::Kept(_));
        let next = next_of(run.message).filter(|_| is_marked);
        // A job with next jobs is not done before they are added, with its mark.
        let is_done = matches!(ending, Ending::Done | Ending::DoneBefore(_)) && next.is_none();
        self.watch.ends(run.message, is_done);
        let jitter = self.jitter();
        if is_marked {
            self.watch.needs_mark(run.delivery);
            self.marking.insert(run.delivery);
        }
        let reason = match ending {
            Ending::OutOfResources { .. } => Some(PauseReason::OutOfResources),
            Ending::TargetUnhealthy { .. } => Some(PauseReason::TargetUnhealthy),
            _ => None,
        };
        if let Some(reason) = reason.filter(|_| !self.on_lambda) {
            self.watch.is_no_attempt(run.delivery, reason, self.now);
            // Repeated answers go to the same run.
            self.told.retain(|(delivery, _)| *delivery != run.delivery);
        }
        let lock = lock_of(run.message).filter(|_| matches!(ending, Ending::Busy { .. }));
        if lock.is_some() {
            self.watch.is_locked(run.delivery);
            self.told.retain(|(delivery, _)| *delivery != run.delivery);
        }
        let limited = run.claim.limited();
        if limited.is_some() {
            self.watch.is_locked(run.delivery);
        }
        let mut report =
            RunReport { lock: lock.map(Into::into), ..RunReport::new(ending, job_type.map(Into::into)) };
        (report.limited, report.permit) = (limited.map(Box::new), run.permit);
        // Half of the jobs have a result.
        report.result = run.message.is_multiple_of(2).then(|| JobResult(RawValue::TRUE.to_owned().into()));
        report.next = next;
        self.ledger.ended(self.now, run.delivery, report, jitter);
        self.sees_holds();
        self.act();
    }

    /// A call reaches SQS. Two bits of `fates` for each entry: most entries are carried out and confirmed; one in four fails,
    /// carried out or not.
    fn arrive(&mut self, position: usize, fates: u16) {
        let InFlight { call, replies, .. } = &mut self.in_flight[position];
        if replies.is_some() {
            return;
        }
        let (now, sqs) = (self.now, &mut self.sqs);
        let mut entry = 0;
        let mut meets_its_fate = |perform: &mut dyn FnMut(&mut Sqs) -> Result<(), CallError>| {
            let fate = (fates.rotate_right(entry * 2) & 3, fates & 0x4000);
            entry += 1;
            match fate {
                (3, 0) => failed(),
                (3, _) => perform(sqs).and_then(|()| failed()),
                _ => perform(sqs),
            }
        };
        *replies = Some(match &call.action {
            Action::Delete(entries) => entries
                .iter()
                .map(|entry| meets_its_fate(&mut |sqs| sqs.delete(now, &entry.receipt)))
                .collect(),
            Action::ChangeVisibility(entries) => entries
                .iter()
                .map(|entry| {
                    let secs = entry.visibility_secs;
                    meets_its_fate(&mut |sqs| sqs.change_visibility(now, &entry.receipt, secs))
                })
                .collect(),
            Action::DeadLetter { .. } => vec![meets_its_fate(&mut |_| Ok(()))],
        });
    }

    pub(crate) fn answer(&mut self, pick: usize, fates: u16, results: usize) {
        let Some(position) = pick.checked_rem(self.in_flight.len()) else { return };
        self.arrive(position, fates);
        let InFlight { call, asked_at, replies } = self.in_flight.remove(position);
        let mut replies = replies.unwrap();
        replies.truncate(results);
        let results: Vec<bool> = replies.iter().map(Result::is_ok).collect();
        self.watch.answered(&call, asked_at, &results);
        self.answered.push((call.clone(), replies.clone()));
        let jitter = self.jitter();
        self.ledger.called(self.now, call.id, replies, jitter);
        self.act();
    }

    pub(crate) fn drain(&mut self, grace: Duration) {
        self.watch.drains = true;
        self.ledger.drain(self.now, grace);
        self.act();
    }

    /// Time passes; everything that becomes due in it happens when it is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.ledger.timeout().filter(|at| *at <= end) {
            self.now = at;
            self.act();
        }
        self.now = end;
        self.in_flight.retain(|call| self.now <= call.asked_at + CALL_TIMEOUT);
        self.act();
    }

    /// Every call succeeds for one round. Returns true if there was anything to do.
    pub(crate) fn obliges(&mut self) -> bool {
        if self.on_lambda {
            self.land(0, false);
        }
        for _ in 0..self.open.len() {
            // A receive from an empty queue ends when the wait time is over.
            let is_over = |(_, since): &(Receive, Instant)| *since + WAIT_TIME <= self.now;
            let has_message = self.sqs.has_message(self.now);
            if let Some(pick) = self.open.iter().position(|open| has_message || is_over(open)) {
                self.land(pick, false);
            }
        }
        let busy = !self.runs.is_empty() || !self.in_flight.is_empty() || !self.asked.is_empty();
        while !self.runs.is_empty() || !self.in_flight.is_empty() || !self.asked.is_empty() {
            self.store_obliges();
            let only_isolated = !self.runs.is_empty() && self.runs.iter().all(Run::is_isolated);
            if only_isolated && self.in_flight.is_empty() {
                // It starts when nothing else is in hand, for example a call that is soon repeated.
                let timeout = self.ledger.timeout().expect("there is a time at which the other's turn comes");
                self.wait(timeout.saturating_duration_since(self.now));
            }
            while let Some(pick) = self.runs.iter().position(Run::has_begun) {
                self.end(pick, Ending::Done, None);
            }
            while !self.in_flight.is_empty() {
                self.answer(0, 0, usize::MAX);
            }
        }
        busy
    }

    /// Every call succeeds except SQS's, which carries nothing out. Returns the deliveries of the failed deletes that were
    /// requested since then: the delivery of an older one may have left.
    pub(crate) fn fails_every_call(&mut self, since: Instant) -> Vec<DeliveryId> {
        for _ in 0..self.open.len() {
            self.land(0, false);
        }
        while !self.asked.is_empty() {
            self.answer_claim(0, 0);
        }
        while !self.runs.is_empty() {
            self.end(0, Ending::Done, None);
        }
        let mut deletes = Vec::new();
        while let Some(InFlight { call, asked_at, replies }) = self.in_flight.first_mut() {
            let deliveries = call.action.deliveries();
            // Calls that have reached SQS before keep their answers.
            if replies.is_none() && *asked_at > since && matches!(call.action, Action::Delete(_)) {
                deletes.extend(deliveries.clone());
            }
            replies.get_or_insert_with(|| vec![failed(); deliveries.len()]);
            self.answer(0, 0, usize::MAX);
        }
        deletes
    }

    /// Every run ends, and no call is ever answered.
    pub(crate) fn falls_silent(&mut self) {
        self.in_flight.clear();
        self.asked.clear();
        while !self.runs.is_empty() {
            let reason = "no route".to_owned();
            let has_begun = self.runs[0].has_begun();
            self.end(0, if has_begun { Ending::Done } else { Ending::StoreUnavailable { reason } }, None);
        }
        self.asked.clear();
    }

    pub(crate) fn drained(&self) -> Option<DrainSummary> {
        self.ledger.drained()
    }

    fn act(&mut self) {
        loop {
            self.ledger.tick(self.now);
            while let Some(effect) = self.ledger.next_effect() {
                self.perform(effect);
            }
            if let Some(rival) = &mut self.rival {
                rival.follows(self.now);
            }
            if !self.ledger.has_new_slots() {
                break;
            }
        }
        if let Some(pool) = &self.pool {
            let slots: usize = pool.snapshot().iter().map(|member| member.slots).sum();
            assert!(slots <= pool.size(), "{slots} slots are in use of {}", pool.size());
        }
        if let Some((pick, ending)) = self.ends_by_itself() {
            return self.end(pick, ending, None);
        }
        self.looks_right();
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each effect")]
    fn perform(&mut self, effect: Effect) {
        if let Some(trace) = self.trace.as_mut().filter(|_| !matches!(effect, Effect::Event(_))) {
            trace.push(format!("{effect:?}"));
        }
        match effect {
            Effect::Start(start) => {
                self.watch.starts(&start, self.now, &self.sqs);
                let message = index(&start.message.id);
                let (delivery, blocks) = (start.delivery, message % 4 == 3);
                let limited = self.asks_limits(message, start.permit);
                let claim = if let Err((class, wait)) = &limited {
                    RunClaim::Limited(class.clone(), *wait)
                } else if self.ledger.policy().claims == Claims::Off {
                    RunClaim::None
                } else {
                    self.ask(delivery, Request::Claim { message, length: start.claim_length });
                    RunClaim::Asked
                };
                let run = Run {
                    delivery,
                    message,
                    cancelled: None,
                    aborted: false,
                    blocks,
                    claim,
                    gives_up: false,
                    permit: limited.ok().flatten(),
                };
                self.runs.push(run);
            }
            Effect::Cancel(delivery, reason) => {
                let run = self.runs.iter_mut().find(|run| run.delivery == delivery).expect("it runs");
                assert!(run.cancelled.replace(reason).is_none(), "cancelled once");
                if reason == CancelReason::LeaseLost && !self.drops_notes {
                    self.watch.may_be_cancelled(delivery, run.message);
                }
            }
            Effect::Abort(delivery) => {
                let run = self.runs.iter_mut().find(|run| run.delivery == delivery).expect("it runs");
                assert!(run.cancelled.is_some() && !run.aborted, "asked first, and aborted once");
                run.aborted = true;
            }
            Effect::Claim(delivery, step) => self.step_of_claim(delivery, step),
            Effect::RenewClaim { delivery, claim, length } => {
                let holds = |run: &Run| run.delivery == delivery && run.holds(&claim);
                let is_held = self.marking.contains(&delivery) || self.runs.iter().any(holds);
                assert!(is_held, "only a run has a claim, and its own");
                self.ask(delivery, Request::Renew { claim, length });
            }
            Effect::Mark { delivery, claim, next, .. } => {
                assert!(self.marking.contains(&delivery), "only what is done is marked");
                assert_eq!(next, next_of(number(&claim)), "with the jobs that follow");
                self.ask(delivery, Request::Mark { claim });
            }
            Effect::ReleaseClaim { delivery, claim, .. } => {
                let runs = self.runs.iter().any(|run| run.delivery == delivery);
                if next_of(number(&claim)).is_some() {
                    // It was not marked, and is not done.
                    self.marking.remove(&delivery);
                }
                assert!(!runs && !self.marking.contains(&delivery), "no run is left without its claim");
                self.watch.releases(delivery, self.now);
                self.ask(delivery, Request::Release { claim });
            }
            Effect::Receive(receive) => {
                assert!(!self.watch.drains, "nothing is received during a drain");
                let is_probe = receive.max == 1 && self.watch.may_receive_probe();
                assert!(
                    self.watch.pauses.is_empty() || is_probe,
                    "nothing but a probe is received in a pause"
                );
                self.open.push((receive, self.now));
                let lively = self.open.iter().filter(|(_, since)| *since + OVERDUE > self.now);
                let asked_for: usize = lively.map(|(receive, _)| receive.max).sum();
                let slots = self.ledger.policy().concurrency.get();
                assert!(
                    self.drops_notes
                        || self.watch.undecided + asked_for
                            <= slots + self.most_ahead() + self.watch.locked.len() + self.most_behind_held(),
                    "a place for all that is asked for"
                );
                assert!((1..=10).contains(&receive.max));
            }
            Effect::Call(call) => {
                self.watch.calls(&call, self.now);
                self.in_flight.push(InFlight { call, asked_at: self.now, replies: None });
            }
            Effect::Event(note) => {
                if !self.drops_notes {
                    self.watch.notes(&note);
                    if let Some(message) = self.released_unrun(&note) {
                        let is_busy = self.ledger.running() > 0;
                        self.watch.is_released(message, is_busy, self.now);
                    }
                }
            }
            Effect::Finished { delivery, message, disposition } => {
                assert!(self.runs.iter().all(|run| run.delivery != delivery), "finished while it runs");
                self.marking.remove(&delivery);
                let is_done = self.store.is_done(index(&message.id));
                self.watch.finishes(delivery, &message, disposition, is_done);
                if self.on_lambda && disposition.may_be_deleted() {
                    self.sqs.delete_by_response(index(&message.id));
                }
            }
            Effect::Remember { message, prior } => self.watch.remembers(&message, &prior),
        }
    }

    /// The message that is released without a run, if neither a drain, nor its message group, nor a missing slot can be the
    /// cause.
    fn released_unrun<'a>(&self, note: &'a LedgerEvent) -> Option<&'a Message> {
        // A message that waited for a lock takes its slot again, for which a receive in flight may bring a message.
        let no_place = self.brought_too_late > 0
            || self.watch.seen.contains("waits for a lock")
            || self.watch.seen.contains("held for a limit");
        let other_causes = self.watch.drains || self.ledger.policy().fifo || no_place;
        match note {
            LedgerEvent::Decided { message, outcome: Outcome::Requeue, run: None, .. } if !other_causes => {
                Some(message)
            }
            _ => None,
        }
    }

    /// The jitter, spread over the range, and the same in every run of a script.
    fn jitter(&mut self) -> Jitter {
        self.draws = self.draws.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        Jitter::new(self.draws)
    }

    pub(crate) fn message_here(&self) -> impl Iterator<Item = usize> + '_ {
        0..self.sqs.messages.len()
    }
}

fn take<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    let position = pick.checked_rem(from.len())?;
    Some(from.remove(position))
}

fn failed() -> Result<(), CallError> {
    Err(CallError::Failed("throttled".to_owned()))
}
