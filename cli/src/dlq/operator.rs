//! Defaults for the operator's name and the action's name.

use drumline_runtime::variable;

/// Returns the default name of an action: its kind and the time of its begin.
pub(super) fn default_name(kind: &str, at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    // Operators and scripts may begin several actions in a second.
    format!("{kind}-{}", time.strftime("%Y%m%d-%H%M%S-%3f"))
}

/// Returns the default name of the person or program that acts.
pub(crate) fn default_actor() -> String {
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
    match host() {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}

/// Returns the name of this host, if it is known.
pub(super) fn host() -> Option<String> {
    variable("HOSTNAME").or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
}
