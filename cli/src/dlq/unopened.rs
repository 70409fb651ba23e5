//! Letters whose payload is in S3 or compressed, and could not be opened.

use std::sync::{Mutex, PoisonError};

use crate::format::{count, note};

/// The number of such letters, and the first reason.
#[derive(Debug, Default)]
pub(super) struct Unopened(Mutex<Option<(usize, String)>>);

impl Unopened {
    /// Adds a letter.
    pub(super) fn add(&self, why: &str) {
        let mut unopened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) = unopened.get_or_insert_with(|| (0, why.to_owned()));
        *count += 1;
    }

    /// Reports the letters once.
    pub(super) fn eprint(&self) {
        let unopened = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((number, why)) = unopened {
            note(&format!(
                "{} could not be opened, so that filters and columns know no more of such letters than their attributes: {why}",
                count(number, "payload")
            ));
        }
    }
}
