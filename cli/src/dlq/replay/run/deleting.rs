//! The deletes of letters that were sent.

use std::collections::HashMap;

use drumline::core::CallError;
use drumline_consumer::ExitError;
use drumline_dlq::journal::{Record, State};
use drumline_dlq::letter_id::LetterId;
use drumline_producer::MAX_BATCH_ENTRIES;

use super::parts::{Deleted, Run, ToDelete};

impl Run<'_> {
    /// Deletes letters that an earlier process has sent, by their receipts that are still valid. The others are received again.
    pub(in crate::dlq::replay) fn delete_sent(&mut self, state: &State) {
        let mut letters = Vec::new();
        for (batch, place, letter) in state.undeleted() {
            self.undeleted.insert(LetterId::of(&letter.letter), (batch, place));
            let letter = ToDelete::planned(batch, place, letter);
            letters.extend(letter.filter(|letter| letter.receipt.is_usable()));
        }
        for letters in letters.chunks(MAX_BATCH_ENTRIES) {
            self.delete(letters.to_vec());
        }
    }

    /// Returns true if all letters that may be sent are sent, and some of them must be received again to be deleted.
    pub(super) fn seeks_undeleted(&self) -> bool {
        self.accepted >= self.bounds.limit && !self.undeleted.is_empty() && self.deletes.is_empty()
    }

    /// Deletes held letters. A letter whose hold has ended is received again: SQS accepts its old receipt, but may delete
    /// nothing.
    pub(super) fn delete_held(&mut self, letters: Vec<ToDelete>) {
        let (held, ended): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| letter.receipt.is_usable());
        for letter in &ended {
            self.undeleted.extend(letter.place.map(|place| (letter.receipt.id, place)));
        }
        self.hold_ended(ended.iter().map(|letter| letter.receipt.id));
        if !held.is_empty() {
            self.delete(held);
        }
    }

    fn delete(&mut self, letters: Vec<ToDelete>) {
        let Some(settler) = self.letters.settler() else { return };
        self.deletes.spawn(async move {
            let receipts = letters.iter().map(|letter| letter.receipt.handle.clone()).collect();
            let results = settler.delete(receipts).await;
            Deleted { letters, results }
        });
    }

    pub(super) fn deleted(&mut self, deleted: Deleted) -> Result<(), ExitError> {
        let mut refused = None;
        let mut gone: HashMap<u64, Vec<usize>> = HashMap::new();
        for (letter, result) in deleted.letters.iter().zip(deleted.results) {
            let id = letter.receipt.id;
            match result {
                Ok(()) => {
                    self.letters.forget([id]);
                    if let Some((batch, place)) = letter.place {
                        self.undeleted.remove(&id);
                        gone.entry(batch).or_default().push(place);
                    }
                    self.may_show_more |= self.letters.is_fifo();
                }
                // The letter is visible again, or already deleted.
                Err(CallError::Gone(_)) => {
                    self.letters.hold_ended([id]);
                    self.undeleted.extend(letter.place.map(|place| (id, place)));
                    self.may_show_more = true;
                }
                Err(CallError::Failed(why)) => {
                    self.undeletable += 1;
                    refused.get_or_insert(ExitError::unavailable(why));
                }
                Err(CallError::Refused(why)) => {
                    self.undeletable += 1;
                    refused = Some(ExitError::unavailable(why));
                }
            }
        }
        for (batch, places) in gone {
            self.journal.log.add(&Record::Gone { batch, places });
        }
        refused.map_or(Ok(()), Err)
    }
}
