//! The row of a job that waits in an outbox.

use std::time::Duration;

use drumline::message::Envelope;
use drumline_producer::Outgoing;
use drumline_store::outbox::{Due, OnConflict, OutboxJob, Unique};

use super::args::SendArgs;
use super::later::{Row, Wanted, delay, time};
use super::maker::Maker;
use super::record::Fields;

/// The default time for which a job holds its unique key.
const UNIQUE_FOR: Duration = Duration::from_secs(60 * 60);

impl Maker<'_> {
    /// Returns the requested time options of a record's job. A column has precedence over the flag of the same name.
    pub(super) fn wanted(&self, fields: &Fields) -> Result<Wanted, String> {
        let at = fields.at.as_deref().map(|text| time(text).map_err(|error| format!("the time: {error}")));
        let delay = fields.delay.as_deref().map(|text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            delay(&if is_number { format!("{text}s") } else { text.to_owned() })
                .map_err(|error| format!("the delay: {error}"))
        });
        let SendArgs { at: given_at, delay: given_delay, spread, unique, .. } = self.args;
        Ok(Wanted {
            at: at.transpose()?.or(*given_at),
            delay: delay.transpose()?.or(*given_delay),
            spread: *spread,
            is_unique: unique.is_some(),
        })
    }

    /// Returns the row of a job that waits.
    pub(super) fn row(
        &self,
        message: &Outgoing,
        envelope: &Envelope,
        has_type: bool,
        due: Due,
    ) -> Result<Row, String> {
        let Some(id) = envelope.job_id.as_deref().filter(|_| has_type) else {
            return Err(
                "a whole job cannot wait: give its payload, with --type or --column type=NAME".to_owned()
            );
        };
        let mut job = OutboxJob::new(id, &*envelope.job_type, envelope.payload.get());
        for (name, attribute) in &*message.attributes {
            let text = attribute.as_text().filter(|_| attribute.data_type() == "String");
            let text = text.ok_or_else(|| format!("the attribute {name}: an outbox keeps texts only"))?;
            job.attributes.insert(name.clone(), text.to_owned());
        }
        job.schema_version = envelope.version;
        job.group = message.group.as_deref().map(str::to_owned);
        job.idempotency_key = envelope.idempotency_key.as_deref().map(str::to_owned);
        job.correlation_id.clone_from(&envelope.correlation_id);
        job.due = due;
        let unique = self.args.unique.as_deref().map(|key| {
            // Like in producers, a key belongs to its type.
            let key = format!("{}:{key}", envelope.job_type);
            Unique::new(key, self.args.unique_for.unwrap_or(UNIQUE_FOR), OnConflict::Keep)
        });
        Ok(Row { job, unique })
    }
}
