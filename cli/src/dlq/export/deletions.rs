//! The letters of an export that must be deleted after their lines are on disk.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use drumline_dlq::letter_id::LetterId;

use crate::dlq::spool::Receipt;
use crate::format::now_ms;

/// Letters to delete.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// The newest receipts of the letters that are deleted after the next commit.
    due: HashMap<LetterId, Receipt>,
    /// Letters on disk whose hold ended before they were deleted.
    late: HashSet<LetterId>,
    /// The time at which the last of these holds ends.
    late_until: u64,
}

impl Deletions {
    /// Adds a letter that is held.
    pub(super) fn add(&mut self, receipt: Receipt) {
        self.late.remove(&receipt.id);
        self.due.insert(receipt.id, receipt);
    }

    /// Takes the receipts that are still valid. The letters of the other receipts become late.
    pub(super) fn take_usable(&mut self) -> Vec<Receipt> {
        let (usable, late): (Vec<Receipt>, Vec<Receipt>) =
            self.due.drain().map(|(_, receipt)| receipt).partition(Receipt::is_usable);
        for receipt in late {
            self.late_until = self.late_until.max(receipt.until);
            self.late.insert(receipt.id);
        }
        usable
    }

    /// Records that a letter's hold had ended before it could be deleted.
    pub(super) fn missed(&mut self, id: LetterId) {
        self.late.insert(id);
    }

    /// Records that late letters were deleted.
    pub(super) fn deleted(&mut self, letters: &HashSet<LetterId>) {
        self.late.retain(|id| !letters.contains(id));
    }

    /// Returns the late letters.
    pub(super) fn late(&self) -> &HashSet<LetterId> {
        &self.late
    }

    /// Waits until the holds of late letters have ended, so that they can be received: a few seconds at most.
    pub(super) async fn until_visible(&self) {
        tokio::time::sleep(Duration::from_millis(self.late_until.saturating_sub(now_ms()))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(id: &str, until: u64) -> Receipt {
        Receipt { id: LetterId::of(id), until, handle: format!("{id} {until}") }
    }

    #[test]
    fn a_letter_whose_hold_has_ended_is_kept_until_it_is_deleted() {
        let mut deletions = Deletions::default();
        let soon = now_ms() + 60_000;
        deletions.add(receipt("m-1", soon));
        deletions.add(receipt("m-2", now_ms()));
        deletions.add(receipt("m-3", now_ms()));
        assert_eq!(deletions.take_usable(), [receipt("m-1", soon)]);
        assert_eq!(deletions.late(), &HashSet::from(["m-2", "m-3"].map(LetterId::of)));

        // The letter is received again, and its hold ends again.
        deletions.add(receipt("m-2", soon));
        assert_eq!(deletions.late(), &HashSet::from([LetterId::of("m-3")]));
        assert_eq!(deletions.take_usable(), [receipt("m-2", soon)]);
        deletions.missed(LetterId::of("m-2"));
        deletions.deleted(&HashSet::from([LetterId::of("m-3")]));
        assert_eq!(deletions.late(), &HashSet::from([LetterId::of("m-2")]));
    }

    #[test]
    fn the_newest_receipt_of_a_letter_counts() {
        let mut deletions = Deletions::default();
        let soon = now_ms() + 60_000;
        deletions.add(receipt("m-1", now_ms()));
        deletions.add(receipt("m-1", soon));
        assert_eq!(deletions.take_usable(), [receipt("m-1", soon)]);
        assert!(deletions.late().is_empty());
    }
}
