//! The summary of a table's records.

use drumline::Failure;
use serde::{Deserialize, Serialize};

use super::number::Number;
use super::records::Record;
use super::totals::Totals;

/// The number of characters of a field or a column's name that a reason contains.
const MAX_SHOWN: usize = 40;

/// The number of a table's columns that a reason about a missing one lists.
const MAX_COLUMNS_SHOWN: usize = 20;

/// The sums so far.
pub(super) struct Summary {
    /// The names of the two columns.
    pub(super) group_by: String,
    pub(super) value: String,
    /// Known after the header has been read.
    pub(super) columns: Option<Columns>,
    /// The number of records without the header.
    pub(super) records: u64,
    /// The largest number of decimals of a value.
    pub(super) decimals: u8,
    pub(super) totals: Totals,
}

/// The positions of the columns in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Columns {
    all: usize,
    group_by: usize,
    value: usize,
}

impl Summary {
    pub(super) fn new(group_by: String, value: String) -> Self {
        Self { group_by, value, columns: None, records: 0, decimals: 0, totals: Totals::default() }
    }

    /// Processes the next record; the first one is the header.
    ///
    /// # Errors
    ///
    /// Rejects the job if a record is invalid. A report that left out invalid records would be wrong, and look right.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        let Some(columns) = self.columns else {
            self.columns = Some(self.find(record)?);
            return Ok(());
        };
        self.records += 1;
        let number = self.records;
        let bad = |what: std::fmt::Arguments<'_>| {
            Failure::reject(format_args!("record {number} (line {}): {what}", record.line))
        };
        if record.len() != columns.all {
            return Err(bad(format_args!("it has {} fields, the header has {}", record.len(), columns.all)));
        }
        let field = record.field(columns.value);
        let value = Number::parse(field).map_err(|error| {
            bad(format_args!("{} in column {} {error}", shown(field), shown_text(&self.value)))
        })?;
        let field = record.field(columns.group_by);
        let group = str::from_utf8(field).map_err(|_| {
            bad(format_args!("{} in column {} is not UTF-8", shown(field), shown_text(&self.group_by)))
        })?;
        self.decimals = self.decimals.max(value.decimals);
        self.totals.add(group, value.millionths).map_err(|failure| bad(format_args!("{failure}")))
    }

    fn find(&self, header: &Record<'_>) -> Result<Columns, Failure> {
        let place = |wanted: &str| {
            let mut places = (0..header.len()).filter(|&index| header.field(index) == wanted.as_bytes());
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => {
                    Err(Failure::reject(format_args!("the column {} is there twice", shown_text(wanted))))
                }
                (None, _) => {
                    let known: Vec<String> = header.fields().take(MAX_COLUMNS_SHOWN).map(shown).collect();
                    let more = if header.len() > known.len() { ", …" } else { "" };
                    Err(Failure::reject(format_args!(
                        "there is no column {}, only {}{more}",
                        shown_text(wanted),
                        known.join(", ")
                    )))
                }
            }
        };
        Ok(Columns { all: header.len(), group_by: place(&self.group_by)?, value: place(&self.value)? })
    }
}

fn shown(field: &[u8]) -> String {
    shown_text(&String::from_utf8_lossy(field))
}

/// Returns a text in quotes, without control characters, and cut if it is too long.
fn shown_text(text: &str) -> String {
    if text.chars().nth(MAX_SHOWN).is_none() {
        return format!("{text:?}");
    }
    let short: String = text.chars().take(MAX_SHOWN).collect();
    format!("{:?}", short + "…")
}
