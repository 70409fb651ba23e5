//! The log lines about leases and claims, and about the workers that had them.

use drumline::core::LedgerEvent;
use tracing::{error, warn};

/// Logs a note about a lost lease, a claim or a suspect; ignores all others.
pub(super) fn log(queue: &str, note: &LedgerEvent) {
    match note {
        LedgerEvent::LeaseLost(message) => {
            error!(queue, message_id = &*message.id, "lease lost: the message may be somebody else's by now");
        }
        LedgerEvent::ClaimRenewalFailed { message, error } => {
            warn!(queue, message_id = &*message.id, error, "a claim could not be renewed");
        }
        LedgerEvent::ClaimLost(message) => error!(
            queue,
            message_id = &*message.id,
            "claim lost: another run of the job has it by now, so this one is stopped, or its effect may happen twice"
        ),
        LedgerEvent::Stalled { message, claim, takeover } => warn!(
            queue,
            message_id = &*message.id,
            "type" = &**claim.identity.job_type(),
            job_id = &**claim.identity.job_id(),
            receive_count = message.receive_count,
            former_worker = takeover.former_owner.as_deref(),
            unended = takeover.unended,
            "stalled job taken over: its worker left it without an ending"
        ),
        LedgerEvent::Isolated(message) => warn!(
            queue,
            message_id = &*message.id,
            receive_count = message.receive_count,
            "suspect: earlier runs have no known ending, so it waits for its turn in case it kills the process"
        ),
        LedgerEvent::RunsUnclaimed(message) => {
            warn!(queue, message_id = &*message.id, "runs without a claim, since the store does not answer");
        }
        LedgerEvent::MarkFailed { message, job_id, error } => warn!(
            queue,
            message_id = &*message.id,
            job_id = &**job_id,
            error,
            "the job is done, and stays in hand until the store remembers that"
        ),
        LedgerEvent::ResultRefused { message, error } => {
            warn!(queue, message_id = &*message.id, error, "the store refuses the result: marked without it");
        }
        LedgerEvent::Unmarked { message, job_id, error } => error!(
            queue,
            message_id = &*message.id,
            job_id = &**job_id,
            error,
            "unmarked: the job is done and its message deleted, but the store does not know it, so a duplicate would run"
        ),
        LedgerEvent::ClaimNotReleased(message) => {
            warn!(
                queue,
                message_id = &*message.id,
                "the claim could not be released in time: it ends by itself"
            );
        }
        _ => {}
    }
}
