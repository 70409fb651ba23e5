//! The operator: who acts, what the action is called, and questions.

use std::io::{IsTerminal, Write};

use drumline_consumer::ExitError;
use drumline_runtime::variable;

use crate::format::many_lines;

/// Returns true if a question can be asked and answered.
pub(super) fn may_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Shows the lines that a question is about, and a blank line.
#[allow(clippy::print_stderr, reason = "a part of a question")]
pub(super) fn show(lines: &str) {
    eprintln!("{}\n", many_lines(lines));
}

/// Asks a question, and returns true if the answer is yes.
#[allow(clippy::print_stderr, reason = "a question")]
pub(super) fn confirm(question: &str) -> Result<bool, ExitError> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The name of an action that is not given one: by its kind and the time of its begin.
pub(super) fn default_name(kind: &str, at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    // Operators and scripts may begin several in a second.
    format!("{kind}-{}", time.strftime("%Y%m%d-%H%M%S-%3f"))
}

/// The person or program that acts, if none is given.
pub(super) fn default_actor() -> String {
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
    match host() {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}

/// The name of this host, if it is known.
pub(super) fn host() -> Option<String> {
    variable("HOSTNAME").or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
}
