//! A dead letter: a message of a DLQ, the job in it, and the cause of its death.

use std::fmt;
use std::time::Duration;

use drumline::message::{EncodedBody, Envelope, Intake, JobIdAttribute, Message, TYPE_ATTRIBUTE};
use serde::{Deserialize, Serialize};

/// The attribute with the reason of a copy's failure. Written by workers with `DRUMLINE_PERMANENT_FAILURES=dead-letter`.
pub const REASON_ATTRIBUTE: &str = "DrumlineReason";

/// The attribute with the id of the message from which a copy was made.
pub const ORIGINAL_ATTRIBUTE: &str = "DrumlineMessageId";

/// The attribute with the name of the queue from which a copy was made.
pub const SOURCE_QUEUE_ATTRIBUTE: &str = "DrumlineSourceQueue";

/// A message of a DLQ.
#[derive(Debug)]
pub struct Letter {
    message: Message,
    encoded: Option<EncodedBody>,
    /// The message with its payload, if that is stored elsewhere or compressed.
    opened: Option<Message>,
    envelope: Result<Envelope, String>,
    job_id: String,
    learned: Option<Cause>,
    learned_type: Option<String>,
}

/// The cause of a message's death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The reason as a text for people.
    pub reason: String,
    /// The failure class of the last failure, if there is a history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The source of the cause.
    pub from: CauseSource,
}

/// The source of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CauseSource {
    /// The store.
    History,
    /// The attributes of a copy.
    Attribute,
    /// No source: the cause is not known.
    Nothing,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = &self.class {
            write!(f, "{class}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl Letter {
    /// Returns the letter of a message, decoded like the worker of its queue decodes it.
    ///
    /// A letter whose payload is in S3 or compressed is no job until [its payload is opened](Self::with_payload).
    pub fn new(message: Message, intake: &Intake) -> Self {
        Self::with_payload(message, Err("it was not opened".to_owned()), intake)
    }

    /// Returns the letter of a message with its payload, if that is in S3 or compressed, or with the reason why it was not
    /// opened.
    pub fn with_payload(message: Message, payload: Result<Message, String>, intake: &Intake) -> Self {
        let encoded = EncodedBody::of(&message);
        let (encoded, opened, envelope) = match encoded {
            Ok(None) => (None, None, intake.decode(&message).map_err(|error| error.to_string())),
            Ok(encoded @ Some(_)) => match payload {
                Ok(opened) => {
                    let envelope = intake.decode(&opened).map_err(|error| error.to_string());
                    (encoded, Some(opened), envelope)
                }
                Err(why) => (encoded, None, Err(format!("its payload is not in the message: {why}"))),
            },
            Err(error) => (None, None, Err(error.to_string())),
        };
        let given = envelope.as_ref().ok().and_then(|envelope| envelope.job_id.as_deref());
        let job_id = given.unwrap_or(first_id(&message)).to_owned();
        Self { message, encoded, opened, envelope, job_id, learned: None, learned_type: None }
    }

    /// Adds facts of a history: the cause, and the job's type if the message has none.
    pub fn learn(&mut self, cause: Option<Cause>, job_type: Option<String>) {
        self.learned = cause;
        self.learned_type = job_type;
    }

    /// Returns the message as it was received.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns the encoding of a payload that is not in the message itself; `None` for the usual message.
    pub fn encoded(&self) -> Option<&EncodedBody> {
        self.encoded.as_ref()
    }

    /// Returns the message as a worker decodes it, if its payload was not in the message itself and was opened.
    pub fn opened(&self) -> Option<&Message> {
        self.opened.as_ref()
    }

    /// Returns the body as a worker decodes it, if it was opened.
    pub fn body(&self) -> &str {
        self.opened.as_ref().map_or(&self.message.body, |opened| &opened.body)
    }

    /// Returns the job in the message.
    ///
    /// # Errors
    /// The reason why the body is no job, as a text.
    pub fn envelope(&self) -> Result<&Envelope, &str> {
        self.envelope.as_ref().map_err(String::as_str)
    }

    /// Returns the id of its job: the producer's, else the id of the job's first message.
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// Returns the id of the message that died; for a copy, the id of its original message.
    pub fn original_id(&self) -> &str {
        original_id(&self.message)
    }

    /// Returns the id of the first message of its job, as far as it is known: for a replayed one the id that the replay added,
    /// else [that of the message that died](Self::original_id).
    pub fn first_id(&self) -> &str {
        first_id(&self.message)
    }

    /// Returns the type of its job, if the body, an attribute or the history contains one.
    pub fn job_type(&self) -> Option<&str> {
        let decoded = self.envelope.as_ref().ok().map(|envelope| envelope.job_type.as_str());
        decoded.or_else(|| self.message.attribute(TYPE_ATTRIBUTE)).or(self.learned_type.as_deref())
    }

    /// Returns true if `id` is its message's or its job's.
    pub fn is_called(&self, id: &str) -> bool {
        self.job_id == id || self.was_message(id)
    }

    /// Returns true if `id` is that of its message or of a copy's original message.
    pub fn was_message(&self, id: &str) -> bool {
        *self.message.id == *id || self.message.attribute(ORIGINAL_ATTRIBUTE) == Some(id)
    }

    /// Returns the time when it was sent, in milliseconds since the Unix epoch; for a copy, the time of the copy.
    pub fn sent_ms(&self) -> Option<u64> {
        self.message.sent_at.map(millis)
    }

    /// Returns the number of its receives before this one.
    pub fn receives(&self) -> u32 {
        self.message.receive_count.saturating_sub(1)
    }

    /// Returns the cause: from the history, else from a copy's attribute, else the number of its receives.
    pub fn why(&self) -> Cause {
        self.learned.clone().or_else(|| self.by_attribute()).unwrap_or_else(|| self.unknown_cause(None))
    }

    /// Returns the cause in a copy's attribute.
    pub fn by_attribute(&self) -> Option<Cause> {
        let reason = self.message.attribute(REASON_ATTRIBUTE)?.to_owned();
        Some(Cause { reason, class: None, from: CauseSource::Attribute })
    }

    /// Returns the cause if none is known. `more` is added to the reason.
    pub fn unknown_cause(&self, more: Option<&str>) -> Cause {
        // Plural even for one receive: a look changes the number, and must not change the fingerprint.
        let reason = format!("no history: received {} times{}", self.receives(), more.unwrap_or_default());
        Cause { reason, class: None, from: CauseSource::Nothing }
    }
}

pub(crate) fn original_id(message: &Message) -> &str {
    message.attribute(ORIGINAL_ATTRIBUTE).unwrap_or(&message.id)
}

fn first_id(message: &Message) -> &str {
    JobIdAttribute::of(message).map_or_else(|| original_id(message), |attribute| attribute.id)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::message::{Attribute, PayloadPointer, payload_size_attribute};

    use super::*;
    use crate::fingerprint::Fingerprint;

    #[test]
    fn a_payload_in_s3_is_a_job_once_it_is_opened() {
        let pointer = PayloadPointer { bucket: "b".to_owned(), key: "k".to_owned() }.to_body();
        let message = || Message {
            id: "m".into(),
            body: pointer.clone(),
            attributes: [
                ("ExtendedPayloadSize".to_owned(), payload_size_attribute(300_000)),
                ("messageType".to_owned(), Attribute::text("email.send")),
            ]
            .into(),
            ..Message::default()
        };
        let unopened = Letter::new(message(), &Intake::default());
        assert!(unopened.envelope().unwrap_err().contains("not in the message"), "{:?}", unopened.envelope());
        assert_eq!(
            (unopened.job_id(), unopened.job_type(), unopened.body()),
            ("m", Some("email.send"), &*pointer)
        );
        let body = r#"{"type":"email.send","jobId":"j","payload":{"userId":7}}"#;
        let payload = unopened.encoded().unwrap().open(&message(), body.to_owned());
        let opened = Letter::with_payload(message(), Ok(payload), &Intake::default());
        assert_eq!((opened.job_id(), opened.job_type(), opened.body()), ("j", Some("email.send"), body));
        assert!(*opened.message() == message(), "it is kept as it was received");
    }

    #[test]
    fn looks_keep_the_fingerprint_of_a_letter_without_history() {
        let of = |receive_count| {
            let letter = Letter::new(Message { receive_count, ..Message::default() }, &Intake::default());
            Fingerprint::of_reason(&letter.why().reason)
        };
        for receives in [0, 1, 2, 3, 40] {
            assert_eq!(of(receives), of(4), "{receives}");
        }
    }
}
