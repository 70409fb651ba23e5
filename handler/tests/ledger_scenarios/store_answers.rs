//! The store's answers to the host of a scenario: claims, marks and releases.

use std::collections::VecDeque;
use std::sync::Arc;

use drumline::core::{Claim, Claimed, Ending, MarkError, Ownership, RunReport, Takeover};
use drumline::message::Identity;

use super::{World, secs};

impl World {
    /// The oldest run of this message ends, because another job holds this lock for 27 s.
    #[track_caller]
    pub(crate) fn is_locked(&mut self, name: &str, lock: &str) {
        let id = self.runs.get_mut(name).and_then(VecDeque::pop_front).expect("it runs");
        let ending = Ending::Busy { remaining: secs(27), reason: "another job has the lock".into() };
        self.reports(id, RunReport { lock: Some(lock.into()), ..RunReport::new(ending, None) });
    }

    /// The store grants the newest run of this message its claim and this lock.
    #[track_caller]
    pub(crate) fn is_granted_with(&mut self, name: &str, lock: &str) {
        let claim = Claim { lock: Some((lock.to_owned(), 1)), ..Arc::unwrap_or_clone(claim(name)) };
        self.claim_is_answered(name, Claimed::Granted(Arc::new(claim)));
    }

    /// The store grants the newest run of this message its claim.
    #[track_caller]
    pub(crate) fn is_granted(&mut self, name: &str) {
        self.claim_is_answered(name, Claimed::Granted(claim(name)));
    }

    /// The store grants the newest run of this message a claim that was taken over from `dead`.
    #[track_caller]
    pub(crate) fn takes_over(&mut self, name: &str, unended: u32) {
        let takeover = Takeover { former_owner: Some("dead".into()), unended };
        self.claim_is_answered(name, Claimed::TakenOver(claim(name), takeover));
    }

    /// The same for a claim that this process itself left.
    #[track_caller]
    pub(crate) fn takes_over_own(&mut self, name: &str, unended: u32) {
        let takeover = Takeover { former_owner: Some("worker".into()), unended };
        self.claim_is_answered(name, Claimed::TakenOver(claim(name), takeover));
    }

    /// The store does not answer the newest run of this message.
    #[track_caller]
    pub(crate) fn claim_is_unanswered(&mut self, name: &str) {
        self.claim_is_answered(name, Claimed::Unanswered("no route".into()));
    }

    #[track_caller]
    fn claim_is_answered(&mut self, name: &str, answer: Claimed) {
        let id = *self.runs[name].back().expect("it runs");
        self.ledger.claimed(self.now, id, answer);
        self.act();
    }

    /// The store answers the oldest renewal of a claim.
    #[track_caller]
    pub(crate) fn claim_is(&mut self, reply: Result<Ownership, String>) {
        let (id, claim) = self.renewals.pop_front().expect("a renewal is in flight");
        self.ledger.claim_renewed(self.now, id, &claim, reply);
        self.act();
    }

    /// The store answers the oldest mark.
    #[track_caller]
    pub(crate) fn mark_is(&mut self, reply: Result<Ownership, MarkError>) {
        let id = self.marks.pop_front().expect("a mark is in flight");
        self.ledger.marked(self.now, id, reply);
        self.act();
    }

    /// The store has released the oldest claim, or does not answer.
    #[track_caller]
    pub(crate) fn release_is(&mut self, reply: Result<Ownership, String>) {
        let (id, claim) = self.releases.pop_front().expect("a claim is being released");
        self.ledger.claim_released(self.now, id, &claim, reply);
        self.act();
    }

    #[track_caller]
    pub(crate) fn claim_is_free(&mut self) {
        self.release_is(Ok(Ownership::Kept));
    }
}

fn claim(name: &str) -> Arc<Claim> {
    Arc::new(Claim {
        identity: Arc::new(Identity::new("arn", "type", None, name)),
        owner: "worker".into(),
        fencing_token: 1,
        lock: None,
    })
}
