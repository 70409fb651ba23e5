//! Questions to the operator, and defaults for unanswered ones.

use drumline_consumer::ExitError;
use drumline_dlq::canary::Outcomes;

use super::count::Counted;
use super::decide::Decider;
use crate::format::count;
use crate::question;

pub(super) use crate::question::may_ask;

/// The number of letters whose changes are shown before the question.
const SHOWN: usize = 3;

/// Asks if the counted letters should be sent.
pub(super) async fn confirm(counted: &Counted, decider: &Decider<'_>) -> Result<bool, ExitError> {
    let left = decider.tally.all_left();
    let left = if left == 0 { String::new() } else { format!(", and leave {left} that match") };
    let again = match decider.tally.again {
        0 => String::new(),
        again => format!(", of which {again} have jobs that are done and run once more"),
    };
    for letter in decider.changes.preview().iter().take(SHOWN) {
        question::show(letter);
    }
    let queues: Vec<&str> = counted.per_queue.keys().map(String::as_str).collect();
    let letters = count(counted.letters.len(), "letter");
    question::confirm(&format!(
        "Replay {letters} from {} to {}{again}{left}?",
        decider.queue.name,
        queues.join(", ")
    ))
    .await
}

/// Asks if the rest should be sent after the first letters. The caller drops the question on a signal or an abort, which end
/// the run.
pub(super) async fn go_on(outcomes: &Outcomes) -> Result<bool, ExitError> {
    question::answer(&format!("{outcomes}. Continue with the rest?")).await
}
