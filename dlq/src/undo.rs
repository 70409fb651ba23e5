//! The message that puts a deleted letter back into its DLQ.
//!
//! SQS does not allow sending a message with another message's id or origin, so both become attributes, which the commands for
//! dead letters read like SQS's own.

use std::collections::BTreeMap;

use drumline::message::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, attributes_bytes};
use drumline::message::{Attribute, JOB_ID_ATTRIBUTE, Message};

use crate::letter::ORIGINAL_ATTRIBUTE;
use crate::origin::ORIGIN_ATTRIBUTE;

/// The message of a letter that is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    /// The attributes of the message: those of the letter, its origin, and the id of the message that died.
    pub attributes: BTreeMap<String, Attribute>,
    /// True if there is no space for the letter's origin: a replay of it needs an explicit queue.
    pub lacks_origin: bool,
    /// True if there is no space for the message's id: a job without its own id then becomes another job.
    pub lacks_id: bool,
}

/// Returns the attributes with which a letter is put back.
///
/// ```
/// use drumline::message::Message;
/// use drumline_dlq::{origin::ORIGIN_ATTRIBUTE, undo::put_back};
///
/// let arn = "arn:aws:sqs:eu-west-1:123456789012:jobs";
/// let letter = Message { id: "m-1".into(), dead_letter_source: Some(arn.into()), ..Message::default() };
/// assert_eq!(put_back(&letter).attributes[ORIGIN_ATTRIBUTE].as_text(), Some(arn));
/// ```
pub fn put_back(message: &Message) -> PutBack {
    let mut attributes = message.attributes.clone();
    let mut add = |name: &str, text: &str| {
        let mut with = attributes.clone();
        with.insert(name.to_owned(), Attribute::text(text));
        let fits =
            with.len() <= MAX_ATTRIBUTES && message.body.len() + attributes_bytes(&with) <= MAX_MESSAGE_BYTES;
        if fits {
            attributes = with;
        }
        fits
    };
    let origin = message.dead_letter_source.as_deref().filter(|arn| !arn.is_empty());
    let has_origin = origin.is_none_or(|arn| add(ORIGIN_ATTRIBUTE, arn));
    // The id of an earlier message counts, which both of these attributes contain.
    let has_id = [ORIGINAL_ATTRIBUTE, JOB_ID_ATTRIBUTE].iter().any(|name| message.attribute(name).is_some());
    let has_id = has_id || add(ORIGINAL_ATTRIBUTE, &message.id);
    PutBack { attributes, lacks_origin: !has_origin, lacks_id: !has_id }
}

#[cfg(test)]
mod tests {
    use drumline::message::Intake;

    use super::*;
    use crate::Letter;
    use crate::origin::claimed_origin;

    const JOBS: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";

    fn letter(attributes: &[(&str, &str)]) -> Message {
        let attributes =
            attributes.iter().map(|(name, text)| ((*name).to_owned(), Attribute::text(*text))).collect();
        Message {
            id: "m-1".into(),
            body: r#"{"type":"email.send","payload":{}}"#.to_owned(),
            attributes,
            dead_letter_source: Some(JOBS.into()),
            ..Message::default()
        }
    }

    /// Returns the letter as it is then received from the DLQ.
    fn received(letter: &Message, put_back: &PutBack) -> Letter {
        let message = Message {
            id: "m-2".into(),
            dead_letter_source: None,
            attributes: put_back.attributes.clone(),
            ..letter.clone()
        };
        Letter::new(message, &Intake::default())
    }

    #[test]
    fn a_letter_that_is_put_back_keeps_its_origin_and_its_job() {
        let letter = letter(&[("tenant", "acme")]);
        let back = put_back(&letter);
        assert_eq!((back.lacks_origin, back.lacks_id, back.attributes.len()), (false, false, 3));
        let again = received(&letter, &back);
        assert_eq!(
            (claimed_origin(&again), again.job_id(), again.was_message("m-1")),
            (Some(JOBS), "m-1", true)
        );
        // A second time, after the first one was undone.
        let message = again.message();
        assert_eq!(put_back(message).attributes, back.attributes);
    }

    #[test]
    fn ids_of_earlier_messages_count() {
        for earlier in [&[(ORIGINAL_ATTRIBUTE, "m-0")], &[(JOB_ID_ATTRIBUTE, "m-0")]] {
            let letter = letter(earlier);
            let back = put_back(&letter);
            assert_eq!(received(&letter, &back).job_id(), "m-0", "{earlier:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let names: Vec<String> = (0..MAX_ATTRIBUTES).map(|index| format!("a{index}")).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
        let full = put_back(&letter(&all));
        assert_eq!((full.lacks_origin, full.lacks_id, full.attributes.len()), (true, true, MAX_ATTRIBUTES));
        let one_left = put_back(&letter(&all[1..]));
        assert_eq!((one_left.lacks_origin, one_left.lacks_id), (false, true));
        let long = Message { body: "x".repeat(MAX_MESSAGE_BYTES - 10), ..letter(&[]) };
        assert_eq!((put_back(&long).lacks_origin, put_back(&long).attributes.len()), (true, 0));
        let unknown = Message { dead_letter_source: None, ..letter(&[]) };
        assert!(!put_back(&unknown).lacks_origin, "it has none that could be lost");
    }
}
