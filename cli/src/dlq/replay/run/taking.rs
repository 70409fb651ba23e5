//! The letters of a pass: each waits for its batch, is deleted because it was sent before, or stays.

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Left, Record};

use super::parts::{Run, ToDelete};
use crate::dlq::hold::Held;
use crate::dlq::replay::batches::Candidate;
use crate::dlq::replay::decide::{Decision, known};

impl Run<'_> {
    pub(super) async fn take(&mut self, mut letters: Vec<Held>) -> Result<(), ExitError> {
        if self.is_limit_reached() {
            // The other letters stay held until the end, so that none is seen again at once.
            letters.retain(|held| known(&held.message, self.journal.log.state()).is_some());
        }
        self.decider.learned = self.letters.take_learned();
        let decided = self.decider.decide(letters, Some(self.journal.log.state())).await?;
        let (mut sent, mut later) = (Vec::new(), Vec::new());
        for (held, decision) in decided {
            match decision {
                Decision::Send { url, is_fifo, outgoing, done } => {
                    if self.accepted >= self.limit() {
                        self.decider.tally.unmatch(1);
                        later.push(held.receipt());
                        continue;
                    }
                    let receipt = held.receipt();
                    let candidate = Candidate::held(held, outgoing, done);
                    if self.batches.is_put_off(&url, &candidate) {
                        self.decider.tally.unmatch(1);
                        later.push(receipt);
                        continue;
                    }
                    self.accepted += 1;
                    self.batches.add(&url, is_fifo, candidate);
                }
                Decision::Leave(why) => {
                    let letter = held.message.id.to_string();
                    self.journal.log.add(&Record::Left { letter, why });
                }
                Decision::Pass => {}
                Decision::Delete => {
                    if !self.journal.log.state().was_sent(held.id()) {
                        let letter = held.message.id.to_string();
                        self.journal.log.add(&Record::Found { letter });
                        self.decider.tally.matched += 1;
                    }
                    sent.push(ToDelete {
                        place: self.undeleted.get(&held.id()).copied(),
                        receipt: held.receipt(),
                    });
                }
                Decision::Returned(message) => self.journal.log.add(&Record::Returned { message }),
            }
        }
        if !sent.is_empty() {
            self.delete_held(sent);
        }
        self.receive_again(later).await;
        Ok(())
    }

    /// Counts letters that were accepted but stay. In a canary, other letters replace them among the first letters; the limit
    /// counts letters that were tried.
    pub(super) fn not_sent(&mut self, letters: usize) {
        self.accepted -= letters;
        self.bounds.limit = self.bounds.limit.saturating_sub(letters);
    }

    pub(super) fn leave(&mut self, letter: &str, why: Left, text: &str) {
        self.decider.tally.leave(why, letter, text);
        self.journal.log.add(&Record::Left { letter: letter.to_owned(), why });
    }
}
