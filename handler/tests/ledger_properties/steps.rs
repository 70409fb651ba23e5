//! The effect of a script's steps on the host.

use std::time::Duration;

use drumline::core::{CancelReason, Ending, Pause, PauseReason, Probe, ReceiveFailure};

use super::{Host, OVERDUE, take};
use crate::script::Step;

impl Host {
    pub(crate) fn play(&mut self, script: &[Step]) {
        for step in script {
            self.step(*step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send { group, receives } => self.sqs.send(self.now, group, receives),
            Step::Land { pick, duplicate } => self.land(pick, duplicate),
            Step::FailReceive { pick, how } => {
                if let Some((receive, _)) = take(&mut self.open, pick) {
                    let jitter = self.jitter();
                    let error = "no route".to_owned();
                    self.ledger.receive_failed(self.now, receive.id, failure(how), error, jitter);
                    self.act();
                }
            }
            Step::Steal => drop(self.sqs.receive(self.now, 2)),
            Step::End { pick, how } => {
                if let Some(pick) = pick.checked_rem(self.runs.len())
                    && self.runs[pick].has_begun()
                {
                    let ending = ending(how, self.runs[pick].cancelled);
                    self.end(pick, ending, if how % 2 == 0 { Some("spread") } else { None });
                }
            }
            Step::Arrive { pick, fates } => {
                if let Some(position) = pick.checked_rem(self.in_flight.len()) {
                    self.arrive(position, fates);
                }
            }
            Step::Answer { pick, fates } => self.answer(pick, fates, usize::MAX),
            Step::AnswerInPart { pick } => self.answer(pick, 0, pick % 3),
            Step::Lose { pick, arrives } => {
                if let Some(position) = pick.checked_rem(self.in_flight.len()) {
                    if arrives {
                        self.arrive(position, 0);
                    }
                    self.in_flight.remove(position);
                }
            }
            Step::AnswerAgain { pick } => {
                if let Some(position) = pick.checked_rem(self.answered.len()) {
                    let (id, replies) = (self.answered[position].0.id, self.answered[position].1.clone());
                    let jitter = self.jitter();
                    self.ledger.called(self.now, id, replies, jitter);
                    self.act();
                }
            }
            Step::AnswerClaim { pick, how } => self.answer_claim(pick, how),
            Step::ArriveAtStore { pick } => {
                if let Some(position) = pick.checked_rem(self.asked.len()) {
                    self.arrive_at_store(position);
                }
            }
            Step::TurnStore => self.store_is_down ^= true,
            Step::LoseClaim { pick, arrives } => self.lose_claim(pick, arrives),
            Step::AnswerClaimAgain { pick } => self.answer_claim_again(pick),
            Step::ClaimElsewhere { pick } => {
                if let Some(run) = pick.checked_rem(self.runs.len()) {
                    let message = self.runs[run].message;
                    self.store.claim_elsewhere(self.now, message);
                }
            }
            Step::TurnPause { pick } => self.turn_pause(pick),
            Step::Rival { pick, how } => self.rival_acts(pick, how),
            Step::Probe => {
                self.watch.probes();
                self.ledger.probe();
                self.act();
            }
            Step::Resume => self.resume_all(),
            Step::Die => {
                let policy = self.ledger.policy().clone();
                self.restart(&policy);
            }
            Step::Wait(time) => self.wait(time),
        }
    }

    fn turn_pause(&mut self, pick: usize) {
        let reason = PauseReason::ALL[pick % PauseReason::ALL.len()];
        if self.watch.pauses.contains_key(&reason) {
            self.resume(reason);
        } else {
            self.watch.pause(reason, self.now);
            self.ledger.pause(self.now, Pause { reason, probe: Probe::Host });
            self.act();
        }
    }

    fn resume(&mut self, reason: PauseReason) {
        self.watch.resume(reason);
        self.ledger.resume(self.now, reason);
        self.act();
    }

    /// Ends all reasons not to receive from the queue.
    pub(crate) fn resume_all(&mut self) {
        for reason in PauseReason::ALL {
            self.resume(reason);
        }
    }

    /// Messages arrive: by an open receive, or as a separate batch on Lambda.
    pub(crate) fn land(&mut self, pick: usize, duplicate: bool) {
        let max = match (self.on_lambda, pick.checked_rem(self.open.len())) {
            (true, _) => 4,
            (false, Some(position)) => self.open[position].0.max,
            (false, None) => return,
        };
        let mut messages = self.sqs.receive(self.now, max);
        if duplicate && messages.len() < max {
            messages.extend(self.sqs.deliver_again(self.now, pick));
        }
        for message in &messages {
            self.watch.comes(self.now, message);
        }
        match take(&mut self.open, pick) {
            Some((receive, since)) => {
                if since + OVERDUE <= self.now {
                    self.brought_too_late += messages.len();
                }
                self.ledger.received(self.now, receive.id, messages);
            }
            None => self.ledger.deliver(self.now, messages),
        }
        self.act();
    }
}

fn failure(how: u8) -> ReceiveFailure {
    match how % 4 {
        0 => ReceiveFailure::Throttled,
        1 => ReceiveFailure::Refused,
        _ => ReceiveFailure::Unreachable,
    }
}

fn ending(how: u8, cancelled: Option<CancelReason>) -> Ending {
    let reason = "why".to_owned();
    match (how % 10, cancelled) {
        (0..4, _) => Ending::Done,
        (4..8, Some(CancelReason::TimedOut)) => Ending::TimedOut,
        (4..8, Some(CancelReason::Shutdown)) => Ending::Interrupted,
        (4..8, Some(CancelReason::LeaseLost)) => Ending::LeaseLost,
        (4, None) => Ending::RetryAsked { after: Some(Duration::from_millis(u64::from(how) * 37)), reason },
        (5, None) => Ending::RetryAsked { after: Some(Duration::MAX), reason },
        (6, None) => Ending::NoHandler { reason },
        (7, None) => Ending::RetryAsked { after: None, reason },
        (8, _) => Ending::Panicked { reason },
        (9, None) if how >= 192 => Ending::TargetUnhealthy { reason },
        (9, None) if how >= 128 => Ending::OutOfResources { reason },
        _ => Ending::Rejected { reason },
    }
}
