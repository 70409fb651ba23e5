//! The attribute that gives a replayed message the job of the message that died.

use crate::message::sqs_message::Message;

/// The message attribute that names the job of a message whose body has no id: the id of the job's first message. A replay of a
/// dead letter adds it, because SQS gives the replayed message a new id.
pub const JOB_ID_ATTRIBUTE: &str = "DrumlineJobId";

/// The data type of the attribute if the replay has changed the body: then data for the old payload (a checkpoint) are not
/// resumed. For an unchanged body it is `String`.
pub const CHANGED_DATA_TYPE: &str = "String.changed";

/// The longest job id that the attribute may have, in bytes. A longer one counts as absent.
pub const MAX_JOB_ID_BYTES: usize = 1024;

/// The job that a message names in the attribute [`JOB_ID_ATTRIBUTE`].
///
/// ```
/// use drumline::message::{Attribute, AttributeValue, CHANGED_DATA_TYPE, JOB_ID_ATTRIBUTE, JobIdAttribute, Message};
///
/// let changed = Attribute::new(CHANGED_DATA_TYPE, AttributeValue::Text("6f1ed002".into()));
/// let mut message = Message::default();
/// assert_eq!(JobIdAttribute::of(&message), None);
/// message.attributes.insert(JOB_ID_ATTRIBUTE.into(), changed);
/// assert_eq!(JobIdAttribute::of(&message), Some(JobIdAttribute { id: "6f1ed002", is_changed: true }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobIdAttribute<'a> {
    /// The id of the job's first message.
    pub id: &'a str,
    /// True if the body differs from that message's.
    pub is_changed: bool,
}

impl<'a> JobIdAttribute<'a> {
    /// Reads the attribute of a message. An empty text, bytes, and an id that is too long for stores count as absent.
    pub fn of(message: &'a Message) -> Option<Self> {
        let id = message.attribute(JOB_ID_ATTRIBUTE).filter(|id| id.len() <= MAX_JOB_ID_BYTES)?;
        let data_type = message.attributes.get(JOB_ID_ATTRIBUTE)?.data_type();
        Some(Self { id, is_changed: data_type == CHANGED_DATA_TYPE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::sqs_message::{Attribute, AttributeValue};

    #[test]
    fn what_is_no_id_counts_as_absent() {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let longest = "x".repeat(MAX_JOB_ID_BYTES);
        let table = [
            ("String", text("m-1"), Some(("m-1", false))),
            ("String.changed", text("m-1"), Some(("m-1", true))),
            ("String.Changed", text("m-1"), Some(("m-1", false))),
            ("String.changed", text(""), None),
            ("String", text(&longest), Some((&*longest, false))),
            ("String", text(&"x".repeat(MAX_JOB_ID_BYTES + 1)), None),
            ("Binary.changed", AttributeValue::Binary(b"m-1".to_vec()), None),
        ];
        for (data_type, value, expected) in table {
            let mut message = Message::default();
            message.attributes.insert(JOB_ID_ATTRIBUTE.to_owned(), Attribute::new(data_type, value));
            let found = JobIdAttribute::of(&message).map(|found| (found.id, found.is_changed));
            assert_eq!(found, expected, "{data_type}");
        }
    }
}
