//! Log lines about jobs that wait for their limits.

use drumline::core::LedgerEvent;
use tracing::{debug, info};

/// Logs a note about waiting messages; ignores all others.
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
