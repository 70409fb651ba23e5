//! Properties that hold whenever the host has nothing to do.

use drumline::core::MAX_RECEIVE;

use super::Host;

impl Host {
    /// The maximum number of messages that are received before there are slots for them.
    pub(super) fn most_ahead(&self) -> usize {
        let policy = self.ledger.policy();
        if policy.fifo || self.pool.is_some() { 0 } else { policy.concurrency.get().max(MAX_RECEIVE) }
    }

    pub(super) fn looks_right(&mut self) {
        let slots = self.ledger.policy().concurrency.get();
        assert!(self.ledger.timeout().is_none_or(|at| at > self.now), "the timeout lies ahead");
        assert_eq!(self.ledger.running(), self.runs.len() + self.marking.len());
        assert!(self.ledger.pause_reasons().eq(self.watch.pauses.keys().copied()));
        if self.drops_notes {
            return;
        }
        self.watch.all_finished();
        if !self.on_lambda {
            // Messages that wait for limits are included.
            let locked = self.watch.locked.len();
            assert!(locked <= 10 * slots + 10, "what waits for locks and limits is bounded");
            let ahead = self.most_ahead();
            assert!(
                self.watch.undecided <= slots + ahead + locked + self.most_behind_held(),
                "what has no place goes back"
            );
            if self.watch.undecided > slots + locked + self.most_behind_held() {
                self.watch.seen.insert("received ahead");
            }
            let in_hand = self.ledger.in_hand();
            // A message that waited for a lock counts until it has left, even while SQS confirms its settlement; and a receive
            // that was opened before may still return messages.
            let to_come: usize = self.open.iter().map(|(receive, _)| receive.max).sum();
            let behind = self.most_behind_held();
            let calm = in_hand + to_come <= 2 * (slots + ahead) + behind;
            let most_locked = if calm { 0 } else { self.watch.most_locked.get() };
            let most_locked = most_locked.max(locked);
            self.watch.most_locked.set(most_locked);
            assert!(
                in_hand
                    <= 2 * (slots + ahead) + most_locked + self.most_behind_held() + self.brought_too_late,
                "{in_hand} in hand, {slots} places"
            );
        }
        if self.watch.drains {
            assert_eq!(self.ledger.demand(), 0, "nothing is asked for during a drain");
            let waiting = self.watch.undecided - self.runs.len() - self.marking.len();
            assert!(
                waiting == 0 || self.ledger.in_hand() > waiting,
                "what waits during a drain waits for a neighbour"
            );
        }
        let summary = self.ledger.drained();
        assert!(summary.is_none() || self.ledger.timeout().is_none(), "what is over needs no timeout");
    }
}
