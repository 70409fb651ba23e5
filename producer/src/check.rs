//! The check of a message before it is sent: what SQS refuses, what no worker can decode, and what does not belong in a queue.

use std::sync::Arc;

use drumline::message::{Envelope, Message};
use drumline_contract::guards::{Finding, Guards};
use drumline_runtime::GuardSettings;
use serde_json::Value;

use crate::attributes::Attributes;
use crate::guards::{GivenWarnings, guards, log};
use crate::pack::Outgoing;
use crate::sqs_rules::{check_content, check_parameters};
use crate::unsendable::Unsendable;

/// The checks that a message passes before it is sent. Cheap to clone; clones give each warning once together.
///
/// ```
/// use drumline_producer::{Attributes, Checks};
///
/// let checks = Checks::default();
/// let body = r#"{"type":"email.send","payload":{"to":"ada@example.com"}}"#;
/// let checked = checks.check(body, &Attributes::new())?;
/// assert_eq!(checked.warnings[0].field(), "payload.to");
/// assert!(checks.check(body, &Attributes::new())?.warnings.is_empty(), "each warning is given once");
///
/// let body = r#"{"type":"report.make","payload":{"db":"postgres://app:hunter2@db/main"}}"#;
/// assert_eq!(checks.check(body, &Attributes::new()).unwrap_err().field, "payload.db");
/// # Ok::<(), drumline_producer::Unsendable>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Checks {
    guards: Arc<Guards>,
    given: Arc<GivenWarnings>,
}

/// A message that may be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The job in it, as a worker decodes it.
    pub envelope: Envelope,
    /// The findings that have not been given before: for each job type, kind and field once.
    pub warnings: Vec<Finding>,
}

impl Checks {
    /// Checks with these guards. [`Guards::none`] finds nothing.
    pub fn new(guards: Guards) -> Self {
        Self { guards: Arc::new(guards), given: Arc::default() }
    }

    /// Checks with the guards of the settings `guards` and `guard_allow`.
    pub fn from_settings(settings: &GuardSettings) -> Self {
        Self::new(guards(settings))
    }

    /// Accepts a body with these attributes that may be sent as a job.
    ///
    /// # Errors
    /// If SQS would refuse it, no worker could decode it, or its payload has what the guards do not let pass.
    pub fn check(&self, body: &str, attributes: &Attributes) -> Result<Checked, Unsendable> {
        check_content(body, attributes)?;
        let message = Message { body: body.to_owned(), attributes: attributes.clone(), ..Message::default() };
        let envelope =
            Envelope::decode(&message).map_err(|error| Unsendable::new("message", error.to_string()))?;
        let warnings = self.inspect_envelope(&envelope)?;
        Ok(Checked { envelope, warnings })
    }

    /// Accepts a message with all its parameters.
    ///
    /// # Errors
    /// As [`check`](Self::check), and if the queue would refuse the group, the deduplication id or the delay.
    pub fn check_message(&self, message: &Outgoing, is_fifo: bool) -> Result<Checked, Unsendable> {
        check_parameters(message, is_fifo)?;
        self.check(&message.body, &message.attributes)
    }

    /// Inspects the payload of a job of this type. Returns the warnings that have not been given before.
    ///
    /// # Errors
    /// If it has what the guards do not let pass.
    pub fn inspect(&self, job_type: &str, payload: &Value) -> Result<Vec<Finding>, Unsendable> {
        let findings = self.guards.inspect(job_type, payload);
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
        match errors.split_first() {
            Some((first, others)) => Err(Unsendable::found(first, others)),
            None => Ok(findings.into_iter().filter(|finding| self.given.is_new(finding)).collect()),
        }
    }

    fn inspect_envelope(&self, envelope: &Envelope) -> Result<Vec<Finding>, Unsendable> {
        if *self.guards == Guards::none() {
            return Ok(Vec::new());
        }
        let payload = serde_json::from_str(envelope.payload.get());
        let payload = payload.map_err(|error| Unsendable::new("payload", error.to_string()))?;
        self.inspect(&envelope.job_type, &payload)
    }
}

impl Checked {
    /// Logs the warnings, with the type, the field and the kind, and never a value.
    pub fn log_warnings(&self) {
        self.warnings.iter().for_each(log);
    }
}

/// Accepts a body with these attributes that may be sent as a job. Returns the job as a worker decodes it.
///
/// [`Checks`] does the same with guards of one's own, and returns their warnings.
///
/// # Errors
/// The reason for which it may not be sent, in words.
pub fn check(body: &str, attributes: &Attributes, secrets_allowed: bool) -> Result<Envelope, String> {
    let guards = if secrets_allowed { Guards::none() } else { Guards::default() };
    let checked = Checks::new(guards).check(body, attributes);
    checked.map(|checked| checked.envelope).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_runtime::limits::MAX_MESSAGE_BYTES;

    use super::*;
    use crate::attributes::{attribute, attributes};

    fn job(payload: &str) -> String {
        format!(r#"{{"type":"a.b","payload":{payload}}}"#)
    }

    #[test]
    fn what_cannot_or_should_not_be_sent_is_refused_with_words() {
        let table = [
            (job(r#"{"id":1}"#), None),
            (job(r#"{"text":"a\u0001b \ud83d\ude00 ü"}"#), None),
            (job(r#"{"password":"hunter2","to":"ada@example.com"}"#), None),
            (job(r#"{"city":"AKIA"}"#), None),
            (job("\"\u{1}\""), Some("payload: SQS does not take the character U+0001")),
            (job(&format!("\"{}\"", "x".repeat(MAX_MESSAGE_BYTES))), Some("payload: 1048603 bytes")),
            ("{".to_owned(), Some("message: the body is not a JSON object")),
            ("{}".to_owned(), Some("`type`")),
            (
                job(r#"{"keys":["AKIAIOSFODNN7EXAMPLE"]}"#),
                Some("payload.keys[0]: it has an AWS access key ID, and queues keep"),
            ),
            (
                job(r#"["AKIAIOSFODNN7EXAMPLE",{"a":"redis://:pw@cache"}]"#),
                Some(
                    "payload[0]: it has an AWS access key ID, and queues keep and show what they are sent: send a reference to it, or set \
                      guard_allow to \"a.b:/*\"; also payload[1].a",
                ),
            ),
        ];
        for (body, refused) in table {
            let result = Checks::default().check(&body, &Attributes::new()).map(drop);
            match refused {
                None => assert_eq!(result, Ok(()), "{body:.80}"),
                Some(says) => {
                    let text = result.unwrap_err().to_string();
                    assert!(text.contains(says), "{body:.80}: {text}");
                }
            }
        }
        let secret = job(r#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#);
        assert!(check(&secret, &Attributes::new(), false).is_err());
        assert!(check(&secret, &Attributes::new(), true).is_ok());
    }

    #[test]
    fn many_secrets_are_counted() {
        let keys = vec!["AKIAIOSFODNN7EXAMPLE"; 9];
        let error = Checks::default().inspect("a.b", &serde_json::json!({ "keys": keys })).unwrap_err();
        assert!(error.reason.ends_with("; also payload.keys[1], payload.keys[2], payload.keys[3], payload.keys[4], payload.keys[5] and 3 more"));
    }

    #[test]
    fn names_alone_warn_and_are_refused_if_set_so() {
        let body = job(r#"{"user":{"api_key":"abc"}}"#);
        let checks = Checks::default();
        let checked = checks.check(&body, &Attributes::new()).unwrap();
        assert_eq!(checked.warnings.iter().map(Finding::field).collect::<Vec<_>>(), ["payload.user.api_key"]);
        assert!(checks.clone().check(&body, &Attributes::new()).unwrap().warnings.is_empty());
        let refused = Checks::new(Guards::deny()).check(&body, &Attributes::new()).unwrap_err();
        assert_eq!(refused.field, "payload.user.api_key");
        assert!(refused.reason.starts_with("it is named like a secret"), "{refused}");
    }

    #[test]
    fn attributes_count_and_can_name_the_type() {
        let body = format!("\"{}\"", "x".repeat(MAX_MESSAGE_BYTES - 22));
        let with = |text: &str| attributes([attribute(text).unwrap()]).unwrap();
        let checks = Checks::new(Guards::none());
        let Envelope { job_type, job_id, .. } =
            checks.check(&body, &with("messageType=a.b")).unwrap().envelope;
        assert_eq!((&*job_type, job_id), ("a.b", None));
        let refused = checks.check(&body, &with("messageType=a.bc")).unwrap_err().to_string();
        assert!(refused.contains("1048577 bytes"), "{refused}");
    }

    #[test]
    fn a_message_is_checked_with_its_parameters() {
        let message = Outgoing { body: job("{}"), deduplication_id: "d".to_owned(), ..Outgoing::default() };
        assert!(Checks::default().check_message(&message, false).is_ok());
        assert_eq!(Checks::default().check_message(&message, true).unwrap_err().field, "group");
    }
}
