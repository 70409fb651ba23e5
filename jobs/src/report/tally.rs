//! Sums up a table piece by piece, and can be saved between any two pieces.

use drumline::Failure;
use serde::{Deserialize, Serialize};

use super::payload::ReportGenerate;
use super::records::{Place, Records};
use super::summary::{Columns, Summary};
use super::totals::Totals;
use crate::storage::Version;

/// The progress of summing up a table.
pub(super) struct Tally {
    records: Records,
    pub(super) summary: Summary,
}

/// A saved tally. It always fits into a checkpoint: see [`Totals`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The version of the source. If the source has changed, the sums are invalid.
    pub(super) version: Version,
    /// The offset of the next record.
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

    /// Resumes from a checkpoint; `None` if its parts are inconsistent.
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

    /// Returns the data with which another attempt resumes after the last complete record; `None` before the header, when there
    /// is nothing to keep.
    pub(super) fn checkpoint(&self, version: &Version) -> Option<Checkpoint> {
        let Place { offset, line } = self.records.boundary();
        let Summary { columns, records, decimals, ref totals, .. } = self.summary;
        let (names, totals) = totals.pack();
        let version = version.clone();
        Some(Checkpoint { version, offset, line, records, columns: columns?, decimals, names, totals })
    }

    /// Returns the number of bytes of the source that are summed up.
    pub(super) fn offset(&self) -> u64 {
        self.records.boundary().offset
    }

    /// Processes the next piece of the source.
    pub(super) fn read(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        while let Some(record) = self.records.next(&mut piece)? {
            self.summary.take(&record)?;
        }
        Ok(())
    }

    /// Processes the end of the source.
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
