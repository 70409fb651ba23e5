//! What a host is asked to do, and what it is notified of, as lines.

use drumline::core::{Action, Note, Outcome};

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

/// The notes that a scenario is about; successes in passing are left out.
pub(crate) fn words_of_note(note: &Note) -> Option<String> {
    let words = match note {
        Note::Decided { message, outcome, .. } => {
            let outcome = match outcome {
                Outcome::RetryAfter(delay) => format!("retry after {delay:?}"),
                Outcome::DeadLetter(why) => format!("dead letter: {why}"),
                other => other.label().replace('_', " "),
            };
            format!("{} is {outcome}", message.id)
        }
        Note::Settled(message) => format!("{} is settled", message.id),
        Note::Unsettled { message, .. } => format!("{} is unsettled", message.id),
        Note::Refused { message, .. } => format!("{}'s visibility stays", message.id),
        Note::CallFailed { message, .. } => format!("{}'s call failed", message.id),
        Note::Deduplicated { message, .. } => format!("{} was done before", message.id),
        Note::ReceivedAgain(message) => format!("{} is here again", message.id),
        Note::Moved(message) => format!("{} is moved", message.id),
        Note::NoDeadLetterQueue(message) => format!("{} has no DLQ", message.id),
        Note::RenewalFailed { message, .. } => format!("{} was not renewed", message.id),
        Note::LeaseLost(message) => format!("{} lost its lease", message.id),
        Note::ClaimRenewalFailed { message, .. } => format!("{}'s claim was not renewed", message.id),
        Note::ClaimLost(message) => format!("{} lost its claim", message.id),
        Note::RunsUnclaimed(message) => format!("{} runs unclaimed", message.id),
        Note::MarkFailed { message, .. } => format!("{} was not marked", message.id),
        Note::ResultRefused { message, .. } => format!("the result of {} was refused", message.id),
        Note::Unmarked { message, .. } => format!("{} is unmarked", message.id),
        Note::ClaimNotReleased(message) => format!("the claim of {} was not released", message.id),
        Note::WaitsForLock { message, lock } => format!("{} waits for {lock}", message.id),
        Note::Isolated(message) => format!("{} waits to run alone", message.id),
        Note::Stalled { message, takeover, .. } => {
            let worker = takeover.former_owner.as_deref().unwrap_or("a worker");
            format!("{} was left by {worker}, unended {}", message.id, takeover.unended)
        }
        Note::KeptInHand { message, .. } => format!("{} is kept in hand", message.id),
        Note::ReceiveFailed { retry_in, .. } => format!("receive failed, again in {retry_in:?}"),
        Note::Paused(pause) => format!("paused: {}", pause.reason.label()),
        Note::Resumed { pause, lasted } => format!("resumed after {lasted:?}: {}", pause.reason.label()),
        Note::ReceiveOverdue => "a receive is overdue".to_owned(),
        Note::EmptyAtOnce => "empty receives do not wait".to_owned(),
        Note::Renewed(_) | Note::Received(_) => return None,
        other => format!("{other:?}"),
    };
    Some(words)
}
