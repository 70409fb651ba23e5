//! Log lines about receives and their pauses.

use drumline::core::{LedgerEvent, Pause};
use tracing::{debug, error, info, warn};

/// Logs a note about a receive or a pause; ignores all others.
pub(super) fn log(queue: &str, note: &LedgerEvent) {
    match note {
        LedgerEvent::Received { count: 0, .. } => {}
        LedgerEvent::Received { count, .. } => debug!(queue, count, "received"),
        LedgerEvent::EmptyAtOnce => warn!(
            queue,
            "empty receives do not wait: slowed to ten a second; set DRUMLINE_WAIT_TIME above 0, or check that the \
             endpoint supports long polling"
        ),
        LedgerEvent::ReceiveFailed { error, retry_in } => {
            let retry_in_secs = retry_in.as_secs_f64();
            error!(queue, error, retry_in_secs, "receiving failed");
        }
        LedgerEvent::Paused(Pause { reason, probe }) => {
            warn!(queue, reason = reason.label(), probe = probe.label(), "receiving paused");
        }
        LedgerEvent::Resumed { pause, lasted } => {
            let paused_secs = lasted.as_secs_f64();
            info!(queue, reason = pause.reason.label(), paused_secs, "pause ended");
        }
        LedgerEvent::ReceiveOverdue => {
            error!(queue, "a receive does not end, another one takes its place: not ready until it is over");
        }
        _ => {}
    }
}
