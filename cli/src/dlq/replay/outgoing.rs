//! The message that replays a letter.

use std::sync::Arc;

use drumline::Router;
use drumline::message::{Intake, Message};
use drumline::run::Precheck;
use drumline_dlq::Letter;
use drumline_dlq::fix::Fixed;
use drumline_dlq::identity::{NoRoom, Replayed, outgoing as replayed};
use drumline_dlq::journal::deduplication_id;
use drumline_producer::Outgoing;

/// Returns the message that replays a letter in the action with this name.
///
/// # Errors
///
/// Returns an error if there is no room for the job's id.
pub(super) fn outgoing(
    letter: &Letter,
    fixed: &Fixed,
    intake: &Intake,
    action: &str,
) -> Result<Outgoing, NoRoom> {
    let message = letter.message();
    let Replayed { body, attributes, job_id, job_type, placed: _ } = replayed(letter, fixed, intake)?;
    Ok(Outgoing {
        body,
        attributes: Arc::new(attributes),
        deduplication_id: deduplication_id(action, &message.id),
        group: message.group.as_deref().map(Arc::from),
        trace_header: message.trace_header.clone(),
        job_type: job_type.unwrap_or_default(),
        job_id: Some(Arc::from(job_id)),
        ..Outgoing::default()
    })
}

/// Returns the reason why a worker with this router would refuse the message.
pub(super) fn precheck(router: &Router, letter: &Letter, outgoing: &Outgoing, intake: &Intake) -> Precheck {
    let (body, attributes) = match (letter.encoded(), letter.opened()) {
        (None, _) => (outgoing.body.clone(), (*outgoing.attributes).clone()),
        (Some(_), Some(opened)) => {
            // The message as a worker opens it: without the attributes about its encoding.
            let mut attributes = (*outgoing.attributes).clone();
            let known = &letter.message().attributes;
            attributes.retain(|name, _| !known.contains_key(name) || opened.attributes.contains_key(name));
            (opened.body.clone(), attributes)
        }
        (Some(_), None) => return Precheck::NotChecked("their payload could not be opened".to_owned()),
    };
    let message = Message {
        id: Arc::clone(&letter.message().id),
        body,
        attributes,
        receive_count: 1,
        group: letter.message().group.clone(),
        ..Message::default()
    };
    router.precheck(&message, intake)
}
