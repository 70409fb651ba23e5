//! Log lines about jobs that wait for their limits.

use drumline::core::{Ending, LedgerEvent, RunFacts};
use drumline::message::Message;
use tracing::{debug, info};

/// Logs a note about waiting messages; any other is not logged here.
pub(super) fn log(queue: &str, note: &LedgerEvent) {
    match note {
        LedgerEvent::WaitsForLimit { class, reason, opens_in } => info!(
            queue,
            "type" = &*class.job_type,
            key = class.key.as_deref(),
            tenant = class.tenant.as_ref().map(|tenant| &*tenant.group),
            reason = reason.label(),
            opens_in_secs = opens_in.map(|time| time.as_secs_f64()),
            "waiting for limit"
        ),
        LedgerEvent::HeldForLimit { job_type, reason, count, .. } => {
            debug!(queue, "type" = &**job_type, reason = reason.label(), count, "held for limit");
        }
        _ => {}
    }
}

/// A message goes back to its queue, since more of its class are held than start soon.
pub(super) fn log_returned(queue: &str, message: &Message, run: Option<&RunFacts>, hidden_for_secs: f64) {
    let limit = run.and_then(|run| match run.ending {
        Ending::Limited { limit, .. } => Some(limit.label()),
        _ => None,
    });
    debug!(
        queue,
        message_id = &*message.id,
        "type" = run.and_then(RunFacts::job_type),
        reason = limit,
        receive_count = message.receive_count,
        hidden_for_secs,
        "returned for a limit"
    );
}
