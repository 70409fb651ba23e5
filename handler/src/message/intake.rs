//! The rules that turn the messages of a queue into jobs: their scope, the type of bodies without one, the types of AWS's
//! events, and the fields that a message must have.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The rules that turn the messages of a queue into jobs.
///
/// ```
/// use drumline::message::{Intake, Message};
///
/// let mut intake = Intake::new("arn:aws:sqs:eu-west-1:123456789012:reports");
/// intake.default_type = Some("report.nightly".into());
/// let message = Message { body: r#"{"day":"2026-11-28"}"#.into(), ..Message::default() };
/// assert_eq!(intake.decode(&message)?.job_type, "report.nightly");
/// # Ok::<(), drumline::message::InvalidPayload>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intake {
    /// The scope of the identity of a job: the queue's ARN unless a setting names another one.
    pub scope: Arc<str>,
    /// The scope of single job types, by type.
    pub scope_by_type: HashMap<String, Arc<str>>,
    /// The type of a body without one, if the message has no attribute `messageType`.
    pub default_type: Option<Arc<str>>,
    /// The job types of AWS's events: by topic ARN or topic name, EventBridge detail-type or source, or bucket.
    pub event_types: HashMap<String, Arc<str>>,
    /// The fields that every message must have.
    pub require: RequiredFields,
    /// The fields that messages of single job types must have instead, by type.
    pub require_by_type: HashMap<String, RequiredFields>,
    /// True if claims of version 0.1 are looked up too.
    pub legacy_keys: bool,
}

impl Intake {
    /// Makes the rules of a queue without separate settings: jobs have this scope.
    pub fn new(scope: impl Into<Arc<str>>) -> Self {
        Self { scope: scope.into(), legacy_keys: true, ..Self::default() }
    }

    /// The scope of jobs of this type.
    pub fn scope_of(&self, job_type: &str) -> &Arc<str> {
        self.scope_by_type.get(job_type).unwrap_or(&self.scope)
    }

    /// The fields that messages of this type must have.
    pub fn required_of(&self, job_type: &str) -> RequiredFields {
        self.require_by_type.get(job_type).copied().unwrap_or(self.require)
    }

    /// Returns the job type that a setting gives to events of this origin; the first name with a type counts.
    pub(crate) fn event_type<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<&str> {
        if self.event_types.is_empty() {
            return None;
        }
        names.into_iter().find_map(|name| self.event_types.get(name)).map(|job_type| &**job_type)
    }
}

/// The fields that a message must have to be run. Without them it fails permanently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequiredFields {
    /// `idempotencyKey`, or a key that the job's code computes.
    pub idempotency_key: bool,
    /// `jobId`, or the `id` of a `CloudEvent`.
    pub job_id: bool,
}

impl RequiredFields {
    /// Returns the first missing required field, as the producer writes it.
    pub(crate) fn missing(self, has_idempotency_key: bool, has_job_id: bool) -> Option<&'static str> {
        if self.idempotency_key && !has_idempotency_key {
            return Some("idempotencyKey");
        }
        (self.job_id && !has_job_id).then_some("jobId")
    }
}

impl fmt::Display for RequiredFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.idempotency_key, self.job_id) {
            (true, true) => "idempotencyKey,jobId",
            (true, false) => "idempotencyKey",
            (false, true) => "jobId",
            (false, false) => "",
        })
    }
}
