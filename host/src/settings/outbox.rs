//! The outbox of a process: its own, or the one beside its store.

use drumline_store::{Location, SecretUrl};

use super::reader::Reader;
use super::values;
use crate::claims::StoreSettings;

/// The setting that names an outbox.
const KEY: &str = "outbox_url";

impl Reader<'_> {
    /// Returns the URL of the outbox. A store that can hold one is the default: its transactions then span claims and new jobs.
    pub(super) fn outbox_url(&mut self, store: Option<&StoreSettings>) -> Option<SecretUrl> {
        let before = self.problems.len();
        let own = self.get(KEY, None, values::outbox_url);
        if own.is_some() || self.problems.len() > before {
            return own;
        }
        let (Location::Redis(url) | Location::Postgres(url)) = &store?.location else { return None };
        if let Some(row) = self.effective.iter_mut().rev().find(|row| row.key == KEY) {
            row.value = Some(url.to_string());
        }
        Some(url.clone())
    }
}
