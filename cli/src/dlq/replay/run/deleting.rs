//! The deletes of letters that were sent.

use std::collections::HashMap;

use drumline::core::CallError;
use drumline_consumer::ExitError;
use drumline_dlq::journal::{Record, State};
use drumline_dlq::letter_id::LetterId;
use drumline_producer::MAX_BATCH_ENTRIES;

use super::parts::{Deleted, Run, ToDelete};
use crate::format::now_ms;

/// A receipt is not used in the last milliseconds of its hold, while a call may be on its way.
const MARGIN_MS: u64 = 5_000;

impl Run<'_> {
    /// Deletes letters that an earlier process has sent, by their receipts, as far as these are valid. The others are received again.
    pub(in crate::dlq::replay) fn delete_sent(&mut self, state: &State) {
        let mut letters = Vec::new();
        for (batch, place, letter) in state.undeleted() {
            self.undeleted.insert(LetterId::of(&letter.letter), (batch, place));
            if letter.until > now_ms() + MARGIN_MS {
                letters.extend(ToDelete::planned(batch, place, letter));
            }
        }
        for letters in letters.chunks(MAX_BATCH_ENTRIES) {
            self.delete(letters.to_vec());
        }
    }

    pub(super) fn delete(&mut self, letters: Vec<ToDelete>) {
        let Some(settler) = self.letters.settler() else { return };
        self.deletes.spawn(async move {
            let receipts = letters.iter().map(|letter| letter.receipt.clone()).collect();
            let results = settler.delete(receipts).await;
            Deleted { letters, results }
        });
    }

    pub(super) fn deleted(&mut self, deleted: Deleted) -> Result<(), ExitError> {
        let mut refused = None;
        let mut gone: HashMap<u64, Vec<usize>> = HashMap::new();
        for (letter, result) in deleted.letters.iter().zip(deleted.results) {
            match result {
                Ok(()) => {
                    self.letters.forget([letter.id]);
                    if let Some((batch, place)) = letter.place {
                        self.undeleted.remove(&letter.id);
                        gone.entry(batch).or_default().push(place);
                    }
                    self.may_show_more |= self.letters.is_fifo();
                }
                // The letter is visible again, or deleted already.
                Err(CallError::Gone(_)) => {
                    self.letters.see_again([letter.id]);
                    self.letters.forget([letter.id]);
                    self.undeleted.extend(letter.place.map(|place| (letter.id, place)));
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
