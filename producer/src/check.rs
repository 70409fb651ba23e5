//! Checks a message before it is sent: against SQS's rules, for decodability by workers, and for content that does not belong
//! in a queue.

use std::sync::Arc;

use drumline::message::{Attribute, Envelope, Message, TYPE_ATTRIBUTE, from_json};
use drumline_contract::guards::{Finding, Guards};
use drumline_runtime::GuardSettings;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::attributes::Attributes;
use crate::beside_payload;
use crate::guards::{GivenWarnings, guards, log};
use crate::pack::Outgoing;
use crate::repeated_names::check_names;
use crate::sqs_rules::{check_content, check_parameters};
use crate::unsendable::Unsendable;

/// Workers accept JSON after a byte order mark.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The checks of a message before it is sent. Cheap to clone; clones share the record of given warnings, so that each warning
/// is given once.
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
    /// The largest size of a message in bytes, if large messages are offloaded or compressed; otherwise SQS's limit applies.
    max_bytes: Option<usize>,
}

/// A message that may be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The job in the message, as a worker decodes it.
    pub envelope: Envelope,
    /// The findings that were not reported before: each one once for a job type, kind and field.
    pub warnings: Vec<Finding>,
}

impl Checks {
    /// Creates checks with these guards. [`Guards::none`] finds nothing.
    pub fn new(guards: Guards) -> Self {
        Self { guards: Arc::new(guards), given: Arc::default(), max_bytes: None }
    }

    /// Creates checks with the guards of the settings `guards` and `guard_allow`.
    pub fn from_settings(settings: &GuardSettings) -> Self {
        Self::new(guards(settings))
    }

    /// Sets the largest size of messages, if a [`PayloadStore`](crate::PayloadStore) offloads or compresses them before they
    /// are sent; `None` means the limit of SQS.
    pub fn with_max_bytes(self, max_bytes: Option<usize>) -> Self {
        Self { max_bytes, ..self }
    }

    /// Accepts a body with these attributes that may be sent as a job.
    ///
    /// # Errors
    ///
    /// Returns an error if SQS would refuse the body, if no worker could decode it, if readers could interpret it differently,
    /// or if the guards refuse its content: all their findings in the payload, and secrets also in the envelope and in the
    /// texts of attributes, where no [`Allowance`](drumline_contract::guards::Allowance) applies.
    pub fn check(&self, body: &str, attributes: &Attributes) -> Result<Checked, Unsendable> {
        check_content(body, attributes, self.max_bytes)?;
        let json = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        check_names(json)?;
        check_type(json, attributes)?;
        let message = Message { body: body.to_owned(), attributes: attributes.clone(), ..Message::default() };
        let envelope =
            Envelope::decode(&message).map_err(|error| Unsendable::new("message", error.to_string()))?;
        let warnings = self.inspect_message(json, &envelope, attributes)?;
        Ok(Checked { envelope, warnings })
    }

    /// Accepts a message with all its parameters.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`check`](Self::check), and an error if the queue would refuse the group, the deduplication id or
    /// the delay, or if one of them is a secret.
    pub fn check_message(&self, message: &Outgoing, is_fifo: bool) -> Result<Checked, Unsendable> {
        check_parameters(message, is_fifo)?;
        let Outgoing { group, deduplication_id, trace_header, .. } = message;
        self.check_parameters([
            ("group", group.as_deref()),
            ("deduplication id", Some(deduplication_id)),
            ("trace header", trace_header.as_deref()),
        ])?;
        self.check(&message.body, &message.attributes)
    }

    /// Inspects the payload of a job of this type. Returns the warnings that were not given before.
    ///
    /// # Errors
    ///
    /// Returns an error if the guards refuse its content.
    pub fn inspect(&self, job_type: &str, payload: &Value) -> Result<Vec<Finding>, Unsendable> {
        let findings = self.guards.inspect(job_type, payload);
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
        match errors.split_first() {
            Some((first, others)) => Err(Unsendable::found(first, others)),
            None => Ok(findings.into_iter().filter(|finding| self.given.is_new(finding)).collect()),
        }
    }

    /// Accepts a message's parameters, by name, that contain no secrets.
    pub(crate) fn check_parameters<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), Unsendable> {
        beside_payload::check_parameters(&self.guards, parameters)
    }

    fn inspect_message(
        &self,
        json: &str,
        envelope: &Envelope,
        attributes: &Attributes,
    ) -> Result<Vec<Finding>, Unsendable> {
        if *self.guards == Guards::none() {
            return Ok(Vec::new());
        }
        beside_payload::check_attributes(&self.guards, attributes)?;
        beside_payload::check_envelope(&self.guards, json, envelope)?;
        let payload = serde_json::from_str(envelope.payload.get());
        let payload = payload.map_err(|error| Unsendable::new("payload", error.to_string()))?;
        self.inspect(&envelope.job_type, &payload)
    }
}

impl Checked {
    /// Logs the warnings with type, field and kind, and never with a value.
    pub fn log_warnings(&self) {
        self.warnings.iter().for_each(log);
    }
}

/// The fields of a native envelope that determine its type.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type")]
    job_type: String,
    /// Only its presence counts, even if it is `null`.
    #[serde(borrow, rename = "payload")]
    _payload: &'a RawValue,
}

/// Refuses a native envelope with an attribute that names another type: workers would treat the whole envelope as the payload
/// of that type.
fn check_type(body: &str, attributes: &Attributes) -> Result<(), Unsendable> {
    let Some(given) = attributes.get(TYPE_ATTRIBUTE).and_then(Attribute::as_text) else { return Ok(()) };
    match from_json::<Typed<'_>>(body) {
        Ok(Typed { job_type, .. }) if !job_type.is_empty() && job_type != given => {
            let reason = format!(
                "workers would take the whole job {job_type:?} for the payload of a job {given:?}: leave the attribute messageType out"
            );
            Err(Unsendable::new(format!("attribute {TYPE_ATTRIBUTE}"), reason))
        }
        _ => Ok(()),
    }
}

/// Accepts a body with these attributes that may be sent as a job. Returns the job as a worker decodes it.
///
/// [`Checks`] does the same with configurable guards, and returns their warnings.
///
/// # Errors
///
/// Returns the reason why it must not be sent.
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
                      guard_allow (--allow) to \"a.b:/*\"; also payload[1].a",
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
    fn what_is_beside_the_payload_has_no_secret() {
        const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
        let beside = |field: &str| format!(r#"{{"type":"a.b","payload":{{}},{field}}}"#);
        let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"a.b","data":{"k":1}"#;
        let table = [
            (beside(&format!(r#""correlationId":"{KEY}""#)), "correlationId"),
            (beside(&format!(r#""idempotencyKey":"{KEY}""#)), "idempotencyKey"),
            (beside(&format!(r#""jobId":"{KEY}""#)), "jobId"),
            (format!("{BYTE_ORDER_MARK}{}", beside(&format!(r#""jobId":"{KEY}""#))), "jobId"),
            (beside(&format!(r#""note":{{"of":["x","{KEY}"]}}"#)), "note.of[1]"),
            (beside(&format!(r#""{KEY}":1"#)), "*"),
            (
                beside(r#""awsSecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY""#),
                "awsSecretAccessKey",
            ),
            (format!(r#"{event},"subject":"{KEY}"}}"#), "subject"),
            (format!(r#"{{"type":"a.b","payload":"{KEY}","note":"{KEY}"}}"#), "note"),
        ];
        let allowing = || Checks::new(Guards::default().allow("*:".parse().unwrap()));
        for (body, field) in table {
            let refused = allowing().check(&body, &Attributes::new()).unwrap_err();
            assert_eq!(refused.field, field, "{body}");
            assert!(refused.reason.starts_with("it has an AWS ") && !refused.to_string().contains(KEY));
            assert!(Checks::new(Guards::none()).check(&body, &Attributes::new()).is_ok());
        }
        for body in [
            beside(r#""note":{"password":"x","to":"ada@example.com"}"#),
            format!("{event}}}"),
            format!(r#"{{"type":"a.b","payload":"{KEY}"}}"#),
        ] {
            assert!(allowing().check(&body, &Attributes::new()).is_ok(), "{body}");
        }
        for name in ["tenant", "a.b"] {
            let attributes = attributes([attribute(&format!("{name}={KEY}")).unwrap()]).unwrap();
            let refused = allowing().check(&job("{}"), &attributes).unwrap_err();
            assert_eq!(refused.field, format!("attribute {name}"));
        }
        let message =
            || Outgoing { body: job("{}"), deduplication_id: "d".to_owned(), ..Outgoing::default() };
        let table = [
            (Outgoing { group: Some(KEY.into()), ..message() }, "group"),
            (Outgoing { deduplication_id: KEY.to_owned(), ..message() }, "deduplication id"),
        ];
        for (message, field) in table {
            assert_eq!(allowing().check_message(&message, false).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_name_that_is_repeated_hides_no_secret() {
        let body = job(r#"{"k":"AKIAIOSFODNN7EXAMPLE","k":"x"}"#);
        for guards in [Guards::default(), Guards::none()] {
            let refused = Checks::new(guards).check(&body, &Attributes::new()).unwrap_err();
            assert_eq!(refused.field, "payload.k");
        }
        let twice = r#"{"type":"a.b","payload":{},"type":"a.c"}"#;
        assert_eq!(Checks::default().check(twice, &Attributes::new()).unwrap_err().field, "type");
    }

    #[test]
    fn a_body_has_the_type_of_its_attribute() {
        let with = |text: &str| attributes([attribute(text).unwrap()]).unwrap();
        let refused = Checks::default().check(&job("{}"), &with("messageType=a.c")).unwrap_err();
        assert_eq!(refused.field, "attribute messageType");
        assert!(refused.reason.contains("\"a.b\"") && refused.reason.contains("\"a.c\""), "{refused}");
        for body in [&job("{}"), r#"{"type":"x"}"#, r#"{"type":7,"payload":1}"#, r#"["x",1]"#] {
            assert!(Checks::default().check(body, &with("messageType=a.b")).is_ok(), "{body}");
        }
        let encoded = Attributes::from([("contentEncoding".to_owned(), Attribute::text("gzip"))]);
        let refused = Checks::default().check(&job("{}"), &encoded).unwrap_err();
        assert_eq!(refused.field, "attribute contentEncoding");
    }

    #[test]
    fn a_message_is_checked_with_its_parameters() {
        let message = Outgoing { body: job("{}"), deduplication_id: "d".to_owned(), ..Outgoing::default() };
        assert!(Checks::default().check_message(&message, false).is_ok());
        assert_eq!(Checks::default().check_message(&message, true).unwrap_err().field, "group");
    }
}
