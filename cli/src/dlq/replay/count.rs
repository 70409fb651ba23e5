//! The count before a replay: finds the letters that match without sending any.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::journal::Left;
use drumline_dlq::letter_id::LetterId;
use drumline_runtime::aws::queue_name;

use super::decide::{Decider, Decision, Tally};
use super::source::Source;
use crate::interrupt::unless_interrupted;

/// The result of the count.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) letters: Vec<LetterId>,
    pub(super) per_queue: BTreeMap<String, u64>,
    /// The number of letters that were read, whether they match or not.
    pub(super) seen: usize,
}

/// Reads the letters of the DLQ and keeps the ids of those that would be sent. All letters are released at the end.
pub(super) async fn count(
    decider: &mut Decider<'_>,
    limit: usize,
    hold: Duration,
    export: Option<&Path>,
) -> Result<Counted, ExitError> {
    let mut look = Source::open(decider.queue, export, hold, None).await?;
    if decider.changes.are_edited() {
        // The editor uses the terminal.
        look.hide_progress();
    }
    let mut counted = Counted::default();
    let result = unless_interrupted(async {
        while counted.letters.len() < limit {
            let letters = look.more().await?;
            if letters.is_empty() {
                break;
            }
            decider.learned = look.take_learned();
            for (held, decision) in decider.decide(letters, None).await? {
                if let Decision::Send { url, .. } = decision {
                    if counted.letters.len() == limit {
                        decider.tally.unmatch(1);
                        continue;
                    }
                    counted.letters.push(held.id());
                    *counted.per_queue.entry(queue_name(&url).to_owned()).or_default() += 1;
                }
            }
        }
        Ok(())
    })
    .await;
    counted.seen = look.seen();
    look.end().await;
    result?;
    if let Some(edits) = decider.changes.edits() {
        edits.end();
    }
    Ok(counted)
}

/// Returns the error for a replay whose matching letters can all not be sent.
pub(super) fn nothing_to_send(tally: &Tally) -> ExitError {
    match tally.left.iter().next() {
        Some((Left::Origin, count)) if *count == tally.matched => {
            ExitError::usage("no letter has a queue that it may be sent to: --to names one")
        }
        _ => ExitError::other("none of the letters that match can be sent"),
    }
}
