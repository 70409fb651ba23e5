//! An active setting, with its source.

use super::origin::Origin;

/// An active setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The queue to which it applies; `None` for the whole process.
    pub queue: Option<String>,
    /// The setting's key, or an entry of a table, such as `retry_by_type.email.send`.
    pub key: String,
    /// Its value without secrets; `None` without a value.
    pub value: Option<String>,
    /// The source of the value.
    pub origin: Origin,
}
