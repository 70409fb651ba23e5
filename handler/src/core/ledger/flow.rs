//! The path of a message: received, started, ended, concluded.

use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::effect::{Effect, Start};
use super::state::Ledger;
use crate::core::control::CancelReason;
use crate::core::decide::{
    DecisionInput, RunDecision, Unrun, decide_run, decide_start, decide_unrun, hidden_without_dlq,
};
use crate::core::delivery::{Delivery, Run, Settlement, Settling, Stage};
use crate::core::ending::Ending;
use crate::core::ids::{CallId, DeliveryId};
use crate::core::ledger_event::{LedgerEvent, RunFacts};
use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::policy::{Acknowledge, CrashEvidence, DeadLetterPath};
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;
use crate::message::sqs_message::Message;

/// The time by which a message of a FIFO group stays hidden longer than its predecessor: enough for the predecessor to be
/// received alone, and for the redrive policy to take one that failed permanently.
const BEHIND: Duration = Duration::from_secs(2);

impl Ledger {
    pub(super) fn accept(&mut self, at: Instant, message: Message) {
        self.recall_cancelled(&message.id);
        let lane: Arc<str> = match &message.group {
            _ if self.policy.fifo && self.policy.one_lane => Arc::default(),
            Some(group) if self.policy.fifo => group.as_str().into(),
            // SQS always returns the group. If another source does not, each message may be the next one's predecessor.
            None if self.policy.fifo => Arc::default(),
            _ => Arc::clone(&message.id),
        };
        let deliveries = &self.deliveries;
        let same = |id: &&DeliveryId| {
            deliveries.get(**id).is_some_and(|d| d.message.id == message.id && !d.is_lost())
        };
        let known = self.lanes.get(&lane).and_then(|ids| ids.iter().find(same).copied());
        if let Some(known) = known
            && !deliveries.get(known).is_some_and(|delivery| delivery.is_back(at))
        {
            return self.replace_receipt(at, known, message.receipt, message.receive_count);
        }
        let id = DeliveryId(self.next_id());
        let delivery = Box::new(Delivery::new(Arc::new(message), Arc::clone(&lane), self.policy.lease, at));
        self.pauses.keep_fresh(&delivery.message.id);
        self.check_by(delivery.next_check());
        let place = known.and_then(|known| self.remove_superseded(at, &lane, known));
        let lane = self.lanes.entry(lane).or_default();
        lane.insert(place.unwrap_or(lane.len()), id);
        let is_head = lane.first() == Some(&id);
        self.deliveries.insert(id, delivery);
        self.waiting += 1;
        // A receive that counted as lost may still return messages for which there is no slot.
        let slots = self.policy.concurrency.get() + self.lock_waits.asking() + self.behind_held();
        let taken = self.waiting + self.running;
        let places = slots + self.lookahead.places();
        let no_slot = self.receives.is_some() && taken > places && taken > places + self.started_from_hold();
        if no_slot || self.is_released_at_once(id) {
            self.conclude_released(at, id, Duration::ZERO);
        } else if is_head {
            self.make_ready(at, id);
            if taken > slots && self.lookahead.places() > 0 && self.ready.back() == Some(&id) {
                self.lookahead.waits(at, id);
            }
        }
    }

    /// A message was received again before the answer to the call that released it: the earlier delivery leaves. Returns its
    /// position in the lane, unless others have joined the lane since: it is unknown whether those were before it in the group.
    fn remove_superseded(&mut self, at: Instant, lane: &str, earlier: DeliveryId) -> Option<usize> {
        let message = Arc::clone(&self.deliveries.get(earlier)?.message);
        self.emit(LedgerEvent::Settled(message));
        if self.next_waiting(lane, earlier).is_some() {
            self.remove_unconfirmed(at, earlier);
            return None;
        }
        self.deliveries.remove(earlier);
        let ids = self.lanes.get_mut(lane)?;
        let place = ids.iter().position(|id| *id == earlier)?;
        ids.remove(place);
        Some(place)
    }

    fn replace_receipt(&mut self, at: Instant, id: DeliveryId, receipt: String, receives: u32) {
        let last_call = CallId(self.last_id);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        delivery.superseded(receipt, receives, at, last_call);
        let (next_check, message) = (delivery.next_check(), Arc::clone(&delivery.message));
        self.check_by(next_check);
        self.emit(LedgerEvent::ReceivedAgain(message));
    }

    /// The head of a lane may start, at once or when its turn alone has come.
    pub(super) fn make_ready(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        if !matches!(delivery.stage, Stage::Waiting)
            || delivery.lock_wait.is_some()
            || delivery.held.is_some()
        {
            return;
        }
        if self.draining.is_some() {
            // It was kept as long as its predecessor ran.
            return self.conclude_released(now, id, Duration::ZERO);
        }
        if self.policy.crash_evidence == CrashEvidence::Store || !self.waits_by_receives(now, id, false) {
            self.ready.push_back(id);
        }
    }

    pub(super) fn start_ready(&mut self, now: Instant) {
        if self.pauses.keeps_in_hand() {
            return self.start_probe(now);
        }
        self.start_held(now);
        while self.running < self.run_slots() && !self.quarantine.is_running() {
            let Some(id) = self.ready.pop_front() else { break };
            self.begin(now, id);
        }
        self.start_quarantined(now);
    }

    /// Starts a delivery, unless it was released or needs no run. Returns true if it runs. If its job is limited, it has the
    /// permit that it has waited for.
    pub(super) fn begin(&mut self, now: Instant, id: DeliveryId) -> bool {
        let claim_length = self.claim_length(now);
        let claim = self.new_claim(now, claim_length);
        let Some(delivery) = self.deliveries.get_mut(id) else { return false };
        if !matches!(delivery.stage, Stage::Waiting) || delivery.releasing.is_some() {
            return false;
        }
        let message = Arc::clone(&delivery.message);
        if let Some(outcome) = decide_start(self.outcome_cache.of(&message.id)) {
            self.conclude_unrun(now, id, outcome);
            return false;
        }
        let timeout = self.policy.handler_timeout;
        let (deadline, latest_deadline) = (delivery.deadline(now, timeout), delivery.last_moment());
        let permit = delivery.permit.take();
        let run = Run {
            begun_at: now,
            started_at: now,
            timeout,
            deadline,
            cancelled: None,
            abort_at: None,
            lost: false,
            was_held: permit.is_some(),
            claim,
            marking: None,
        };
        delivery.stage = Stage::Running(run);
        self.check_by(Some(deadline));
        self.waiting -= 1;
        self.running += 1;
        let attempt = self.attempt(&message);
        let or_drain = |at: Instant| self.drain_expected_at.map_or(at, |drain| at.min(drain));
        self.effects.push_back(Effect::Start(Start {
            delivery: id,
            message,
            attempt,
            started_at: now,
            deadline: or_drain(deadline),
            latest_deadline: or_drain(latest_deadline),
            claim_length,
            permit,
        }));
        true
    }

    /// The payload of a run was opened at this time, and its handler may start: its attempt's time starts then, because reading
    /// a payload may take longer than its handler. Too late if the run was already asked to stop.
    pub fn opened(&mut self, at: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(Run { timeout, cancelled: None, marking: None, .. }) = &delivery.stage else {
            return;
        };
        let deadline = delivery.deadline(at, *timeout);
        let Stage::Running(run) = &mut delivery.stage else { return };
        (run.started_at, run.deadline) = (at, deadline);
        let next_check = delivery.next_check();
        self.check_by(next_check);
    }

    /// The type of a run that has just started is known: its attempt may take as long as the policy allows for the type, from
    /// its start. A host need not report types without a separate timeout. Too late if the run was already asked to stop.
    pub fn set_job_type(&mut self, id: DeliveryId, job_type: &str) {
        let timeout = self.policy.handler_timeout_for(job_type);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(Run { started_at, cancelled: None, marking: None, .. }) = &delivery.stage else {
            return;
        };
        let deadline = delivery.deadline(*started_at, timeout);
        let Stage::Running(run) = &mut delivery.stage else { return };
        (run.timeout, run.deadline) = (timeout, deadline);
        let next_check = delivery.next_check();
        self.check_by(next_check);
    }

    /// A run has ended. Must be reported once for every start; other reports are ignored. A job that succeeded with a claim is
    /// first marked as done.
    pub fn ended(&mut self, now: Instant, id: DeliveryId, report: RunReport, jitter: Jitter) {
        if let Some(report) = self.begin_marking(now, id, report, jitter) {
            self.conclude_run(now, id, report, now, jitter);
        }
    }

    /// Like [`ended`](Self::ended), for a run that failed at `ended_at`, and whose report was kept since then.
    pub fn failed(
        &mut self,
        now: Instant,
        id: DeliveryId,
        report: RunReport,
        ended_at: Instant,
        jitter: Jitter,
    ) {
        self.conclude_run(now, id, report, ended_at, jitter);
    }

    /// Decides about a run whose handler ended at `ended_at`.
    pub(super) fn conclude_run(
        &mut self,
        now: Instant,
        id: DeliveryId,
        mut report: RunReport,
        ended_at: Instant,
        jitter: Jitter,
    ) {
        if report.next.is_some() && report.ending == Ending::Done {
            let reason = "the next jobs were not added, since the job is not marked as done".to_owned();
            report.ending = Ending::RetryAsked { after: None, reason };
        }
        let Some(delivery) = self.deliveries.get(id) else { return };
        let Stage::Running(run) = &delivery.stage else { return };
        let message = Arc::clone(&delivery.message);
        let stopped = if run.lost { Some(CancelReason::LeaseLost) } else { run.cancelled };
        if let Some(ending) = self.cancelled_ending(id, &report.ending) {
            self.report_cancelled(now, &mut report, jitter);
            report.ending = ending;
        }
        let attempt = report.attempt.unwrap_or_else(|| self.attempt(&message));
        let receives = NonZeroU32::new(message.receive_count).unwrap_or(NonZeroU32::MIN);
        let took = ended_at.saturating_duration_since(run.started_at);
        let was_probe = self.pauses.probe_ended(id);
        if report.ending.ran() {
            self.lookahead.job_ended(now.saturating_duration_since(run.begun_at));
        }
        self.learn_job_time(took, &report.ending);
        if self.keeps_unattempted(now, id, stopped, &report.ending, was_probe) {
            let RunReport { ending, job_type, identity, correlation_id, .. } = report;
            return self.keep(
                now,
                id,
                RunFacts { job_type, identity, correlation_id, attempt, ending, took, last_attempt: false },
                was_probe,
            );
        }
        if let Some(wait) = self.close_type(now, id, stopped, &mut report, jitter) {
            let RunReport { ending, job_type, identity, correlation_id, .. } = report;
            let run =
                RunFacts { job_type, identity, correlation_id, attempt, ending, took, last_attempt: false };
            return self.hold_throttled(now, id, wait, run);
        }
        if let Some(lock) = self.lock_to_wait_for(now, id, stopped, &report) {
            return self.park(now, id, &lock, jitter);
        }
        if let Some((class, wait)) = self.limit_to_wait_for(now, id, stopped, &mut report) {
            return self.hold(now, id, class, wait);
        }
        let Some(delivery) = self.deliveries.get(id) else { return };
        let facts = DecisionInput {
            attempt,
            receives,
            job_type: report.job_type.as_deref(),
            longest_delay: delivery.longest_visibility(now),
        };
        let decision = decide_run(&self.policy, &facts, stopped, report.ending, now, jitter);
        let RunDecision { ending, outcome, prior, release_claim, last_attempt } = decision;
        if let Some(permit) = report.permit.take() {
            permit.ended(now, &ending, jitter);
        }
        // The claim of a done job ends with its mark, or by itself.
        if matches!(prior, PriorOutcome::Done { .. }) {
            self.free_lock_of(now, id);
        } else {
            self.release_claim(now, id, release_claim);
        }
        self.learn(&message, prior);
        let RunReport { job_type, identity, correlation_id, .. } = report;
        if let Some(delivery) = self.deliveries.get_mut(id) {
            delivery.identity.clone_from(&identity);
        }
        let facts = RunFacts { job_type, identity, correlation_id, attempt, ending, took, last_attempt };
        self.conclude(now, id, outcome, Some(facts));
    }

    /// Remembers the latest state of a message, here and in the host.
    pub(super) fn learn(&mut self, message: &Arc<Message>, prior: PriorOutcome) {
        self.outcome_cache.learn(Arc::clone(&message.id), prior.clone());
        self.effects.push_back(Effect::Remember { message: Arc::clone(message), prior });
    }

    /// A delivery has its outcome, which is passed to SQS and to the rest of its lane.
    pub(super) fn conclude(&mut self, now: Instant, id: DeliveryId, outcome: Outcome, run: Option<RunFacts>) {
        let was_parked = self.ends_lock_wait(now, id) | self.ends_hold(now, id).is_some();
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        // It no longer needs a permit, and others wait for it.
        delivery.permit = None;
        match delivery.stage {
            Stage::Waiting if was_parked => {}
            Stage::Waiting => self.waiting -= 1,
            Stage::Running(_) => self.running -= 1,
            Stage::Settling(_) => return,
        }
        let ran = run.as_ref().is_some_and(|run| run.ending.ran());
        self.quarantine.concluded(now, id, ran);
        let (message, lane) = (Arc::clone(&delivery.message), Arc::clone(&delivery.lane));
        self.count_drained(&outcome, run.is_some());
        let job_type = run.as_ref().and_then(|run| run.job_type.clone());
        let stops_lane = self.policy.fifo && outcome != Outcome::Ack;
        let released = outcome == Outcome::Requeue;
        self.dispose(id, &message, &outcome);
        self.emit(LedgerEvent::Decided { delivery: id, message, outcome: outcome.clone(), run });
        self.settle(now, id, outcome, job_type.as_deref());
        if stops_lane {
            let hidden_for = self.hidden_behind(id, released);
            self.conclude_lane_released(now, &lane, id, hidden_for);
        }
    }

    /// The time for which the messages behind `id` in its lane stay hidden when they are released.
    ///
    /// A little longer than the message before them: if they were visible before it, they could overtake it; if they became
    /// visible together with it, they would be received with it every time, and follow it into the DLQ without a run. See ADR
    /// 0005.
    fn hidden_behind(&self, id: DeliveryId, released: bool) -> Duration {
        let Some(delivery) = self.deliveries.get(id) else { return BEHIND };
        match &delivery.stage {
            _ if released => delivery.hidden_for,
            Stage::Settling(Settling { settlement: Settlement::Visibility(delay), .. }) => {
                delay.saturating_add(BEHIND)
            }
            _ => BEHIND,
        }
    }

    /// Releases a message that has not started. A job that is done needs no run of any worker, only its deletion.
    pub(super) fn conclude_released(&mut self, now: Instant, id: DeliveryId, hidden_for: Duration) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        if !matches!(delivery.stage, Stage::Waiting) {
            // It was released with its lane.
            return;
        }
        delivery.hidden_for = hidden_for;
        let message = Arc::clone(&delivery.message);
        let prior = self.outcome_cache.of(&message.id);
        let outcome = decide_unrun(Unrun::GivenBack, prior);
        if prior.is_none() {
            // Its receives are explained from here on: it was not returned because it killed a process.
            self.learn(&message, PriorOutcome::Returned);
        }
        self.conclude_unrun(now, id, outcome);
    }

    /// A delivery has its outcome without a run.
    pub(super) fn conclude_unrun(&mut self, now: Instant, id: DeliveryId, outcome: Outcome) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        if let (Outcome::Ack, Some(PriorOutcome::Done { at })) =
            (&outcome, self.outcome_cache.of(&delivery.message.id))
        {
            let (message, done_at) = (Arc::clone(&delivery.message), *at);
            self.emit(LedgerEvent::Deduplicated { message, done_at });
        }
        self.conclude(now, id, outcome, None);
    }

    /// No message may overtake one that stays in the queue: all that wait behind it in its lane are released, in order.
    fn conclude_lane_released(&mut self, now: Instant, lane: &str, id: DeliveryId, hidden_for: Duration) {
        while let Some(next) = self.next_waiting(lane, id) {
            self.conclude_released(now, next, hidden_for);
        }
    }

    fn next_waiting(&self, lane: &str, after: DeliveryId) -> Option<DeliveryId> {
        let waits =
            |id: &&DeliveryId| self.deliveries.get(**id).is_some_and(|d| matches!(d.stage, Stage::Waiting));
        self.lanes.get(lane)?.iter().skip_while(|id| **id != after).skip(1).find(waits).copied()
    }

    /// Turns an outcome into the call to SQS.
    fn settle(&mut self, now: Instant, id: DeliveryId, outcome: Outcome, job_type: Option<&str>) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        let settlement = match outcome {
            Outcome::Ack => match self.policy.acknowledge {
                Acknowledge::ByDelete => Settlement::Delete,
                Acknowledge::ByResponse => return self.remove(now, id),
            },
            Outcome::RetryAfter(delay) => Settlement::Visibility(delay),
            Outcome::Requeue => Settlement::Visibility(delivery.hidden_for),
            Outcome::LeaseLost => return self.remove_unconfirmed(now, id),
            Outcome::DeadLetter(reason) => match self.policy.dead_letter {
                DeadLetterPath::Redrive => Settlement::Visibility(Duration::ZERO),
                DeadLetterPath::Copy => Settlement::Copy(reason),
                DeadLetterPath::Nowhere => {
                    let message = Arc::clone(&delivery.message);
                    let hidden_for = hidden_without_dlq(&self.policy, job_type, message.receive_count);
                    self.emit(LedgerEvent::NoDeadLetterQueue(message));
                    Settlement::Visibility(hidden_for)
                }
            },
        };
        if let Some(delivery) = self.deliveries.get_mut(id) {
            delivery.stage = Stage::Settling(Settling::new(settlement));
            self.queue_settlement(now, id);
        }
    }

    /// A delivery leaves while its message stays in the queue, as far as is known. Messages that have joined its message group
    /// since it was concluded are released too.
    pub(super) fn remove_unconfirmed(&mut self, now: Instant, id: DeliveryId) {
        if self.policy.fifo
            && let Some(delivery) = self.deliveries.get(id)
        {
            let lane = Arc::clone(&delivery.lane);
            self.conclude_lane_released(now, &lane, id, BEHIND);
        }
        self.remove(now, id);
    }

    /// A delivery leaves; the next of its lane may start.
    pub(super) fn remove(&mut self, now: Instant, id: DeliveryId) {
        self.leaves_uncopied(id);
        self.pauses.probe_ended(id);
        let Some(delivery) = self.deliveries.remove(id) else { return };
        if let Some(releasing) = &delivery.releasing {
            // No answer about it counts from now on.
            self.lock_is_free(now, &releasing.claim);
        }
        let Entry::Occupied(mut entry) = self.lanes.entry(delivery.lane) else { return };
        let lane = entry.get_mut();
        let was_head = lane.first() == Some(&id);
        lane.retain(|other| *other != id);
        match lane.first().copied() {
            None => drop(entry.remove()),
            Some(head) if was_head => self.make_ready(now, head),
            Some(_) => {}
        }
    }

    /// The attempt's number is the receive count, minus the returns for a limit, after which no handler ran. Emulators that do
    /// not count report 0.
    pub(super) fn attempt(&self, message: &Message) -> NonZeroU32 {
        let returns = self.limits.as_ref().map_or(0, |limits| limits.returns_of(&message.id));
        NonZeroU32::new(message.receive_count.saturating_sub(returns)).unwrap_or(NonZeroU32::MIN)
    }
}
