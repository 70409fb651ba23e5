//! The store's part of a host: requests reach the store, and are answered, late, twice or never.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{
    Claim, ClaimStep, Claimed, DeliveryId, Ending, JobClass, LimitWait, MarkError, Ownership,
};

use super::Host;
use crate::store::{Admitted, Answer, Asked, Request, number};

/// The progress of a run with its claim.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunClaim {
    /// Its request is in flight.
    Asked,
    /// The store did not answer, and the ledger decides.
    Waits,
    /// It has a claim that was taken over, and waits for the ledger before its handler.
    TakenOver(Arc<Claim>),
    /// The handler runs with it.
    Kept(Arc<Claim>),
    /// The handler runs without a claim.
    None,
    /// Its job is limited, and the run ends at once.
    Limited(JobClass, LimitWait),
}

impl RunClaim {
    pub(super) fn limited(&self) -> Option<(JobClass, LimitWait)> {
        if let Self::Limited(class, wait) = self { Some((class.clone(), *wait)) } else { None }
    }
}

/// An input of the ledger, kept to repeat it.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Claimed(Claimed),
    Renewed(Arc<Claim>, Result<Ownership, String>),
    Marked(Result<Ownership, MarkError>),
    Released(Arc<Claim>, Result<Ownership, String>),
}

impl Host {
    pub(super) fn ask(&mut self, delivery: DeliveryId, request: Request) {
        self.asked.push(Asked { delivery, request, answer: None });
    }

    /// The ledger decides about a run that waits for its claim.
    pub(super) fn step_of_claim(&mut self, delivery: DeliveryId, step: ClaimStep) {
        let pick = self.runs.iter().position(|run| run.delivery == delivery).expect("it runs");
        let run = &mut self.runs[pick];
        if let (ClaimStep::Begin(deadline), RunClaim::TakenOver(claim)) = (step, &run.claim) {
            assert!(run.cancelled.is_none() && deadline > self.now, "it has time to begin");
            run.claim = RunClaim::Kept(Arc::clone(claim));
            return;
        }
        assert_eq!(run.claim, RunClaim::Waits, "decided once for each answer that is missing");
        match step {
            ClaimStep::Begin(_) => panic!("begins without a claim"),
            ClaimStep::Ask(length) => {
                run.claim = RunClaim::Asked;
                let message = run.message;
                self.ask(delivery, Request::Claim { message, length });
            }
            ClaimStep::RunUnclaimed => run.claim = RunClaim::None,
            ClaimStep::GiveUp => {
                self.watch.seen.insert("gave up on its claim");
                run.gives_up = true;
            }
        }
    }

    /// A request reaches the store.
    pub(super) fn arrive_at_store(&mut self, position: usize) {
        let Asked { request, answer, .. } = &mut self.asked[position];
        if answer.is_none() {
            *answer = Some(self.store.perform(self.now, request));
        }
    }

    pub(crate) fn answer_claim(&mut self, pick: usize, how: u8) {
        let Some(position) = pick.checked_rem(self.asked.len()) else { return };
        let fails = self.store_is_down || matches!(how % 8, 6 | 7);
        if !fails || how >= 128 {
            self.arrive_at_store(position);
        }
        let asked = self.asked.remove(position);
        // An item that is too large is refused every time.
        let is_refused = how % 8 == 6 || self.watch.is_refused(asked.delivery);
        let refuses = matches!(asked.request, Request::Mark { .. }) && !self.store_is_down && is_refused;
        self.reply(asked, fails || refuses, refuses);
    }

    /// Loses an answer. Each request for a claim gets an answer, at least a timeout.
    pub(super) fn lose_claim(&mut self, pick: usize, arrives: bool) {
        let Some(position) = pick.checked_rem(self.asked.len()) else { return };
        if arrives {
            self.arrive_at_store(position);
        }
        let asked = self.asked.remove(position);
        if matches!(asked.request, Request::Claim { .. }) {
            self.reply(asked, true, false);
        }
    }

    fn reply(&mut self, Asked { delivery, request, answer }: Asked, fails: bool, refuses: bool) {
        let no_route = || "no route".to_owned();
        let held = match &answer {
            Some(Answer::Written(held)) if !fails => Ok(*held),
            _ => Err(no_route()),
        };
        let told = match request {
            Request::Claim { .. } => return self.admit(delivery, answer.filter(|_| !fails)),
            Request::Renew { claim, .. } => {
                // Only the answer to a mark decides about a done job.
                let is_current = !self.watch.is_kept(delivery)
                    && !self.marking.contains(&delivery)
                    && self.runs.iter().all(|run| run.delivery != delivery || run.holds(&claim));
                if held == Ok(Ownership::Lost) && is_current {
                    self.watch.claim_is_lost(delivery);
                }
                Reply::Renewed(claim, held)
            }
            Request::Mark { claim } => {
                self.watch.mark_is_answered(delivery, &held, refuses);
                if held == Ok(Ownership::Kept) && self.marking.contains(&delivery) {
                    self.watch.done.insert(number(&claim));
                }
                Reply::Marked(held.map_err(if refuses { MarkError::Refused } else { MarkError::Unanswered }))
            }
            Request::Release { claim } => {
                if held.is_ok() {
                    self.watch.released(delivery);
                }
                Reply::Released(claim, held)
            }
        };
        self.told.push((delivery, told.clone()));
        self.input(delivery, told);
    }

    /// A run receives the answer to its request, and reports to the ledger.
    fn admit(&mut self, delivery: DeliveryId, answer: Option<Answer>) {
        let Some(pick) = self.runs.iter().position(|run| run.delivery == delivery) else { return };
        let run = &mut self.runs[pick];
        let told = match answer {
            Some(Answer::Admitted(Admitted::Granted(claim, None))) => {
                run.claim = RunClaim::Kept(Arc::clone(&claim));
                Claimed::Granted(claim)
            }
            Some(Answer::Admitted(Admitted::Granted(claim, Some(takeover)))) => {
                run.claim = RunClaim::TakenOver(Arc::clone(&claim));
                Claimed::TakenOver(claim, takeover)
            }
            Some(Answer::Admitted(Admitted::Done)) => {
                run.claim = RunClaim::None;
                return self.end(pick, Ending::DoneBefore(Box::default()), None);
            }
            Some(Answer::Admitted(Admitted::Busy(remaining))) => {
                run.claim = RunClaim::None;
                return self.end(pick, Ending::Busy { remaining, reason: "held".to_owned() }, None);
            }
            Some(Answer::Written(_)) | None => {
                run.claim = RunClaim::Waits;
                Claimed::Unanswered("no route".to_owned())
            }
        };
        self.told.push((delivery, Reply::Claimed(told.clone())));
        self.input(delivery, Reply::Claimed(told));
    }

    fn input(&mut self, delivery: DeliveryId, told: Reply) {
        match told {
            Reply::Claimed(answer) => self.ledger.claimed(self.now, delivery, answer),
            Reply::Renewed(claim, reply) => self.ledger.claim_renewed(self.now, delivery, &claim, reply),
            Reply::Marked(reply) => self.ledger.marked(self.now, delivery, reply),
            Reply::Released(claim, reply) => self.ledger.claim_released(self.now, delivery, &claim, reply),
        }
        self.act();
    }

    /// Repeats an answer, unless that would answer a later request: a host reports each answer once.
    pub(super) fn answer_claim_again(&mut self, pick: usize) {
        let Some((delivery, told)) = pick.checked_rem(self.told.len()).map(|pick| self.told[pick].clone())
        else {
            return;
        };
        // A run waits for a decision after each missing answer, and reports no other one before.
        let reports_anew = matches!(told, Reply::Claimed(Claimed::Unanswered(_)))
            && self.runs.iter().any(|run| run.delivery == delivery && run.claim != RunClaim::Waits);
        if !reports_anew {
            // This releases no claim: the first answer did, and the answer to another claim changes nothing.
            self.input(delivery, told);
        }
    }

    /// The run that must end by itself now, with its ending: an aborted one, or one that waits for its claim without success.
    pub(super) fn ends_by_itself(&self) -> Option<(usize, Ending)> {
        let unavailable = || Ending::StoreUnavailable { reason: "no route".to_owned() };
        let limited = |wait: LimitWait| Ending::Limited {
            remaining: Duration::ZERO,
            limit: wait.reason,
            reason: "limited".to_owned(),
        };
        self.runs.iter().enumerate().find_map(|(pick, run)| match run.claim {
            RunClaim::Limited(_, wait) => Some((pick, limited(wait))),
            RunClaim::Waits if run.gives_up || run.cancelled.is_some() => Some((pick, unavailable())),
            RunClaim::TakenOver(_) if run.cancelled.is_some() => Some((pick, Ending::Interrupted)),
            RunClaim::Asked | RunClaim::Waits if run.aborted => Some((pick, Ending::Interrupted)),
            RunClaim::Kept(_) | RunClaim::None if run.aborted && !run.blocks => {
                Some((pick, Ending::Interrupted))
            }
            _ => None,
        })
    }

    /// The store answers all requests, and the runs that wait for it repeat theirs.
    pub(super) fn store_obliges(&mut self) {
        self.store_is_down = false;
        while !self.asked.is_empty() {
            self.answer_claim(0, 0);
        }
        if self.runs.iter().any(|run| run.claim == RunClaim::Waits) {
            self.wait(Duration::from_secs(3));
        }
    }
}
