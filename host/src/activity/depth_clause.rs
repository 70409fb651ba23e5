//! The reason why a queue returns no message, from the numbers of its messages.

use super::Cause;
use crate::aws::is_fifo;
use crate::waiting_for::plural;

/// The messages that a queue has, as SQS reports them: approximately, and a few seconds late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Those that a receive may bring.
    pub visible: u64,
    /// Those whose delay is not over.
    pub delayed: u64,
    /// Those that a worker has, or that are hidden until their retry.
    pub in_flight: u64,
}

impl QueueDepth {
    /// Returns the number of messages that wait: visible or delayed.
    pub fn waiting(&self) -> u64 {
        self.visible.saturating_add(self.delayed)
    }
}

/// Returns why a queue from which messages are received brings none.
pub(super) fn explain(queue: &str, is_receiving: bool, depth: Option<QueueDepth>) -> (Cause, String) {
    let Some(QueueDepth { visible, delayed, in_flight }) = depth else {
        return (Cause::Empty, format!("{queue} brings no message"));
    };
    if visible > 0 {
        let messages = format!("{visible} message{} of {queue} {} visible", s(visible), are(visible));
        // FIFO queues are known by their suffix.
        return if in_flight > 0 && is_fifo(queue) {
            (
                Cause::InFlight,
                format!("{messages}, behind others of their message groups, which are in flight"),
            )
        } else if is_receiving {
            (Cause::Visible, format!("{messages}, and a receive is open"))
        } else {
            (Cause::Visible, format!("{messages}, and no receive is open for now"))
        };
    }
    let delayed_text = format!("{delayed} {} delayed", are(delayed));
    let in_flight_text = match in_flight {
        1 => "1 is in flight: with another worker, or hidden until its retry".to_owned(),
        _ => format!("{in_flight} are in flight: with other workers, or hidden until their retry"),
    };
    let none = format!("{queue} has no visible message");
    match (delayed, in_flight) {
        (0, 0) => (Cause::Empty, format!("{queue} is empty")),
        (_, 0) => (Cause::Delayed, format!("{none}, {delayed_text}")),
        (0, _) => (Cause::InFlight, format!("{none}, {in_flight_text}")),
        (_, _) => (Cause::InFlight, format!("{none}, {delayed_text}, {in_flight_text}")),
    }
}

fn s(count: u64) -> &'static str {
    plural(usize::try_from(count).unwrap_or(usize::MAX))
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
