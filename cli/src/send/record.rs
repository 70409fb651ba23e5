//! The records of the input, one per job.

use csv::ByteRecord;

/// A record of the input.
pub(super) struct Record {
    /// The position among all records, from 1. The journal identifies a record by it.
    pub(super) number: u64,
    /// The line where the record begins, for error messages.
    pub(super) line: usize,
    /// The content, or the reason why it cannot be read.
    pub(super) content: Result<Content, String>,
    /// The text of the record in the input.
    pub(super) source: Source,
}

/// The text of a record in the input.
pub(super) enum Source {
    Line(Vec<u8>),
    Row(ByteRecord),
}

/// A job of the input.
pub(super) struct Content {
    /// A whole job, or only a payload.
    pub(super) json: String,
    /// The values of mapped columns.
    pub(super) fields: Fields,
}

/// The values of CSV columns that are not part of the payload. Empty cells have no value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) job_type: Option<String>,
    pub(super) job_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) group: Option<String>,
    pub(super) delay: Option<String>,
    pub(super) at: Option<String>,
    pub(super) deduplication_id: Option<String>,
}

/// A part of a job or of its message that a CSV column can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "camelCase")]
pub(super) enum Field {
    Type,
    JobId,
    IdempotencyKey,
    CorrelationId,
    Group,
    Delay,
    At,
    DeduplicationId,
}

impl Fields {
    /// Sets a value, unless it is empty.
    pub(super) fn set(&mut self, field: Field, value: &str) {
        let target = match field {
            Field::Type => &mut self.job_type,
            Field::JobId => &mut self.job_id,
            Field::IdempotencyKey => &mut self.idempotency_key,
            Field::CorrelationId => &mut self.correlation_id,
            Field::Group => &mut self.group,
            Field::Delay => &mut self.delay,
            Field::At => &mut self.at,
            Field::DeduplicationId => &mut self.deduplication_id,
        };
        *target = (!value.is_empty()).then(|| value.to_owned());
    }
}
