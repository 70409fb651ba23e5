//! The cause of the wait of the messages in hand, if none of them runs.

use drumline::core::InHandCounts;

use super::Cause;
use crate::waiting_for::{plural, singular};

/// Returns the causes for which the messages in hand wait, with the first cause; `None` if there are none.
pub(super) fn explain(queue: &str, counts: &InHandCounts) -> Option<(Cause, String)> {
    let start = if counts.slots == 0 {
        ("for a slot, all of which other queues use", "for a slot, all of which other queues use")
    } else {
        ("for its start", "for their start")
    };
    // Each with the text for one message and for several.
    let all = [
        (Cause::Limit, counts.for_limit, ("for a limit of its type", "for limits of their types")),
        (Cause::Lock, counts.for_lock, ("for a lock", "for locks")),
        (Cause::Slot, counts.for_slot, start),
        (
            Cause::Group,
            counts.for_group,
            ("for another one of its message group", "for others of their message groups"),
        ),
        (
            Cause::Settling,
            counts.settling,
            ("for SQS to confirm its outcome", "for SQS to confirm their outcomes"),
        ),
    ];
    let words = |count, (one, several)| if count == 1 { one } else { several };
    let waits = all.into_iter().filter(|(_, count, _)| *count > 0);
    let waits: Vec<(Cause, usize, &str)> =
        waits.map(|(cause, count, forms)| (cause, count, words(count, forms))).collect();
    let (cause, _, for_what) = *waits.first()?;
    let total: usize = waits.iter().map(|(_, count, _)| count).sum();
    let messages = format!("{total} message{} of {queue} wait{}", plural(total), singular(total));
    if waits.len() == 1 {
        return Some((cause, format!("{messages} {for_what}")));
    }
    let each = waits.iter().map(|(_, count, for_what)| format!("{count} {for_what}"));
    Some((cause, format!("{messages}: {}", each.collect::<Vec<_>>().join(", "))))
}
