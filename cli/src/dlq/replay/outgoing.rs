//! The message that replays a letter.

use std::sync::Arc;

use drumline::message::Attribute;
use drumline_dlq::Letter;
use drumline_dlq::journal::{Left, deduplication_id};
use drumline_dlq::letter::{ORIGINAL_ATTRIBUTE, REASON_ATTRIBUTE, SOURCE_QUEUE_ATTRIBUTE};
use drumline_producer::Outgoing;

/// The attribute of a replayed message with the id of its job.
const JOB_ID_ATTRIBUTE: &str = "DrumlineJobId";

/// The attributes that say why and where a letter died.
const OF_DEATH: [&str; 4] = [REASON_ATTRIBUTE, ORIGINAL_ATTRIBUTE, SOURCE_QUEUE_ATTRIBUTE, "DrumlineOrigin"];

/// A message has so many attributes at most.
const MAX_ATTRIBUTES: usize = 10;

/// Returns the message that replays a letter in the action with this name.
///
/// # Errors
/// The reason why the letter stays.
pub(super) fn outgoing(letter: &Letter, action: &str) -> Result<Outgoing, Left> {
    let message = letter.message();
    let mut attributes = message.attributes.clone();
    attributes.retain(|name, _| !OF_DEATH.contains(&&**name));
    let envelope = letter.envelope().ok();
    let has_id = envelope.is_some_and(|envelope| envelope.job_id.is_some());
    if !has_id && !attributes.contains_key(JOB_ID_ATTRIBUTE) {
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(Left::NoRoom);
        }
        attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), Attribute::text(letter.original_id()));
    }
    Ok(Outgoing {
        line: 0,
        body: message.body.clone(),
        attributes: Arc::new(attributes),
        deduplication_id: deduplication_id(action, &message.id),
        group: message.group.as_deref().map(Arc::from),
        trace_header: message.trace_header.clone(),
        job_type: letter.job_type().unwrap_or_default().to_owned(),
        job_id: None,
    })
}
