//! The message that replays a letter and keeps its job's identity.
//!
//! SQS gives a replayed message a new id. A job with its own id keeps it in its body; any other job gets the attribute
//! [`JOB_ID_ATTRIBUTE`] with the id of its first message, which is also the id of its identity.

use std::collections::{BTreeMap, HashMap};

use drumline::message::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, attributes_bytes};
use drumline::message::{
    Attribute, AttributeValue, CHANGED_DATA_TYPE, Envelope, Intake, JOB_ID_ATTRIBUTE, JobIdAttribute,
    MAX_JOB_ID_BYTES, Message,
};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::fix::Fixed;
use crate::layout::offset;
use crate::letter::{Letter, ORIGINAL_ATTRIBUTE, REASON_ATTRIBUTE, SOURCE_QUEUE_ATTRIBUTE};
use crate::origin::ORIGIN_ATTRIBUTE;

/// The attributes of a letter that describe its death, and that a replayed message does not have.
pub const DEATH_ATTRIBUTES: [&str; 4] =
    [REASON_ATTRIBUTE, ORIGINAL_ATTRIBUTE, SOURCE_QUEUE_ATTRIBUTE, ORIGIN_ATTRIBUTE];

/// The message that replays a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The body.
    pub body: String,
    /// The attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// The id of its job.
    pub job_id: String,
    /// The type of its job, if it is known.
    pub job_type: Option<String>,
    /// The place of the job's id.
    pub placed: Placed,
}

/// The location of a replayed job's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The body contains the job's own id.
    Own,
    /// The attribute [`JOB_ID_ATTRIBUTE`] contains it: the job keeps its identity.
    Attribute,
    /// `jobId` was added to the envelope, because there was no space for the attribute. The job's identity differs from the one
    /// of the message that died, so the caller must check before the send that the job is not done.
    Envelope,
}

/// The reason why a letter cannot be sent with its job's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("its job id fits neither beside its {attributes} attributes nor into its body of {bytes} bytes")]
pub struct NoRoom {
    /// The number of its attributes.
    pub attributes: usize,
    /// The length of its body.
    pub bytes: usize,
}

/// Returns the message that replays a letter after its fixes. `intake` are the rules by which the worker decodes it.
///
/// ```
/// use drumline::message::{Intake, JOB_ID_ATTRIBUTE, Message};
/// use drumline_dlq::Letter;
/// use drumline_dlq::fix::Fixed;
/// use drumline_dlq::identity::outgoing;
///
/// let message = Message { id: "m-1".into(), body: r#"{"type":"email.send","payload":{}}"#.into(), ..Message::default() };
/// let letter = Letter::new(message, &Intake::default());
/// let replayed = outgoing(&letter, &Fixed::default(), &Intake::default())?;
/// assert_eq!(replayed.attributes[JOB_ID_ATTRIBUTE].as_text(), Some("m-1"));
/// assert_eq!(replayed.body, letter.message().body);
/// # Ok::<(), drumline_dlq::identity::NoRoom>(())
/// ```
///
/// # Errors
/// If the job's id has no room.
pub fn outgoing(letter: &Letter, fixed: &Fixed, intake: &Intake) -> Result<Replayed, NoRoom> {
    let message = letter.message();
    let mut attributes = fixed.attributes.as_ref().unwrap_or(&message.attributes).clone();
    attributes.retain(|name, _| !DEATH_ATTRIBUTES.contains(&name.as_str()));
    let body = fixed.body.as_ref().unwrap_or(&message.body).clone();
    let mut sent = Message { body, attributes, ..Message::default() };
    let decoded = match letter.encoded() {
        // Its body is kept as it is, opened or not.
        Some(_) => Decoded::of(letter.envelope().ok()),
        None => decode(&sent, intake),
    };
    let replayed = |sent: Message, job_id: &str, placed| Replayed {
        body: sent.body,
        attributes: sent.attributes,
        job_id: job_id.to_owned(),
        job_type: decoded.job_type.clone().or_else(|| letter.job_type().map(str::to_owned)),
        placed,
    };
    if let Some(job_id) = &decoded.job_id {
        return Ok(replayed(sent, job_id, Placed::Own));
    }
    // A worker ignores a longer one.
    let job_id = Some(letter.first_id()).filter(|id| id.len() <= MAX_JOB_ID_BYTES).unwrap_or(&message.id);
    let was_changed = || JobIdAttribute::of(message).is_some_and(|attribute| attribute.is_changed);
    let attribute = job_id_attribute(job_id, fixed.body.is_some() || was_changed());
    let bytes = sent.body.len();
    let mut with_attribute = sent.attributes.clone();
    with_attribute.insert(JOB_ID_ATTRIBUTE.to_owned(), attribute);
    if with_attribute.len() <= MAX_ATTRIBUTES
        && bytes + attributes_bytes(&with_attribute) <= MAX_MESSAGE_BYTES
    {
        sent.attributes = with_attribute;
        return Ok(replayed(sent, job_id, Placed::Attribute));
    }
    let no_room = NoRoom { attributes: sent.attributes.len(), bytes };
    if letter.encoded().is_some() {
        return Err(no_room);
    }
    sent.body = with_job_id(&sent.body, job_id).ok_or(no_room)?;
    // Only a native envelope has its id there: in a raw body or a `CloudEvent` it would be a part of the payload.
    let is_found = decode(&sent, intake).job_id.as_deref() == Some(job_id);
    if is_found && sent.body.len() + attributes_bytes(&sent.attributes) <= MAX_MESSAGE_BYTES {
        return Ok(replayed(sent, job_id, Placed::Envelope));
    }
    Err(no_room)
}

/// The job of a message as far as its body contains it.
#[derive(Default)]
struct Decoded {
    job_type: Option<String>,
    job_id: Option<String>,
}

impl Decoded {
    fn of(envelope: Option<&Envelope>) -> Self {
        Self {
            job_type: envelope.map(|envelope| envelope.job_type.clone()),
            job_id: envelope.and_then(|envelope| envelope.job_id.as_deref().map(str::to_owned)),
        }
    }
}

fn decode(message: &Message, intake: &Intake) -> Decoded {
    Decoded::of(intake.decode(message).ok().as_ref())
}

fn job_id_attribute(job_id: &str, is_changed: bool) -> Attribute {
    let data_type = if is_changed { CHANGED_DATA_TYPE } else { "String" };
    Attribute::new(data_type, AttributeValue::Text(job_id.to_owned()))
}

/// Adds `jobId` to a JSON object, and changes no other byte of it. An empty one is replaced.
fn with_job_id(body: &str, job_id: &str) -> Option<String> {
    let start = body.find('{')?;
    let json = &body[start..];
    let members: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let job_id = serde_json::to_string(job_id).ok()?;
    if let Some(empty) = members.get("jobId") {
        let at = start + offset(json, empty.get());
        return Some(format!("{}{job_id}{}", &body[..at], &body[at + empty.get().len()..]));
    }
    let comma = if members.is_empty() { "" } else { "," };
    Some(format!("{}{{\"jobId\":{job_id}{comma}{}", &body[..start], &json[1..]))
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
