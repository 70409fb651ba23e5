//! A setting that cannot be used.

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct InvalidSetting {
    /// The variable's name, such as `DRUMLINE_MAX_PIXELS`.
    pub name: &'static str,
    /// What is wrong with its value; never the value itself where that may hold a password.
    pub problem: String,
}
