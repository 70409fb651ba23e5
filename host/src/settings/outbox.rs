//! The outbox of a process: its own, or the one in its store; and whether a worker relays it.

use drumline_store::{Location, SecretUrl};

use super::reader::Reader;
use super::values;
use crate::claims::StoreSettings;

/// The setting with the URL of an outbox.
const KEY: &str = "outbox_url";

const WRONG_STORE: &str = "needs store_url = postgres://…: no other store adds jobs in the transaction that marks their job as done";

impl Reader<'_> {
    /// Returns the URL of the outbox. A store that can contain one is the default, because its transactions then include claims
    /// and new jobs.
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

    /// Returns true if a worker relays the outbox of its store. Only a store that marks and adds in one transaction has one.
    pub(super) fn outbox_relay(&mut self, store: Option<&StoreSettings>) -> Option<bool> {
        let holds_outbox = store.is_none_or(|store| matches!(store.location, Location::Postgres(_)));
        self.get("outbox_relay", None, |text| match values::on_or_off(text) {
            Ok(true) if !holds_outbox => Err(WRONG_STORE.to_owned()),
            result => result,
        })
    }
}
