//! The letters that a look brings: each waits for its batch, is deleted since it was sent before, or stays.

use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Left, Record};

use super::parts::{Run, ToDelete};
use crate::dlq::hold::Held;
use crate::dlq::replay::batches::Candidate;
use crate::dlq::replay::decide::Decision;

impl Run<'_> {
    pub(super) async fn take(&mut self, letters: Vec<Held>) -> Result<(), ExitError> {
        self.decider.learned = self.letters.take_learned();
        let decided = self.decider.decide(letters, Some(self.journal.log.state())).await?;
        let (mut sent, mut later) = (Vec::new(), Vec::new());
        for (held, decision) in decided {
            match decision {
                Decision::Send { url, is_fifo, outgoing, done } => {
                    if self.accepted >= self.limit() {
                        self.decider.tally.unmatch(1);
                        later.push(held);
                        continue;
                    }
                    self.accepted += 1;
                    let letter = Arc::clone(&held.message.id);
                    if !self.batches.add(&url, is_fifo, Candidate::held(held, outgoing, done)) {
                        self.leave(&letter, Left::BehindOther, &Left::BehindOther.to_string());
                    }
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
                        id: held.id(),
                        place: self.undeleted.get(&held.id()).copied(),
                        receipt: held.message.receipt,
                    });
                }
                Decision::Returned(message) => self.journal.log.add(&Record::Returned { message }),
            }
        }
        if !sent.is_empty() {
            self.delete(sent);
        }
        if !later.is_empty() {
            self.letters.see_again(later.iter().map(Held::id));
            self.letters.forget(later.iter().map(Held::id));
            if let Some(settler) = self.letters.settler() {
                let receipts = later.into_iter().map(|held| held.message.receipt);
                settler.release(receipts.collect()).await;
            }
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, letter: &str, why: Left, text: &str) {
        self.decider.tally.leave(why, letter, text);
        self.journal.log.add(&Record::Left { letter: letter.to_owned(), why });
    }
}
