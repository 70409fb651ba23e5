//! The reason why a message must not be sent.

use std::fmt;

use drumline_contract::guards::Finding;

/// The largest number of further fields that an error names.
const MOST_NAMED: usize = 5;

/// The invalid part of a message, and the reason. The text contains no value of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsendable {
    /// A field of the payload (`payload.user.name`), an attribute (`attribute tenant`), or a parameter such as `group`.
    pub field: String,
    /// The reason and the remedy.
    pub reason: String,
}

impl Unsendable {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// Creates an error from the findings that are errors: the first one with its remedy, and the fields of the others.
    pub(crate) fn found(first: &Finding, others: &[&Finding]) -> Self {
        let fields =
            others.iter().take(MOST_NAMED).map(|finding| finding.field()).collect::<Vec<_>>().join(", ");
        let more = match others.len() {
            0 => String::new(),
            count if count > MOST_NAMED => format!("; also {fields} and {} more", count - MOST_NAMED),
            _ => format!("; also {fields}"),
        };
        Self::new(first.field(), format!("{}{more}", first.reason()))
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for Unsendable {}
