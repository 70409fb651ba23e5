//! The inspection of a payload.

use serde_json::Value;

use super::card::{has_card_number, may_have_card};
use super::email::has_email_address;
use super::finding::Finding;
use super::jwt::has_jwt;
use super::kind::{Action, FindingKind, Severity};
use super::names::{is_secret_by_name, normalized};
use super::pointer::{ANY, push_name};
use super::policy::Guards;
use super::secret::{named_secret, secret};
use super::shown_names::{CARD_NUMBER, EMAIL_ADDRESS, JWT, value_in};
use super::tables::{MAX_FINDINGS_PER_KIND, MAX_TEXT_BYTES};
use super::walk::{Field, Visitor, walk};

/// The smallest JSON number that may be a card number.
const SMALLEST_CARD: u64 = 10_u64.pow(13);

impl Guards {
    /// Returns the findings in the payload of a job of this type, at most
    /// [`MAX_FINDINGS_PER_KIND`](super::tables::MAX_FINDINGS_PER_KIND) of each kind, in the order of the payload. A field with
    /// a secret or a JSON Web Token is not also reported for its name.
    ///
    /// Field names are inspected like values: the keys of a map may be addresses or tokens.
    pub fn inspect(&self, job_type: &str, payload: &Value) -> Vec<Finding> {
        if FindingKind::ALL.iter().all(|kind| self.action(*kind) == Action::Off) {
            return Vec::new();
        }
        let mut inspection = Inspection::new(self, job_type);
        walk(payload, &mut inspection);
        inspection.findings
    }

    /// Returns the secrets in an object of values that are sent beside a payload, by name: fields of its envelope, or message
    /// attributes. No [`Allowance`](super::Allowance) applies to them, and other kinds are not inspected.
    ///
    /// ```
    /// use drumline_contract::guards::Guards;
    /// let beside = serde_json::json!({"correlationId": "redis://:hunter2@cache"});
    /// assert_eq!(Guards::default().inspect_beside(&beside)[0].pointer, "/correlationId");
    /// ```
    pub fn inspect_beside(&self, beside: &Value) -> Vec<Finding> {
        let action = self.action(FindingKind::Secret);
        Self::secrets_only().on(FindingKind::Secret, action).inspect("", beside)
    }

    /// Returns true if [`inspect_beside`](Self::inspect_beside) would find something in an object with only this field, at
    /// lower cost.
    pub fn finds_beside(&self, name: &str, text: &str) -> bool {
        let is_secret = || secret(name).or_else(|| secret(text)).is_some();
        let is_named_secret = || named_secret(&normalized(name), text).is_some();
        self.action(FindingKind::Secret) != Action::Off && (is_secret() || is_named_secret())
    }
}

struct Inspection<'a> {
    guards: &'a Guards,
    job_type: &'a str,
    counts: [usize; FindingKind::ALL.len()],
    findings: Vec<Finding>,
}

impl<'a> Inspection<'a> {
    fn new(guards: &'a Guards, job_type: &'a str) -> Self {
        Self { guards, job_type, counts: [0; FindingKind::ALL.len()], findings: Vec::new() }
    }

    /// Returns true if findings of this kind are still needed.
    fn seeks(&self, kind: FindingKind) -> bool {
        self.guards.action(kind) != Action::Off && self.counts[kind.index()] < MAX_FINDINGS_PER_KIND
    }

    fn add(&mut self, pointer: &str, kind: FindingKind, what: &'static str) {
        let severity = match self.guards.action(kind) {
            Action::Off => return,
            Action::Warn => Severity::Warning,
            Action::Deny => Severity::Error,
        };
        if !self.seeks(kind) || self.guards.is_allowed(self.job_type, pointer, kind) {
            return;
        }
        self.counts[kind.index()] += 1;
        let (job_type, pointer) = (self.job_type.to_owned(), pointer.to_owned());
        self.findings.push(Finding { job_type, pointer, kind, severity, what });
    }

    fn text(&mut self, pointer: &str, name: &str, text: &str) {
        let name = normalized(name);
        let mut is_token = false;
        if self.seeks(FindingKind::Secret)
            && let Some(what) = named_secret(&name, text).or_else(|| secret(text))
        {
            is_token = true;
            self.add(pointer, FindingKind::Secret, what);
        }
        if self.seeks(FindingKind::Jwt) && has_jwt(text) {
            is_token = true;
            self.add(pointer, FindingKind::Jwt, JWT);
        }
        if !is_token && self.seeks(FindingKind::SecretName) && is_secret_by_name(&name, text) {
            self.add(pointer, FindingKind::SecretName, "the name of a secret");
        }
        if self.seeks(FindingKind::CardNumber) && may_have_card(&name) && has_card_number(text) {
            self.add(pointer, FindingKind::CardNumber, CARD_NUMBER);
        }
        if self.seeks(FindingKind::PersonalData) && has_email_address(text) {
            self.add(pointer, FindingKind::PersonalData, EMAIL_ADDRESS);
        }
        if text.len() > MAX_TEXT_BYTES {
            self.add(pointer, FindingKind::LongText, "a long text");
        }
    }
}

impl Visitor for Inspection<'_> {
    fn name(&mut self, object: &str, name: &str) -> bool {
        let found = value_in(name);
        if let Some((kind, what)) = found {
            let mut pointer = object.to_owned();
            push_name(&mut pointer, ANY);
            self.add(&pointer, kind, what);
        }
        found.is_none()
    }

    fn field(&mut self, field: Field<'_, '_>) {
        match field.value {
            Value::String(text) => self.text(field.pointer, field.name, text),
            Value::Number(number) => {
                let Some(digits) = number.as_u64().filter(|number| *number >= SMALLEST_CARD) else { return };
                if self.seeks(FindingKind::CardNumber)
                    && may_have_card(&normalized(field.name))
                    && has_card_number(&digits.to_string())
                {
                    self.add(field.pointer, FindingKind::CardNumber, CARD_NUMBER);
                }
            }
            _ => {}
        }
    }
}
