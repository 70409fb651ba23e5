//! The form in which a letter is written.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline::message::Message;
use serde::Serialize;

use super::format::{LineAttribute, system};
use crate::letter::{Cause, Letter};
use crate::origin::claimed_origin;

/// A letter as a line for serialization.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a, H> {
    message_id: &'a str,
    body: &'a str,
    attributes: BTreeMap<&'a str, LineAttribute>,
    system: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    job_id: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    job_type: Option<&'a str>,
    why: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<H>,
}

impl<'a, H: Serialize> Line<'a, H> {
    /// Returns the line of a letter with the history of its job.
    ///
    /// ```
    /// use drumline::message::{Intake, Message};
    /// use drumline_dlq::Letter;
    /// use drumline_dlq::line::{Line, Lines};
    ///
    /// let message = Message { id: "m-1".into(), body: "{\"a\": 1.0}\n".into(), ..Message::default() };
    /// let letter = Letter::new(message.clone(), &Intake::default());
    /// let header = r#"{"drumlineDeadLetters":1,"name":"x","dlq":"jobs-dlq","exportedAt":"","program":""}"#;
    /// let export = format!("{header}\n{}\n", serde_json::to_string(&Line::of(&letter, None::<()>))?);
    ///
    /// let (header, mut lines) = Lines::open(export.as_bytes())?;
    /// assert_eq!(header.dlq, "jobs-dlq");
    /// assert_eq!(lines.next().expect("there is one")?.message, message);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(letter: &'a Letter, history: Option<H>) -> Self {
        let message = letter.message();
        let attributes = message.attributes.iter().map(|(name, value)| (name.as_str(), value.into()));
        Self {
            message_id: &message.id,
            body: &message.body,
            attributes: attributes.collect(),
            system: system_attributes(message),
            group: message.group.as_deref(),
            deduplication_id: message.deduplication_id.as_deref(),
            origin: claimed_origin(letter),
            job_id: letter.job_id(),
            job_type: letter.job_type(),
            why: letter.why(),
            history,
        }
    }
}

/// Returns the system attributes of a message, in SQS's names and notation.
fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let millis = |time: Duration| time.as_millis().to_string();
    let count = Some(message.receive_count).filter(|count| *count > 0);
    let all = [
        (system::RECEIVE_COUNT, count.map(|count| count.to_string())),
        (system::FIRST_RECEIVED, message.first_received_at.map(millis)),
        (system::SENT, message.sent_at.map(millis)),
        (system::GROUP, message.group.clone()),
        (system::DEDUPLICATION_ID, message.deduplication_id.clone()),
        (system::SEQUENCE_NUMBER, message.sequence_number.clone()),
        (system::SENDER, message.sender_id.clone()),
        (system::TRACE_HEADER, message.trace_header.clone()),
        (system::DEAD_LETTER_SOURCE, message.dead_letter_source.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
