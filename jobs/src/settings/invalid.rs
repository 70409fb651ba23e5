//! An invalid setting.

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct InvalidSetting {
    /// The variable's name, such as `DRUMLINE_MAX_PIXELS`.
    pub name: &'static str,
    /// The problem of its value; never the value itself if that may contain a password.
    pub problem: String,
}
