//! Runs whose job is limited: their messages are held in hand, without a slot, until the job may start, or are released until
//! their turn. See ADR 0037.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::locks::TIME_TO_SETTLE;
use super::state::Ledger;
use crate::core::claim_lease::RunClaim;
use crate::core::control::CancelReason;
use crate::core::delivery::{Delivery, Run, Stage};
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::RunFacts;
use crate::core::limits::{HELD_PER_CLASS, Hold, JobClass, LimitWait, Limits, Permit};
use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::run_report::RunReport;

impl Ledger {
    /// Returns the class for whose limit a message is held after its run; `None` if it leaves. If it is released, sets the time
    /// for which it is hidden.
    pub(super) fn limit_to_wait_for(
        &mut self,
        now: Instant,
        id: DeliveryId,
        stopped: Option<CancelReason>,
        report: &mut RunReport,
    ) -> Option<(JobClass, LimitWait)> {
        let Ending::Limited { remaining, .. } = &mut report.ending else { return None };
        let (class, wait) = *report.limited.take()?;
        if stopped.is_none() && self.has_place(now, id, &class, wait) {
            return Some((class, wait));
        }
        if self.draining.is_none() || self.receives.is_none() {
            *remaining = self.returned_for(now, id, (&class, wait), self.held.of_class(&class));
        }
        None
    }

    /// Returns true if a message may be held: one of the first of its class, or one that would otherwise be in the DLQ. The
    /// messages of a batch, whose waiting costs no receive, are held as long as its response can wait.
    fn has_place(&self, now: Instant, id: DeliveryId, class: &JobClass, wait: LimitWait) -> bool {
        let Some(limits) = self.limits.as_ref().filter(|_| self.draining.is_none()) else { return false };
        if self.lane_would_die(id) {
            return true;
        }
        if self.pauses.empties_at().is_some_and(|at| at <= now) {
            return false;
        }
        let of_class = self.held.of_class(class);
        if self.receives.is_none() {
            let time = self.batch_waits_until().map(|until| until.saturating_duration_since(now));
            return time.is_none_or(|time| limits.delay(now, class, wait, of_class) <= time);
        }
        let lane = self.deliveries.get(id).map_or(1, |delivery| 1 + self.waiting_behind(id, &delivery.lane));
        of_class < HELD_PER_CLASS && self.parked_for_limits() + lane <= self.most_parked()
    }

    /// The maximum number of messages in hand that wait for their limits, over all classes: the number of slots.
    fn most_parked(&self) -> usize {
        self.policy.concurrency.get().max(HELD_PER_CLASS)
    }

    /// The time at which a batch releases the messages that it holds.
    fn batch_waits_until(&self) -> Option<Instant> {
        let deadline = self.drain_expected_at.filter(|_| self.receives.is_none())?;
        Some(deadline.checked_sub(TIME_TO_SETTLE).unwrap_or(deadline))
    }

    /// Holds a message, as the head of its lane. Its slot is free.
    pub(super) fn hold(&mut self, now: Instant, id: DeliveryId, class: JobClass, wait: LimitWait) {
        // It requests its lock again when it starts.
        self.ends_lock_wait(now, id);
        let (until, is_on_last_receive) = (self.batch_waits_until(), self.lane_would_die(id));
        let is_suspect = self.quarantine.runs_now(id);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        // The first throttled run was not yet a probe.
        let failed_probes = delivery.throttled_runs.saturating_sub(1);
        delivery.stage = Stage::Waiting;
        let hold = delivery.held.insert(Box::new(Hold {
            class,
            wait,
            until,
            failed_probes,
            is_suspect,
            is_on_last_receive,
        }));
        self.held.add(id, hold);
        if let Some(limits) = &self.limits {
            limits.holds(&hold.class, wait);
        }
        self.waits.refused(&hold.class, wait);
        let next_check = delivery.next_check();
        self.check_by(next_check);
        self.running -= 1;
        self.quarantine.concluded(now, id, false);
        self.learn(&message, PriorOutcome::Returned);
    }

    /// Returns true while messages are held for their limits.
    pub fn waits_for_limits(&self) -> bool {
        self.held.count() > 0
    }

    /// Starts the held messages that may now start, each with its permit.
    pub(super) fn start_held(&mut self, now: Instant) {
        if self.held.count() == 0 {
            return;
        }
        let Some(limits) = self.limits.clone() else { return };
        for class in self.held.due(now, limits.changes()) {
            while self.running < self.run_slots() && !self.quarantine.is_running() {
                let Some(id) = self.held.first(&class) else { break };
                if self.deliveries.get(id).is_some_and(|delivery| delivery.releasing.is_some()) {
                    // It requests its permit when the claim of its last run is free.
                    self.held.waits_for_claim(&class);
                    break;
                }
                if !self.asks_for_held(now, &limits, &class, id) {
                    break;
                }
            }
        }
    }

    /// Requests the permit of the first held message of a class. Returns false if it has to wait.
    fn asks_for_held(&mut self, now: Instant, limits: &Limits, class: &JobClass, id: DeliveryId) -> bool {
        match limits.ask(now, class) {
            Ok(permit) => {
                self.start_held_with(now, id, permit);
                true
            }
            Err(wait) => {
                self.waits.refused(class, wait);
                limits.held_refused(class, wait);
                self.held.refused(now, class, wait.until);
                false
            }
        }
    }

    fn start_held_with(&mut self, now: Instant, id: DeliveryId, permit: Permit) {
        let Some(hold) = self.ends_hold(now, id) else { return };
        self.waiting += 1;
        if let Some(delivery) = self.deliveries.get_mut(id) {
            delivery.permit = Some(permit);
        }
        // A message that waits to run alone keeps its permit: if it returned its token, the token would be lost, and it would
        // never get another.
        if !hold.is_suspect || !self.waits_again(now, id) {
            self.begin(now, id);
        }
    }

    /// Starts a held message as the probe of a pause, if its limit allows it, and it has been a probe at most this number of
    /// times.
    pub(super) fn start_held_probe(&mut self, now: Instant, at_most: Option<u32>) -> bool {
        let Some(limits) = self.limits.clone().filter(|_| self.held.count() > 0) else { return false };
        for class in self.held.classes() {
            let Some(id) = self.held.first(&class) else { continue };
            let Some(delivery) = self.deliveries.get(id).filter(|d| d.releasing.is_none()) else { continue };
            if at_most.is_some_and(|most| delivery.probes > most)
                || !self.asks_for_held(now, &limits, &class, id)
            {
                continue;
            }
            // It may have needed no run.
            if self.deliveries.get(id).is_some_and(|delivery| matches!(delivery.stage, Stage::Running(_))) {
                self.is_the_probe(id);
                return true;
            }
        }
        false
    }

    /// The time at which a held message may start, if nothing else changes.
    pub(super) fn held_timeout(&self) -> Option<Instant> {
        let may_start = self.may_start_held()
            && !self.quarantine.is_running()
            && (!self.pauses.keeps_in_hand() || self.pauses.wants_probe())
            && self.draining.is_none();
        if may_start { self.held.timeout() } else { None }
    }

    /// Ends the wait of a message for its limit. Returns its hold, if it was held.
    pub(super) fn ends_hold(&mut self, now: Instant, id: DeliveryId) -> Option<Box<Hold>> {
        let hold = self.deliveries.get_mut(id)?.held.take()?;
        self.held.remove(id, &hold);
        if let Some(limits) = &self.limits {
            limits.held_left(&hold.class);
        }
        self.limited_receives.left(now, &hold.class);
        Some(hold)
    }

    /// Releases a message that was held for the maximum time.
    pub(super) fn check_hold(&mut self, now: Instant, id: DeliveryId) {
        let is_over = |delivery: &Delivery| delivery.held_until().is_some_and(|at| at <= now);
        if self.deliveries.get(id).is_some_and(is_over) {
            self.return_held(now, id);
        }
    }

    /// Releases the held messages of a queue that an operator has paused: their limits may open much later, and the queue
    /// should become empty.
    pub(super) fn empty_paused(&mut self, now: Instant) {
        if self.emptied_at().is_none_or(|at| now < at) {
            return;
        }
        for id in self.held.ids().collect::<Vec<_>>() {
            if !self.lane_would_die(id) {
                self.return_held(now, id);
            }
        }
    }

    /// The time at which messages are released for an operator's pause; `None` if none are.
    pub(super) fn emptied_at(&self) -> Option<Instant> {
        let at = self.pauses.empties_at().filter(|_| self.draining.is_none())?;
        self.held.ids().any(|id| !self.lane_would_die(id)).then_some(at)
    }

    fn return_held(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        let Some((class, wait)) = delivery.held.as_ref().map(|hold| (hold.class.clone(), hold.wait)) else {
            return;
        };
        let others = self.held.of_class(&class).saturating_sub(1);
        let hidden_for = self.returned_for(now, id, (&class, wait), others);
        let Some(delivery) = self.deliveries.get(id) else { return };
        let hidden_for = hidden_for.min(delivery.longest_visibility(now));
        let run = RunFacts {
            attempt: self.attempt(&delivery.message),
            ending: wait.ending(&class, hidden_for),
            job_type: Some(class.job_type),
            identity: None,
            correlation_id: None,
            took: Duration::ZERO,
            last_attempt: self.would_die(id),
        };
        self.conclude(now, id, Outcome::RetryAfter(hidden_for), Some(run));
    }

    /// Releases a message for its limit, with this many of its class before it in hand. Returns the time for which it is
    /// hidden.
    fn returned_for(
        &mut self,
        now: Instant,
        id: DeliveryId,
        (class, wait): (&JobClass, LimitWait),
        before: usize,
    ) -> Duration {
        let Some((delivery, limits)) = self.deliveries.get(id).zip(self.limits.as_ref()) else {
            return Duration::ZERO;
        };
        self.limited_receives.admitted(now, limits.admitted());
        self.limited_receives.returned(now);
        limits.returns(now, (class, wait), before, &delivery.message.id, delivery.receives)
    }

    /// The number of messages in hand that wait without a slot: held ones, and those behind them in their message groups.
    pub(super) fn parked_for_limits(&self) -> usize {
        self.held.count() + self.behind_held()
    }

    /// The number of messages that wait behind held ones in their message groups.
    pub(super) fn behind_held(&self) -> usize {
        if !self.policy.fifo || self.held.count() == 0 {
            return 0;
        }
        let lanes = self.held.ids().filter_map(|id| Some((id, &self.deliveries.get(id)?.lane)));
        lanes.map(|(id, lane)| self.waiting_behind(id, lane)).sum()
    }

    /// The number of messages that open receives may return although all slots are taken: the receives were opened before held
    /// messages started, and the messages behind those also need their slots.
    pub(super) fn started_from_hold(&self) -> usize {
        if self.limits.is_none() {
            return 0;
        }
        let runs = self.deliveries.iter().filter(|(_, d)| {
            matches!(&d.stage, Stage::Running(Run { was_held: true, .. })) || d.permit.is_some()
        });
        runs.map(|(id, delivery)| 1 + self.waiting_behind(id, &delivery.lane)).sum()
    }

    fn waiting_behind(&self, id: DeliveryId, lane: &str) -> usize {
        if !self.policy.fifo {
            return 0;
        }
        let Some(lane) = self.lanes.get(lane) else { return 0 };
        lane.iter().filter(|other| **other != id && self.waits(**other)).count()
    }

    /// Returns true if the message, or one behind it in its message group, would be in the DLQ after its release.
    pub(super) fn lane_would_die(&self, id: DeliveryId) -> bool {
        if !self.policy.fifo {
            return self.would_die(id);
        }
        let lane = self.deliveries.get(id).and_then(|delivery| self.lanes.get(&delivery.lane));
        lane.is_some_and(|lane| lane.iter().any(|id| self.would_die(*id)))
    }

    /// Returns the number of messages that may be requested if there is room for `demand`, including those of open receives.
    pub(super) fn demand_under_limits(&mut self, now: Instant, demand: usize) -> usize {
        let Some(limits) = &self.limits else { return demand };
        self.limited_receives.admitted(now, limits.admitted());
        if !self.limited_receives.are_few() {
            return demand;
        }
        let reserved = self.reserved_slots();
        let places = self.places().saturating_sub(reserved + self.undecided());
        let most = self.limited_receives.most(now, places, reserved);
        // During a pause receives are opened only for probes.
        if self.pauses.any() { demand } else { demand.min(reserved + most) }
    }

    /// The number of places for further held messages, which belong to the class that has started last.
    fn places(&self) -> usize {
        let held = match self.limited_receives.class() {
            Some(class) => self.held.of_class(class),
            None => self.held.fewest_of_a_class(),
        };
        let in_all = self.most_parked().saturating_sub(self.parked_for_limits());
        HELD_PER_CLASS.saturating_sub(held).min(in_all)
    }

    /// The number of messages that were received, and may turn out to be limited.
    fn undecided(&self) -> usize {
        let is_undecided = |delivery: &Delivery| match &delivery.stage {
            Stage::Waiting => delivery.held.is_none() && delivery.lock_wait.is_none(),
            Stage::Running(run) => !run.was_held && !matches!(run.claim, RunClaim::Kept(_)),
            Stage::Settling(_) => false,
        };
        let undecided = self.deliveries.values().filter(|delivery| is_undecided(delivery)).count();
        undecided.saturating_sub(self.behind_held())
    }
}
