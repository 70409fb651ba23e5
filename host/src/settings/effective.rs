//! A setting in force, with its origin.

use super::origin::Origin;

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The queue it is about; `None` for the whole process.
    pub queue: Option<String>,
    /// The setting's key, or an entry of a table, such as `retry_by_type.email.send`.
    pub key: String,
    /// Its value without secrets, or nothing.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: Origin,
}
