//! Fields in which a guard's findings are allowed.

use std::str::FromStr;

use super::kind::FindingKind;
use super::pointer::ANY;

/// A field of a job type in which a guard's findings are allowed, of one kind or of all.
///
/// As a text: `TYPE:/pointer` or `TYPE:/pointer=KIND`. `TYPE` may be `*` for all types. In the pointer, `*` means any index or
/// name; `TYPE:` alone means the payload itself. It applies only to the payload: a secret in an attribute or beside the payload
/// is always refused.
///
/// Lower-case letters and `_` after the last `=` are read as a kind, so that a misspelt kind is refused. A pointer with such an
/// ending must be written with a kind, or with `*` for its last name.
///
/// ```
/// use drumline_contract::guards::Allowance;
/// let allowance: Allowance = "email.send:/recipients/*/address=personal_data".parse()?;
/// assert_eq!(allowance.to_string(), "email.send:/recipients/*/address=personal_data");
/// assert!("email.send".parse::<Allowance>().is_err());
/// # Ok::<(), drumline_contract::guards::InvalidAllowance>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    job_type: String,
    pointer: String,
    kind: Option<FindingKind>,
}

/// The reason why a text is not an [`Allowance`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidAllowance {
    /// It has no type, or no pointer.
    Form,
    /// It ends with an unknown kind.
    UnknownKind(String),
}

impl Allowance {
    /// Allows all findings in the field of a job type, or of all types with `*`.
    pub fn new(job_type: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self { job_type: job_type.into(), pointer: pointer.into(), kind: None }
    }

    /// Allows only findings of this kind.
    pub fn of_kind(self, kind: FindingKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    pub(super) fn allows(&self, job_type: &str, pointer: &str, kind: FindingKind) -> bool {
        let is_type = self.job_type == ANY || self.job_type == job_type;
        is_type && self.kind.is_none_or(|own| own == kind) && matches(&self.pointer, pointer)
    }
}

fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || wanted == ANY => {}
            _ => return false,
        }
    }
}

/// Returns the text before the last `=` and the text after it, if that is read as a kind.
pub(super) fn with_kind(text: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.rsplit_once('=').filter(|(_, name)| is_name(name))
}

impl FromStr for Allowance {
    type Err = InvalidAllowance;

    fn from_str(text: &str) -> Result<Self, InvalidAllowance> {
        let (text, kind) = match with_kind(text) {
            Some((text, name)) => {
                let unknown = || InvalidAllowance::UnknownKind(name.to_owned());
                (text, Some(FindingKind::from_name(name).ok_or_else(unknown)?))
            }
            None => (text, None),
        };
        // A type may be a URI, so the last colon before a slash separates it.
        let (job_type, pointer) = match text.strip_suffix(':') {
            Some(job_type) => (job_type, ""),
            None => {
                text.rfind(":/").map(|at| (&text[..at], &text[at + 1..])).ok_or(InvalidAllowance::Form)?
            }
        };
        if job_type.is_empty() {
            return Err(InvalidAllowance::Form);
        }
        Ok(Self { kind, ..Self::new(job_type, pointer) })
    }
}

impl std::fmt::Display for Allowance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.job_type, self.pointer)?;
        self.kind.map_or(Ok(()), |kind| write!(f, "={kind}"))
    }
}

impl std::fmt::Display for InvalidAllowance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form => {
                f.write_str("write it as TYPE:/pointer or TYPE:/pointer=KIND, such as email.send:/to")
            }
            Self::UnknownKind(name) => {
                let kinds = FindingKind::ALL.map(FindingKind::name).join(", ");
                write!(f, "{name:?} behind the = is none of the kinds {kinds}")
            }
        }
    }
}

impl std::error::Error for InvalidAllowance {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_allowance_is_for_a_field_of_a_type() {
        use FindingKind::{LongText, PersonalData};
        let table = [
            ("a.b:/to", "a.b", "/to", PersonalData, true),
            ("a.b:/to", "a.b", "/to", LongText, true),
            ("a.b:/to", "a.c", "/to", PersonalData, false),
            ("a.b:/to", "a.b", "/to/0", PersonalData, false),
            ("a.b:/to", "a.b", "", PersonalData, false),
            ("a.b:/to/*", "a.b", "/to/17", PersonalData, true),
            ("a.b:/*/mail", "a.b", "/ann/mail", PersonalData, true),
            ("a.b:/*/mail", "a.b", "/ann/bob/mail", PersonalData, false),
            ("a.b:/to=long_text", "a.b", "/to", PersonalData, false),
            ("a.b:/to=long_text", "a.b", "/to", LongText, true),
            ("a.b:/to=X", "a.b", "/to=X", LongText, true),
            ("a.b:/to=", "a.b", "/to=", LongText, true),
            ("a.b:/a=b/to", "a.b", "/a=b/to", LongText, true),
            ("a.b:/to=x=long_text", "a.b", "/to=x", LongText, true),
            ("a=b:", "a=b", "", LongText, true),
            ("*:/to", "any", "/to", LongText, true),
            ("a.b:", "a.b", "", LongText, true),
            ("https://example.com/type:/to", "https://example.com/type", "/to", LongText, true),
        ];
        for (text, job_type, pointer, kind, expected) in table {
            let allowance: Allowance = text.parse().unwrap();
            assert_eq!(allowance.allows(job_type, pointer, kind), expected, "{text} {job_type} {pointer}");
            assert_eq!(allowance.to_string(), text);
        }
        for text in ["", "a.b", ":/to", "/to", "a.b=long_text", ":"] {
            assert_eq!(text.parse::<Allowance>(), Err(InvalidAllowance::Form), "{text}");
        }
        for (text, name) in [("a.b:/k=secrets", "secrets"), ("a.b:=jwts", "jwts"), ("a.b:/to=x", "x")] {
            let error = text.parse::<Allowance>().unwrap_err();
            assert_eq!(error, InvalidAllowance::UnknownKind(name.to_owned()), "{text}");
            assert!(error.to_string().ends_with(
                "is none of the kinds secret, secret_name, jwt, card_number, personal_data, long_text"
            ));
        }
    }
}
