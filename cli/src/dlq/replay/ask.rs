//! Questions to the operator, and the answers where none was given.

use std::io::{IsTerminal, Write};

use drumline_consumer::ExitError;
use drumline_dlq::canary::Outcomes;
use drumline_runtime::variable;

use super::Counted;
use super::decide::Decider;
use crate::format::count;

/// Returns true if a question can be asked and answered.
pub(super) fn may_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks if the counted letters are to be sent.
pub(super) fn confirm(counted: &Counted, decider: &Decider) -> Result<bool, ExitError> {
    let left = decider.tally.all_left();
    let left = if left == 0 { String::new() } else { format!(", and leave {left} that match") };
    let queues: Vec<&str> = counted.per_queue.keys().map(String::as_str).collect();
    let letters = count(counted.letters.len(), "letter");
    ask(&format!("Replay {letters} from {} to {}{left}?", decider.queue.name, queues.join(", ")))
}

/// Asks if the rest is to be sent after the first letters.
pub(super) fn go_on(outcomes: &Outcomes) -> Result<bool, ExitError> {
    ask(&format!("{outcomes}. Go on with the rest?"))
}

#[allow(clippy::print_stderr, reason = "a question")]
fn ask(question: &str) -> Result<bool, ExitError> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The name of an action that is not given one: by the time of its begin.
pub(super) fn default_name(at_ms: u64) -> String {
    let secs = i64::try_from(at_ms / 1_000).unwrap_or_default();
    let time = jiff::Timestamp::from_second(secs).unwrap_or_default();
    format!("replay-{}", time.strftime("%Y%m%d-%H%M%S"))
}

/// The person or program that acts, if none is given.
pub(super) fn default_actor() -> String {
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
    let host = variable("HOSTNAME").or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    });
    match host {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}
