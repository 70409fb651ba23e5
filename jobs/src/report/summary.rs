//! What the records of a table come to.

use drumline::Failure;
use serde::{Deserialize, Serialize};

use super::number::Number;
use super::records::Record;
use super::totals::Totals;

/// Of a field or a column's name this much is repeated in a reason, in characters.
const MAX_SHOWN: usize = 40;

/// Of a table's columns this many are named where one is missing.
const MAX_COLUMNS_SHOWN: usize = 20;

/// The sums so far.
pub(super) struct Summary {
    /// The names of the two columns.
    pub(super) group_by: String,
    pub(super) value: String,
    /// Known once the header has been read.
    pub(super) columns: Option<Columns>,
    /// Without the header.
    pub(super) records: u64,
    /// The most digits behind the decimal point that a value had.
    pub(super) decimals: u8,
    pub(super) totals: Totals,
}

/// Where in a record is what.
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

    /// Takes the next record; the first is the header.
    ///
    /// # Errors
    /// Rejected, where a record does not fit. A report that left out what it cannot read would be wrong, and look right.
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

/// In quotes, without control characters, and not too long.
fn shown_text(text: &str) -> String {
    if text.chars().nth(MAX_SHOWN).is_none() {
        return format!("{text:?}");
    }
    let short: String = text.chars().take(MAX_SHOWN).collect();
    format!("{:?}", short + "…")
}
