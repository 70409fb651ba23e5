//! Sums up a table piece by piece, and can be put away between any two.

use drumline::Failure;
use serde::{Deserialize, Serialize};

use super::payload::ReportGenerate;
use super::records::{Place, Records};
use super::summary::{Columns, Summary};
use super::totals::Totals;
use crate::storage::Version;

/// How far a table is summed up.
pub(super) struct Tally {
    records: Records,
    pub(super) summary: Summary,
}

/// A tally as it is put away. It always fits: see [`Totals`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Of the source. Where that has changed, its sums are worth nothing.
    pub(super) version: Version,
    /// Where the next record begins.
    pub(super) offset: u64,
    line: u64,
    pub(super) records: u64,
    columns: Columns,
    decimals: u8,
    names: Vec<String>,
    totals: String,
}

impl Tally {
    pub(super) fn new(job: &ReportGenerate) -> Self {
        let summary = Summary::new(job.group_by.clone(), job.value.clone());
        Self { records: Records::new(), summary }
    }

    /// Goes on where the checkpoint was made; `None` where its parts do not fit together.
    pub(super) fn resume(job: &ReportGenerate, kept: Checkpoint) -> Option<Self> {
        let place = Place { offset: kept.offset, line: kept.line };
        let summary = Summary {
            columns: Some(kept.columns),
            records: kept.records,
            decimals: kept.decimals,
            totals: Totals::unpack(kept.names, &kept.totals)?,
            ..Self::new(job).summary
        };
        Some(Self { records: Records::from(place), summary })
    }

    /// What another attempt needs to go on behind the last whole record; `None` before the header, since there is nothing
    /// to keep.
    pub(super) fn checkpoint(&self, version: &Version) -> Option<Checkpoint> {
        let Place { offset, line } = self.records.boundary();
        let Summary { columns, records, decimals, ref totals, .. } = self.summary;
        let (names, totals) = totals.pack();
        let version = version.clone();
        Some(Checkpoint { version, offset, line, records, columns: columns?, decimals, names, totals })
    }

    /// How many bytes of the source are summed up.
    pub(super) fn offset(&self) -> u64 {
        self.records.boundary().offset
    }

    /// Takes the next piece of the source.
    pub(super) fn read(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        while let Some(record) = self.records.next(&mut piece)? {
            self.summary.take(&record)?;
        }
        Ok(())
    }

    /// Takes what the source ends with.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if let Some(record) = self.records.last()? {
            self.summary.take(&record)?;
        }
        if self.summary.columns.is_none() {
            return Err(Failure::reject("the source is empty: it has not even a header"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
