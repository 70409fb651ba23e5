//! One inspection of a payload.

use serde_json::Value;

use super::Guards;
use super::card::{has_card_number, may_have_card};
use super::email::has_email_address;
use super::finding::Finding;
use super::jwt::has_jwt;
use super::kind::{Action, FindingKind, Severity};
use super::names::{is_secret_by_name, normalized};
use super::pointer::{self, ANY};
use super::secret::{named_secret, secret};
use super::tables::{MAX_FINDINGS_PER_KIND, MAX_TEXT_BYTES};
use super::walk::{Field, Visitor};

const JWT: &str = "a JSON Web Token";
const CARD_NUMBER: &str = "a card number";
const EMAIL_ADDRESS: &str = "an e-mail address";

/// The smallest number that may be a card's, as a JSON number.
const SMALLEST_CARD: u64 = 10_u64.pow(13);

/// Returns what a name is that is itself a value: names of fields are shown, and values never.
fn value_in(name: &str) -> Option<(FindingKind, &'static str)> {
    secret(name)
        .map(|what| (FindingKind::Secret, what))
        .or_else(|| has_jwt(name).then_some((FindingKind::Jwt, JWT)))
        .or_else(|| has_card_number(name).then_some((FindingKind::CardNumber, CARD_NUMBER)))
        .or_else(|| has_email_address(name).then_some((FindingKind::PersonalData, EMAIL_ADDRESS)))
}

/// Appends a name to a JSON pointer that is shown. A name that is itself a secret, a token, a card number or an address becomes `*`, and so
/// does one that is longer than names of fields are.
///
/// ```
/// let mut pointer = "/readers".to_owned();
/// drumline_contract::guards::push_name(&mut pointer, "ada@example.com");
/// drumline_contract::guards::push_name(&mut pointer, "a/b");
/// assert_eq!(pointer, "/readers/*/a~1b");
/// ```
pub fn push_name(pointer: &mut String, name: &str) {
    pointer::push_name(pointer, if value_in(name).is_some() { ANY } else { name });
}

pub(super) struct Inspection<'a> {
    guards: &'a Guards,
    job_type: &'a str,
    counts: [usize; FindingKind::ALL.len()],
    pub(super) findings: Vec<Finding>,
}

impl<'a> Inspection<'a> {
    pub(super) fn new(guards: &'a Guards, job_type: &'a str) -> Self {
        Self { guards, job_type, counts: [0; FindingKind::ALL.len()], findings: Vec::new() }
    }

    /// Returns true if findings of this kind are still looked for.
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
            pointer::push_name(&mut pointer, ANY);
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
