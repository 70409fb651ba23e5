//! The error text for a queue that did not become idle.

use std::fmt::Write as _;

use drumline_queue::{MessageState, PeekedMessage, Timestamp};

use crate::recorder::Recorder;

/// The maximum number of messages listed.
const MOST: usize = 10;

/// Returns a text about the messages left in a queue and why they are left, for a test whose wait timed out.
pub(crate) fn still_busy(left: &[PeekedMessage], now: Timestamp, recorder: &Recorder) -> String {
    let mut text = format!("{} messages are left, {} in hand", left.len(), recorder.in_hand());
    for message in left.iter().take(MOST) {
        let PeekedMessage { message_id, receive_count, .. } = message;
        let _ = write!(text, "\n- message {message_id}, received {receive_count} times");
        match message.state {
            MessageState::Visible => text.push_str(", visible"),
            MessageState::Delayed { until } => text.push_str(&format_wait(", delayed", until, now)),
            MessageState::InFlight { until } => text.push_str(&format_wait(", hidden", until, now)),
        }
        match recorder.last_run(message_id) {
            Some(run) => write!(text, "; last: {run}"),
            None => write!(text, "; no run of it has ended"),
        }
        .expect("a text takes any text");
    }
    if left.len() > MOST {
        let _ = write!(text, "\n- and {} more", left.len() - MOST);
    }
    text
}

fn format_wait(word: &str, until: Timestamp, now: Timestamp) -> String {
    format!("{word} for another {}", humantime::format_duration(until.since(now)))
}
