//! Changes of a letter before its replay: values, patches, another type.

mod error;
mod retype;
mod set;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use drumline::message::limits::{MAX_MESSAGE_BYTES, attributes_bytes, is_allowed};
use drumline::message::{Attribute, Intake};
use json_patch::{Patch, PatchError, PatchErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::exact;
use crate::letter::Letter;
use crate::pointer::Pointer;
use crate::splice::{RepeatedKey, json_in, splice};

pub use error::FixError;

/// A change of letters.
///
/// ```
/// use drumline::message::{Intake, Message};
/// use drumline_dlq::Letter;
/// use drumline_dlq::fix::{Fix, apply};
///
/// let body = r#"{"type":"email.send", "payload":{"userId":17,"amount":1.50}}"#;
/// let letter = Letter::new(Message { body: body.into(), ..Message::default() }, &Intake::default());
/// let fixed = apply(&letter, &[Fix::set("/payload/userId=7")?], &Intake::default())?;
/// assert_eq!(fixed.body, Some(body.replace("17", "7")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fix(Kind);

/// The kind of change. Values in patches are [exact](crate::exact).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Kind {
    /// A JSON text at a place of the body, which may be inside of a string that is JSON itself.
    Set { pointer: String, json: String },
    /// An RFC 6902 patch of the body.
    Patch(Patch),
    /// An RFC 7396 patch of the body.
    Merge(Value),
    /// Another body for letters whose body has this hash and is no JSON. Journals contain no bodies of letters.
    Replace { hash: String, new: String },
    /// Another job type.
    TypeTo(String),
}

/// The parts of a letter that its fixes have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// The new body, if it differs.
    pub body: Option<String>,
    /// The new attributes, if they differ.
    pub attributes: Option<BTreeMap<String, Attribute>>,
}

impl Fix {
    /// Makes a fix that sets a value: `/payload/userId=7`. The value is JSON if it can be read as such, else a text; it is
    /// written as given. Missing objects are created. The place may be inside of a string that is JSON, such as the message of
    /// an SNS notification.
    ///
    /// # Errors
    /// A text for the user if there is no pointer or no value.
    pub fn set(text: &str) -> Result<Self, String> {
        let no_value = || format!("{text:?} has no value: write it like /payload/userId=7");
        let (pointer, value) = text.split_once('=').ok_or_else(no_value)?;
        let pointer: Pointer = pointer.parse()?;
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
        let json = if is_json { value.trim_ascii().to_owned() } else { exact::quoted(value) };
        Ok(Self(Kind::Set { pointer: pointer.to_string(), json }))
    }

    /// Makes a fix that patches the body: an array is a JSON patch (RFC 6902), an object is a merge patch (RFC 7396, which
    /// obsoletes 7386).
    ///
    /// # Errors
    /// A text for the user if it is neither.
    pub fn patch(text: &str) -> Result<Self, String> {
        let json = json_in(text);
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(json) {
            return Err(format!("the patch is no JSON: {error}"));
        }
        match exact::read(json).ok_or("the patch is nested too deeply")? {
            Value::Object(members) if members.contains_key("op") && members.contains_key("path") => {
                Err("an operation of a JSON patch belongs into an array: [{\"op\":…,\"path\":…}]".to_owned())
            }
            merge @ Value::Object(_) => Ok(Self(Kind::Merge(merge))),
            patch @ Value::Array(_) => match serde_json::from_value(patch) {
                Ok(patch) => Ok(Self(Kind::Patch(patch))),
                Err(error) => Err(format!("not a JSON patch (RFC 6902): {error}")),
            },
            _ => Err("a patch is an array (RFC 6902) or an object (RFC 7396)".to_owned()),
        }
    }

    /// Makes a fix that changes the type of the job: in its envelope, else in the attribute `messageType`.
    pub fn type_to(job_type: &str) -> Self {
        Self(Kind::TypeTo(job_type.to_owned()))
    }

    /// Returns the change that an edit of a body makes, for use on similar letters. `None` if the bodies are equal.
    ///
    /// For JSON it is the difference of the values; any other body is replaced, but only in letters with the same body.
    pub fn edit(old: &str, new: &str) -> Option<Self> {
        let values = exact::read(json_in(old)).zip(exact::read(json_in(new)));
        let (kind, is_same) = match values {
            Some((before, after)) => (Kind::Patch(json_patch::diff(&before, &after)), before == after),
            None => (Kind::Replace { hash: hash(old), new: new.to_owned() }, old == new),
        };
        (!is_same).then_some(Self(kind))
    }
}

impl FromStr for Fix {
    type Err = String;

    /// Reads the same text as [`Fix::set`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::set(text)
    }
}

/// For people; journals keep the JSON of a fix.
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Set { pointer, json } => write!(f, "{pointer}={json}"),
            Kind::Patch(patch) => f.write_str(
                &serde_json::to_value(patch).map(|patch| exact::write(&patch)).unwrap_or_default(),
            ),
            Kind::Merge(merge) => f.write_str(&exact::write(merge)),
            Kind::Replace { .. } => f.write_str("another body"),
            Kind::TypeTo(job_type) => write!(f, "type {job_type}"),
        }
    }
}

impl Fixed {
    /// Returns true if the fixes have changed the letter.
    pub fn is_changed(&self) -> bool {
        self.body.is_some() || self.attributes.is_some()
    }
}

/// Applies the fixes to a letter, in order. `intake` contains the rules with which the worker decodes it.
///
/// # Errors
/// If one of them does not apply to the letter, or if SQS would refuse the result.
pub fn apply(letter: &Letter, fixes: &[Fix], intake: &Intake) -> Result<Fixed, FixError> {
    if let (Some(encoded), false) = (letter.encoded(), fixes.is_empty()) {
        return Err(if encoded.pointer.is_some() { FixError::InS3 } else { FixError::Compressed });
    }
    let message = letter.message();
    let mut body = message.body.clone();
    let mut attributes = message.attributes.clone();
    for Fix(kind) in fixes {
        if let Kind::TypeTo(job_type) = kind {
            (body, attributes) = retype::retype(&body, &attributes, job_type, intake)?;
        } else {
            body = changed(&body, kind)?;
        }
    }
    let result = Fixed {
        body: Some(body).filter(|body| *body != message.body),
        attributes: Some(attributes).filter(|attributes| *attributes != message.attributes),
    };
    check(letter, &result).map(|()| result)
}

/// Returns the XXH3-128 hash of a body, in hexadecimal.
fn hash(body: &str) -> String {
    format!("{:032x}", xxh3_128(body.as_bytes()))
}

fn changed(body: &str, kind: &Kind) -> Result<String, FixError> {
    if let Kind::Replace { hash: old, new } = kind {
        return if hash(body) == *old { Ok(new.clone()) } else { Err(FixError::NotJson) };
    }
    let before = exact::read(json_in(body)).ok_or(FixError::NotJson)?;
    if is_pointer(&before) {
        return Err(FixError::InS3);
    }
    let mut after = before.clone();
    match kind {
        Kind::Set { pointer, json } => return set::set(body, pointer, json),
        Kind::Patch(patch) => json_patch::patch(&mut after, patch).map_err(|error| inapplicable(&error))?,
        Kind::Merge(merge) => json_patch::merge(&mut after, merge),
        Kind::Replace { .. } | Kind::TypeTo(_) => {}
    }
    Ok(splice(body, &before, &after)?)
}

/// The class names with which the extended client libraries write their pointers. See [Managing large
/// messages](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-managing-large-messages.html).
const POINTERS: [&str; 2] =
    ["software.amazon.payloadoffloading.PayloadS3Pointer", "com.amazon.sqs.javamessaging.MessageS3Pointer"];

fn is_pointer(body: &Value) -> bool {
    body.get(0).and_then(Value::as_str).is_some_and(|name| POINTERS.contains(&name))
}

fn inapplicable(error: &PatchError) -> FixError {
    match error.kind {
        PatchErrorKind::TestFailed => FixError::TestFailed(error.path.to_string()),
        _ => FixError::NoPlace(error.path.to_string()),
    }
}

impl From<RepeatedKey> for FixError {
    fn from(RepeatedKey(key): RepeatedKey) -> Self {
        Self::RepeatedKey(key)
    }
}

fn check(letter: &Letter, fixed: &Fixed) -> Result<(), FixError> {
    let message = letter.message();
    let body = fixed.body.as_ref().unwrap_or(&message.body);
    let attributes = fixed.attributes.as_ref().unwrap_or(&message.attributes);
    let bytes = body.len() + attributes_bytes(attributes);
    if fixed.is_changed() && bytes > MAX_MESSAGE_BYTES {
        return Err(FixError::TooLarge(bytes));
    }
    let new_texts = fixed.body.iter().map(String::as_str);
    let new_texts =
        new_texts.chain(fixed.attributes.iter().flatten().filter_map(|(_, value)| value.as_text()));
    match new_texts.flat_map(str::chars).find(|c| !is_allowed(*c)) {
        Some(c) => Err(FixError::BadCharacter(c)),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "fix_tests.rs"]
mod tests;
