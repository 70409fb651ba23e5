//! Notes about a pass over a DLQ, beside the output of its command.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use drumline_runtime::aws::is_fifo;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::queue::DeadLetterQueue;
use crate::format::{count, millis, note, short};

/// Reports the number of letters that were seen, that match, and that were not read.
pub(super) fn eprint_seen(queue: &DeadLetterQueue, seen: usize, limit: usize, matching: Option<usize>) {
    queue.eprint_unopened();
    let DeadLetterQueue { name, visible, hidden, .. } = queue;
    if seen == 0 {
        note(&match hidden {
            0 => format!("{name} is empty"),
            _ => {
                format!("{name} shows no message; about {hidden} are hidden: other receivers have them")
            }
        });
        return;
    }
    let matching = matching.map(|matching| format!(", {matching} of them match")).unwrap_or_default();
    note(&format!(
        "looked at {} in {name}{matching}; each has been received once more by that",
        count(seen, "message")
    ));
    let unseen = visible.saturating_sub(seen);
    if unseen > 0 && seen == limit {
        note(&format!("about {unseen} more were not looked at; --limit takes another number"));
    } else if unseen > 0 && is_fifo(name) {
        note(&format!("about {unseen} more are behind the first ten of their message groups"));
    } else if unseen > 0 {
        note(&format!("about {unseen} more were not seen: other receivers may have them"));
    }
    if *hidden > 0 {
        note(&format!("about {hidden} more are hidden: other receivers have them"));
    }
}

/// Reports letters that an action could not see, if there are any.
pub(super) fn eprint_hidden(name: &str, hidden: Option<usize>) {
    match hidden {
        Some(0) => {}
        Some(hidden) => {
            note(&format!(
                "about {hidden} of the messages in {name} are hidden: other receivers may have them"
            ));
        }
        None => note(&format!("it is not known if messages in {name} are hidden: SQS does not answer")),
    }
}

/// Reports letters that stay hidden until their hold ends.
pub(super) fn eprint_unreleased(letters: usize, hold: Duration, why: &str) {
    note(&format!(
        "{} could not be put back, and can be received again within {}: {why}",
        count(letters, "message"),
        short(millis(hold))
    ));
}

/// Returns the progress bar of a pass, for a terminal.
pub(super) fn progress_bar(expected: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{spinner} looked at {pos} of about {len}, {rate}{msg}";
    let style = ProgressStyle::with_template(template).expect("the template is sound");
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
        // An error while writing the progress line can be ignored.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    });
    let bar = ProgressBar::new(expected as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
