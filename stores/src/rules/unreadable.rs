//! The error about a record that this version cannot read.

use std::error::Error;
use std::fmt;

use crate::store::StoreError;

/// A record that exists, but that this version cannot read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    key: String,
}

impl Unreadable {
    pub(crate) fn under(key: &str) -> Self {
        Self { key: key.to_owned() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key } = self;
        let fix = "written by a newer version or another program: update this worker";
        write!(f, "{key}: cannot read its record, {fix}")
    }
}

impl Error for Unreadable {}

impl From<Unreadable> for StoreError {
    fn from(error: Unreadable) -> Self {
        Self::Unanswered(error.to_string().into())
    }
}
