//! A finding, and its text.

use std::fmt;

use super::allowance::with_kind;
use super::kind::{FindingKind, Severity};
use super::pointer::{field, pattern};

/// The setting in a kind's template.
const SETTING: &str = "set guard_allow to";

/// The same text with the flag of `drumline send`.
const SETTING_OR_FLAG: &str = "set guard_allow (--allow) to";

/// A part of a payload that should not wait in a queue. Its text names the field and the remedy, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The type of the job.
    pub job_type: String,
    /// The field in the payload ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)); empty for the payload itself. A name that
    /// is itself a secret, a token, a card number or an address is replaced by `*`.
    pub pointer: String,
    /// The kind.
    pub kind: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The content of the field with an article, such as `a GitHub app token`.
    pub what: &'static str,
}

impl Finding {
    /// Returns true if the payload must not be sent.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the field as people write it, such as `payload.users[0].name`.
    pub fn field(&self) -> String {
        field("payload", &self.pointer)
    }

    /// Returns the reason and the remedy, as a sentence about the field.
    pub fn reason(&self) -> String {
        let text = self.to_string();
        let reason = text.strip_prefix(&*self.field()).unwrap_or(&text);
        format!("it{reason}")
    }

    /// Returns the pointer with `*` instead of each index: findings in one list share it.
    pub fn pattern(&self) -> String {
        pattern(&self.pointer)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut allow = format!("{}:{}", self.job_type, self.pattern());
        if with_kind(&allow).is_some() {
            // Without a kind, the end of the pointer would be read as one.
            allow = format!("{allow}={}", self.kind);
        }
        let fills = [("field", self.field()), ("what", self.what.to_owned()), ("allow", shown(&allow))];
        let template = self.kind.template().replace(SETTING, SETTING_OR_FLAG);
        let mut rest = &*template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("the template's braces are pairs");
            let (_, fill) = fills.iter().find(|(of, _)| *of == name).expect("the template's names are known");
            write!(f, "{before}{fill}")?;
            rest = after;
        }
        f.write_str(rest)
    }
}

/// A text on one line.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect()
}
