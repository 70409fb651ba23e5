//! The counts of a replay in the record of its action.

use drumline_dlq::action::Counts;
use drumline_dlq::journal::State;

use super::decide::Tally;

/// Returns the counts of a replay for its record.
pub(super) fn counts(state: &State, tally: &Tally) -> Counts {
    let mut counts = Counts::from([("sent".to_owned(), state.sent() as u64)]);
    for (name, count) in [("returned", state.returned() as u64), ("runAgain", tally.again)] {
        if count > 0 {
            counts.insert(name.to_owned(), count);
        }
    }
    let left = tally.left.iter().map(|(why, letters)| (format!("left: {}", why.name()), *letters));
    counts.extend(left);
    counts
}
