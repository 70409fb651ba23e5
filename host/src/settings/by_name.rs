//! The tables of the file whose keys are names that the operator chooses: job types, or origins of events.
//!
//! They are at the file's top level; those about one queue may also be in a `[[queue]]` table. A queue's table extends the top
//! level's, and its entries override those with the same name.

use std::collections::BTreeMap;

use drumline::message::{MAX_SOURCE_BYTES, MAX_TYPE_BYTES};
use toml::Value;

use super::file_text::text_of;
use super::origin::Origin;
use super::problem::Problem;
use super::values;
use crate::shown::Shown;

/// A table of texts by name.
#[derive(Debug)]
pub(super) struct TableByName {
    pub(super) key: &'static str,
    /// The names and the values, for error texts.
    holds: &'static str,
    /// True if lists of texts are also accepted.
    lists: bool,
    longest_name: usize,
    /// True if a `[[queue]]` table may have its own.
    pub(super) per_queue: bool,
    /// The part of a value that may be shown.
    pub(super) shown: Shown,
}

pub(super) const RETRY_BY_TYPE: TableByName = by_type("retry_by_type", "job types and their retry policies");

pub(super) const HANDLER_TIMEOUT_BY_TYPE: TableByName =
    by_type("handler_timeout_by_type", "job types and the times that one attempt may take");

pub(super) const MAX_ATTEMPTS_BY_TYPE: TableByName =
    by_type("max_attempts_by_type", "job types and their numbers of attempts");

pub(super) const SCOPE_BY_TYPE: TableByName = by_type("scope_by_type", "job types and their scopes");

pub(super) const REQUIRE_BY_TYPE: TableByName =
    TableByName { lists: true, ..by_type("require_by_type", "job types and the fields that they require") };

pub(super) const EVENT_TYPES: TableByName = TableByName {
    longest_name: MAX_SOURCE_BYTES,
    ..by_type("event_types", "topics, detail-types, sources or buckets, and their job types")
};

pub(super) const QUEUE_BY_TYPE: TableByName = TableByName {
    per_queue: false,
    shown: Shown::Urls,
    ..by_type("queue_by_type", "job types and the queues that they are sent to")
};

/// All tables, in the order of their documentation.
pub(super) const TABLES: [&TableByName; 7] = [
    &HANDLER_TIMEOUT_BY_TYPE,
    &RETRY_BY_TYPE,
    &MAX_ATTEMPTS_BY_TYPE,
    &SCOPE_BY_TYPE,
    &REQUIRE_BY_TYPE,
    &EVENT_TYPES,
    &QUEUE_BY_TYPE,
];

const fn by_type(key: &'static str, holds: &'static str) -> TableByName {
    TableByName {
        key,
        holds,
        lists: false,
        longest_name: MAX_TYPE_BYTES,
        per_queue: true,
        shown: Shown::Text,
    }
}

/// The entries of one table, by name.
pub(super) type Entries = BTreeMap<String, Entry>;

/// A value, not parsed yet, and its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) origin: Origin,
    /// Such as `[[queue]] 2: scope_by_type.email.send`.
    pub(super) place: String,
}

impl TableByName {
    /// Reads the table from the level of the file given by `prefix`. Omits each invalid entry and reports it.
    pub(super) fn read(
        &self,
        value: Value,
        origin: &Origin,
        prefix: &str,
        problems: &mut Vec<Problem>,
    ) -> Entries {
        let at = format!("{prefix}{}", self.key);
        let Value::Table(table) = value else {
            problems.push(Problem::new(at, format!("must be a table of {}: [{}]", self.holds, self.key)));
            return Entries::new();
        };
        let mut entries = Entries::new();
        for (name, value) in table {
            let place = place_of(&at, &name);
            match self.entry(&name, &value) {
                Ok(text) => {
                    entries.insert(name, Entry { text, origin: origin.clone(), place });
                }
                Err(text) => problems.push(Problem::new(place, text)),
            }
        }
        entries
    }

    /// Returns an entry's text, or the reason why the name or the value is invalid.
    fn entry(&self, name: &str, value: &Value) -> Result<String, String> {
        values::short_text(name, self.longest_name).map_err(|text| format!("the name {text}"))?;
        text_of(value, self.lists).map_err(|text| match value {
            // TOML reads `email.send = "…"` as a table `email`.
            Value::Table(_) => format!("{text}; put a name that contains dots in quotes: \"{name}.…\" = …"),
            _ => text.to_owned(),
        })
    }
}

/// Quotes a name that would not be readable without quotes.
fn place_of(table: &str, name: &str) -> String {
    if name.is_empty() || name.contains(char::is_control) {
        format!("{table}.{name:?}")
    } else {
        format!("{table}.{name}")
    }
}
