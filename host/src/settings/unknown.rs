//! Variables that look like settings and are none.

use std::fmt;

use super::problem::Problem;

/// A `DRUMLINE_` variable that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The known names that it is near, in words, such as `DRUMLINE_DONE_TTL or DRUMLINE_HISTORY_TTL`; `None` if it is near
    /// none.
    pub meant: Option<String>,
}

impl UnknownVariable {
    /// Returns the problem of a misspelt name; `None` if the name is near no known one.
    pub(super) fn problem(&self) -> Option<Problem> {
        let meant = self.meant.as_ref()?;
        Some(Problem::new(self.name.clone(), format!("no such setting; did you mean {meant}?")))
    }
}

/// The name, with the one that was meant.
impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem() {
            Some(Problem { place, text }) => write!(f, "{place}: {text}"),
            None => write!(f, "{}: no setting of this version, and ignored", self.name),
        }
    }
}
