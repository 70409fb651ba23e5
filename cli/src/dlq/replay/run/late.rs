//! Letters whose hold has ended, or would end before they can be sent: they are received again.

use std::time::Duration;

use drumline_dlq::letter_id::LetterId;

use super::parts::Run;
use crate::dlq::replay::batches::{Batch, Candidate};
use crate::dlq::spool::Receipt;
use crate::format::{millis, note, now_ms, short};

/// The time that a hold must have left when its letter is planned: nearly all sends take less.
const MARGIN: Duration = Duration::from_mins(1);

impl Run<'_> {
    /// Takes the next batch, without letters whose hold ends too soon. On a FIFO queue, the letters behind them wait, too.
    pub(super) async fn take_batch(&mut self, most: usize) -> Option<Batch> {
        let margin = millis(MARGIN.min(self.bounds.hold / 2));
        while let Some(mut batch) = self.batches.take(most) {
            let soon = now_ms() + margin;
            let ends = |letter: &Candidate| letter.receipt.as_ref().is_some_and(|(_, until)| *until < soon);
            let (mut late, ready): (Vec<_>, Vec<_>) = batch.letters.into_iter().partition(ends);
            batch.letters = ready;
            let groups: Vec<_> = late.iter().filter_map(|letter| letter.outgoing.group.clone()).collect();
            let until = now_ms() + millis(self.bounds.hold);
            for group in groups.iter().filter(|_| batch.is_fifo) {
                late.extend(self.batches.put_off(&batch.url, group, until));
            }
            self.put_back(late).await;
            if !batch.letters.is_empty() {
                return Some(batch);
            }
        }
        None
    }

    /// Puts accepted letters back.
    async fn put_back(&mut self, letters: Vec<Candidate>) {
        self.accepted -= letters.len();
        self.decider.tally.unmatch(letters.len() as u64);
        let receipts = letters.into_iter().filter_map(|letter| {
            let (handle, until) = letter.receipt?;
            Some(Receipt { id: letter.id, until, handle })
        });
        self.receive_again(receipts.collect()).await;
    }

    /// Releases held letters so that they are received again.
    pub(super) async fn receive_again(&mut self, letters: Vec<Receipt>) {
        let (held, ended): (Vec<_>, Vec<_>) = letters.into_iter().partition(Receipt::is_usable);
        self.hold_ended(ended.iter().map(|receipt| receipt.id));
        if held.is_empty() {
            return;
        }
        self.may_show_more = true;
        self.letters.see_again(held.iter().map(|receipt| receipt.id));
        let Some(settler) = self.letters.settler() else { return };
        let (handles, untils): (Vec<_>, Vec<_>) =
            held.into_iter().map(|receipt| (receipt.handle, receipt.until)).unzip();
        let results = settler.release(handles).await;
        let unreleased = results.iter().zip(untils).filter(|(result, _)| result.is_err());
        if let Some(until) = unreleased.map(|(_, until)| until).max() {
            self.hidden_until = self.hidden_until.max(until);
        }
    }

    /// Schedules letters whose hold has ended to be received again. A receive that is in flight or waiting may have hidden them
    /// again.
    pub(super) fn hold_ended(&mut self, letters: impl Iterator<Item = LetterId>) {
        let letters: Vec<LetterId> = letters.collect();
        if letters.is_empty() {
            return;
        }
        self.letters.hold_ended(letters);
        self.may_show_more = true;
        self.hidden_until = now_ms() + millis(self.bounds.hold);
    }

    /// Returns the milliseconds until no letter is hidden by a receive of the action that this process does not know of.
    pub(super) fn hidden_ms(&self) -> u64 {
        self.bounds.hidden_until.max(self.hidden_until).saturating_sub(now_ms())
    }

    pub(super) fn note_hidden(&self) {
        let why = if self.bounds.hidden_until > now_ms() {
            "the killed process may have hidden (--no-wait does not)"
        } else {
            "are hidden, since their hold ended before they could be sent or deleted"
        };
        note(&format!("waiting {} for letters that {why}", short(self.hidden_ms())));
    }
}
