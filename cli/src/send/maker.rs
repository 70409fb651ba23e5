//! Converts a record of the input to a message, or to the reason why it is not sent.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drumline::message::{Attribute, Envelope, JOB_ID_ATTRIBUTE, Message};
use drumline_consumer::ExitError;
use drumline_producer::{Attributes, Checks, NewJob, Outgoing};
use drumline_runtime::limits::MAX_ATTRIBUTES;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::args::SendArgs;
use super::handlers::Handlers;
use super::ids::Ids;
use super::later::{OUTBOX, Row, Timing, Wanted};
use super::queues::Queues;
use super::record::{Content, Field, Fields};

/// The longest message group. See
/// [Message groups](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
const MAX_GROUP: usize = 128;

/// The reason to refuse a deduplication id on a standard queue, which would ignore it.
const DEDUPLICATION_ID: &str =
    "a deduplication id is for FIFO queues: a standard queue drops no message that is sent twice";

/// Refuses options that conflict with each other, with the queue, or with a missing outbox. `gives` returns true if a column
/// sets a field.
pub(super) fn check_options(
    args: &SendArgs,
    fifos: &[bool],
    has_outbox: bool,
    gives: impl Fn(Field) -> bool,
) -> Result<(), ExitError> {
    // With queues of both kinds, each record is checked for its own queue.
    let fifo = fifos.iter().all(|fifo| *fifo);
    let has_fifo = fifos.contains(&true);
    if !has_fifo && (args.deduplication_id.is_some() || gives(Field::DeduplicationId)) {
        return Err(ExitError::usage(DEDUPLICATION_ID));
    }
    if fifo && args.group.is_none() && args.group_from.is_none() && !gives(Field::Group) {
        return Err(ExitError::usage(
            "a FIFO queue needs --group, --group-from or --column group=NAME: jobs of one group are done one after the other",
        ));
    }
    if has_outbox {
        return Ok(());
    }
    let from_column = |field, example: Duration| gives(field).then_some(example);
    let wanted = Wanted {
        at: args.at.or(gives(Field::At).then_some(Timestamp::MIN)),
        delay: args.delay.or(from_column(Field::Delay, Duration::ZERO)),
        spread: args.spread,
        is_unique: args.unique.is_some(),
    };
    match wanted.needs_outbox(fifo) {
        Some(why) => Err(ExitError::usage(format!("{why}: {OUTBOX}"))),
        None => Ok(()),
    }
}

/// Creates messages according to the options of the command line.
pub(super) struct Maker<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) queues: Queues,
    pub(super) handlers: Handlers,
    pub(super) checks: Checks,
    /// The size in bytes above which a message is put into S3 or compressed, if that is set.
    pub(super) threshold: Option<usize>,
    pub(super) attributes: Arc<Attributes>,
    pub(super) ids: Ids,
    /// True if jobs without an id get one, so that workers recognize duplicates.
    pub(super) marks_jobs: bool,
    /// True if there is an outbox for jobs that wait.
    pub(super) has_outbox: bool,
    pub(super) noted: RefCell<BTreeSet<String>>,
}

/// A message, and warnings for its sender.
pub(super) struct Made {
    pub(super) message: Outgoing,
    /// The index of its queue.
    pub(super) queue: usize,
    /// Its row in the outbox, if it waits.
    pub(super) row: Option<Row>,
    pub(super) warnings: Vec<String>,
}

impl Maker<'_> {
    /// Creates the message of a record.
    ///
    /// # Errors
    ///
    /// Returns the reason why it is not sent.
    pub(super) fn make(&self, number: u64, line: usize, content: &Content) -> Result<Made, String> {
        let Content { json, fields } = content;
        let json: &RawValue = serde_json::from_str(json).map_err(|error| not_json(&error, json))?;
        let mut warnings = Vec::new();
        let job_type = fields.job_type.as_deref().or(self.args.job_type.as_deref());
        let body = match job_type {
            None => {
                warnings.extend(self.once(ignored_fields(json, self.args.group_from.is_some())));
                json.get().to_owned()
            }
            Some(job_type) => self.body(number, job_type, json, fields),
        };
        let mut message = Outgoing {
            line,
            deduplication_id: self.deduplication_id(number, fields),
            attributes: Arc::clone(&self.attributes),
            body,
            ..Outgoing::default()
        };
        let envelope = decoded(&message)?;
        message.correlation_id = envelope.correlation_id.as_deref().map(Arc::from);
        let queue = self.queues.of_type(&envelope.job_type).map_err(|why| format!("the queue: {why}"))?;
        let fifo = self.queues.is_fifo(queue);
        if !fifo && (fields.deduplication_id.is_some() || self.args.deduplication_id.is_some()) {
            return Err(DEDUPLICATION_ID.to_owned());
        }
        message.group = self.group(fifo, &message.body, fields)?;
        let wanted = self.wanted(fields)?;
        if let Some(why) = wanted.needs_outbox(fifo).filter(|_| !self.has_outbox) {
            return Err(format!("{why}: {OUTBOX}"));
        }
        let timing = wanted.timing(fifo, |most| self.ids.spread(number, most))?;
        if let Timing::Queue(delay_secs) = timing {
            message.delay_secs = delay_secs;
        }
        message.job_id.clone_from(&envelope.job_id);
        if message.job_id.is_none() && self.marks_jobs && message.attributes.len() < MAX_ATTRIBUTES {
            let (id, mut attributes) = (self.ids.job_id(number), (*self.attributes).clone());
            attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), Attribute::text(&id));
            message.attributes = Arc::new(attributes);
            message.job_id = Some(id.into());
        }
        warnings.extend(self.check(fifo, &message, &envelope)?);
        warnings.extend(self.once(self.newer_version(&envelope)));
        if !self.args.no_check {
            self.handlers.check(&message, &envelope)?;
        }
        let row = match timing {
            Timing::Outbox(_)
                if fields.deduplication_id.is_some() || self.args.deduplication_id.is_some() =>
            {
                return Err("a job that waits is deduplicated by its own id: leave the deduplication id out"
                    .to_owned());
            }
            Timing::Outbox(due) => Some(self.row(&message, &envelope, job_type.is_some(), due)?),
            Timing::Queue(_) => None,
        };
        message.job_type = envelope.job_type;
        Ok(Made { message, queue, row, warnings })
    }

    /// Returns a warning unless it was already given.
    fn once(&self, warning: Option<String>) -> Option<String> {
        warning.filter(|warning| self.noted.borrow_mut().insert(warning.clone()))
    }

    /// Returns a warning if the command line gives a version that this program's handler does not know yet.
    fn newer_version(&self, envelope: &Envelope) -> Option<String> {
        let (given, job_type) = (self.args.schema_version?, &envelope.job_type);
        let known = self.handlers.known_version(job_type).filter(|known| *known < given)?;
        Some(format!(
            "--schema-version {given} is newer than the handler of {job_type} in this program, which knows {known}"
        ))
    }

    /// Checks a message by SQS's rules and the guards, and returns the guards' warnings.
    fn check(&self, fifo: bool, message: &Outgoing, envelope: &Envelope) -> Result<Vec<String>, String> {
        let warnings = if self.threshold.is_some_and(|threshold| message.bytes() > threshold) {
            // SQS's limits apply to the small message that replaces it.
            let payload = serde_json::from_str(envelope.payload.get()).map_err(|error| error.to_string())?;
            self.checks.inspect(&envelope.job_type, &payload)
        } else {
            self.checks.check_message(message, fifo).map(|checked| checked.warnings)
        };
        let warnings = warnings.map_err(|error| error.to_string())?;
        Ok(warnings.iter().map(ToString::to_string).collect())
    }

    fn body(&self, number: u64, job_type: &str, payload: &RawValue, fields: &Fields) -> String {
        let key = fields.idempotency_key.as_ref().or(self.args.idempotency_key.as_ref());
        let correlation = fields.correlation_id.as_ref().or(self.args.correlation_id.as_ref());
        let job = NewJob {
            job_id: fields.job_id.clone().unwrap_or_else(|| self.ids.job_id(number)),
            schema_version: self.args.schema_version.unwrap_or_else(|| self.handlers.version(job_type)),
            idempotency_key: key.map(String::as_str),
            correlation_id: correlation.map(String::as_str),
            created_at: self.created_at(),
            ..NewJob::new(job_type, payload)
        };
        job.to_body()
    }

    /// Returns the time when the send began, so that a record has the same bytes when it is sent again.
    fn created_at(&self) -> String {
        let millis = i64::try_from(self.ids.send().timestamp_ms()).unwrap_or_default();
        jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
    }

    fn group(&self, fifo: bool, body: &str, fields: &Fields) -> Result<Option<Arc<str>>, String> {
        let group = match (&fields.group, &self.args.group_from) {
            (Some(group), _) => Some(group.clone()),
            (None, Some(pointer)) => {
                let found = pointer.find(body).and_then(|json| text_of(&json));
                Some(found.ok_or_else(|| format!("{pointer} is no text or number, so it has no group"))?)
            }
            (None, None) => self.args.group.clone(),
        };
        let Some(group) = group else {
            let missing = "it has no group, which a FIFO queue needs";
            return if fifo { Err(missing.to_owned()) } else { Ok(None) };
        };
        if group.is_empty() || group.len() > MAX_GROUP || !group.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "the group {group:?} is not of 1 to {MAX_GROUP} letters, digits and punctuation of ASCII"
            ));
        }
        Ok(Some(group.into()))
    }

    fn deduplication_id(&self, number: u64, fields: &Fields) -> String {
        let given = fields.deduplication_id.as_ref().or(self.args.deduplication_id.as_ref());
        given.cloned().unwrap_or_else(|| self.ids.deduplication_id(number))
    }
}

fn decoded(message: &Outgoing) -> Result<Envelope, String> {
    let (body, attributes) = (message.body.clone(), (*message.attributes).clone());
    Envelope::decode(&Message { body, attributes, ..Message::default() }).map_err(|error| error.to_string())
}

/// Returns the error for invalid JSON. A record is one line, so only the column is given.
fn not_json(error: &serde_json::Error, json: &str) -> String {
    let text = format!("not JSON: {error}");
    if json.contains('\n') { text } else { text.replace(" at line 1 column ", " at column ") }
}

/// Returns a warning about fields beside the payload that are flags or columns of this command, and not parts of a job.
fn ignored_fields(json: &RawValue, has_group_from: bool) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Beside {
        #[serde(rename = "payload")]
        _payload: IgnoredAny,
        group: Option<IgnoredAny>,
        delay: Option<IgnoredAny>,
        deduplication_id: Option<IgnoredAny>,
    }
    let Beside { group, delay, deduplication_id, .. } = serde_json::from_str(json.get()).ok()?;
    let fields =
        [("group", "--group-from /group"), ("delay", "--delay"), ("deduplicationId", "CSV with --column")];
    let given = [group.is_some() && !has_group_from, delay.is_some(), deduplication_id.is_some()];
    let (_, (name, instead)) = given.into_iter().zip(fields).find(|(is_given, _)| *is_given)?;
    Some(format!("{name:?} beside the payload is no part of a job, and is ignored: use {instead}"))
}

/// Returns the content of a JSON string or number as text.
fn text_of(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) => Some(text),
        // Exactly as it is written.
        Value::Number(_) => Some(json.to_owned()),
        _ => None,
    }
}
