//! The effects and the notes of a host, as lines.

use drumline::core::{Action, LedgerEvent, Outcome};

pub(crate) fn words_of_call(action: &Action) -> String {
    match action {
        Action::Delete(entries) => {
            let entries: Vec<_> = entries.iter().map(|entry| entry.receipt.as_str()).collect();
            format!("delete {}", entries.join(" "))
        }
        Action::ChangeVisibility(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|entry| format!("{}={}", entry.receipt, entry.visibility_secs)).collect();
            format!("hide {}", entries.join(" "))
        }
        Action::DeadLetter { message, reason, .. } => format!("copy {}: {reason}", message.id),
    }
}

/// The notes that scenarios check; transient successes are left out.
pub(crate) fn words_of_note(note: &LedgerEvent) -> Option<String> {
    let words = match note {
        LedgerEvent::Decided { message, outcome, .. } => {
            let outcome = match outcome {
                Outcome::RetryAfter(delay) => format!("retry after {delay:?}"),
                Outcome::DeadLetter(why) => format!("dead letter: {why}"),
                other => other.label().replace('_', " "),
            };
            format!("{} is {outcome}", message.id)
        }
        LedgerEvent::Settled(message) => format!("{} is settled", message.id),
        LedgerEvent::Unsettled { message, .. } => format!("{} is unsettled", message.id),
        LedgerEvent::Refused { message, .. } => format!("{}'s visibility stays", message.id),
        LedgerEvent::CallFailed { message, .. } => format!("{}'s call failed", message.id),
        LedgerEvent::Deduplicated { message, .. } => format!("{} was done before", message.id),
        LedgerEvent::ReceivedAgain(message) => format!("{} is here again", message.id),
        LedgerEvent::Moved(message) => format!("{} is moved", message.id),
        LedgerEvent::NoDeadLetterQueue(message) => format!("{} has no DLQ", message.id),
        LedgerEvent::RenewalFailed { message, .. } => format!("{} was not renewed", message.id),
        LedgerEvent::LeaseLost(message) => format!("{} lost its lease", message.id),
        LedgerEvent::ClaimRenewalFailed { message, .. } => format!("{}'s claim was not renewed", message.id),
        LedgerEvent::ClaimLost(message) => format!("{} lost its claim", message.id),
        LedgerEvent::RunsUnclaimed(message) => format!("{} runs unclaimed", message.id),
        LedgerEvent::MarkFailed { message, .. } => format!("{} was not marked", message.id),
        LedgerEvent::ResultRefused { message, .. } => format!("the result of {} was refused", message.id),
        LedgerEvent::Unmarked { message, .. } => format!("{} is unmarked", message.id),
        LedgerEvent::ClaimNotReleased(message) => format!("the claim of {} was not released", message.id),
        LedgerEvent::WaitsForLock { message, lock } => format!("{} waits for {lock}", message.id),
        LedgerEvent::Isolated(message) => format!("{} waits to run alone", message.id),
        LedgerEvent::Stalled { message, takeover, .. } => {
            let worker = takeover.former_owner.as_deref().unwrap_or("a worker");
            format!("{} was left by {worker}, unended {}", message.id, takeover.unended)
        }
        LedgerEvent::KeptInHand { message, .. } => format!("{} is kept in hand", message.id),
        LedgerEvent::ReceiveFailed { retry_in, .. } => format!("receive failed, again in {retry_in:?}"),
        LedgerEvent::Paused(pause) => format!("paused: {}", pause.reason.label()),
        LedgerEvent::Resumed { pause, lasted } => {
            format!("resumed after {lasted:?}: {}", pause.reason.label())
        }
        LedgerEvent::ReceiveOverdue => "a receive is overdue".to_owned(),
        LedgerEvent::EmptyAtOnce => "empty receives do not wait".to_owned(),
        LedgerEvent::Renewed(_)
        | LedgerEvent::Received { .. }
        | LedgerEvent::WaitsForLimit { .. }
        | LedgerEvent::HeldForLimit { .. } => return None,
        other => format!("{other:?}"),
    };
    Some(words)
}
