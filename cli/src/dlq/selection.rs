//! The chosen letters of a pass, with their histories.

use drumline_dlq::filter::Filter;
use drumline_dlq::letter_id::LetterId;
use futures_util::future::join_all;

use super::dead_letter::DeadLetter;
use super::hold::Held;
use super::queue::DeadLetterQueue;
use super::reasons::ReasonLookup;
use super::spool::Receipt;
use crate::format::now_ms;

/// A letter that is chosen and held.
pub(super) struct Selected {
    pub(super) letter: DeadLetter,
    /// The end of its hold, in milliseconds since the Unix epoch.
    until: u64,
}

impl Selected {
    /// Returns the message's id in 16 bytes.
    pub(super) fn id(&self) -> LetterId {
        LetterId::of(&self.letter.message().id)
    }

    /// Returns the receipt that holds the letter.
    pub(super) fn receipt(&self) -> Receipt {
        Receipt { id: self.id(), until: self.until, handle: self.letter.message().receipt.clone() }
    }
}

/// Returns the largest number of letters to choose; all without `--limit`.
pub(super) fn at_most(limit: Option<u32>) -> usize {
    limit.map_or(usize::MAX, |limit| limit as usize)
}

/// Returns the letters that the filter accepts, with their histories if these can be looked up. Histories are looked up only
/// for letters that may be chosen.
pub(super) async fn select(
    letters: Vec<Held>,
    queue: &DeadLetterQueue,
    filter: &Filter,
    reasons: Option<&mut ReasonLookup>,
) -> Vec<Selected> {
    let now = now_ms();
    let decoded = letters.into_iter().map(async |held| (held.until, queue.letter(held.message).await));
    let decoded = join_all(decoded).await.into_iter();
    let (ends, mut letters): (Vec<u64>, Vec<DeadLetter>) =
        decoded.filter(|(_, letter)| filter.matches_message(letter.letter(), now)).unzip();
    if let Some(reasons) = reasons {
        reasons.add(&mut letters).await;
    }
    let selected = letters.into_iter().zip(ends).map(|(letter, until)| Selected { letter, until });
    selected.filter(|selected| filter.matches(selected.letter.letter(), now)).collect()
}
