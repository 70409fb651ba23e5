//! JSON pointers (RFC 6901) into bodies, which continue into JSON inside of a string.
//!
//! The body of an SNS notification is JSON with the job as a string in it: `/Message/payload/userId` is a place in that job.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use json_patch::jsonptr::PointerBuf;
use serde_json::value::RawValue;

/// The mark that some Windows producers put before their JSON, although JSON does not allow it.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A place in a JSON body: `/payload/userId`, `/payload/list/0`. A `/` of a key is written `~1`, a `~` is written `~0`.
///
/// ```
/// use drumline_dlq::pointer::Pointer;
///
/// let pointer: Pointer = "/payload/userId".parse()?;
/// assert_eq!(pointer.find(r#"{"payload":{"userId": 7.0}}"#).as_deref(), Some("7.0"));
/// assert_eq!(pointer.find("not JSON"), None);
/// assert!("payload".parse::<Pointer>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: PointerBuf,
    keys: Vec<String>,
}

impl Pointer {
    /// Returns the keys and places from the whole body to the value.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Returns the JSON text of the value at this place, as it is written in the body.
    pub fn find<'a>(&self, body: &'a str) -> Option<Cow<'a, str>> {
        find(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body), &self.keys)
    }
}

fn find<'a>(json: &'a str, keys: &[String]) -> Option<Cow<'a, str>> {
    let json = json.trim_ascii();
    let Some((key, keys)) = keys.split_first() else {
        return serde_json::from_str::<&RawValue>(json).ok().map(|value| Cow::Borrowed(value.get()));
    };
    match json.as_bytes().first()? {
        b'{' => find(member(json, key)?.get(), keys),
        b'[' => find(element(json, key)?.get(), keys),
        b'"' => {
            let inner: String = serde_json::from_str(json).ok()?;
            let found = match inner.trim_ascii_start().as_bytes().first()? {
                b'{' => find(member(&inner, key)?.get(), keys)?.into_owned(),
                b'[' => find(element(&inner, key)?.get(), keys)?.into_owned(),
                _ => return None,
            };
            Some(Cow::Owned(found))
        }
        _ => None,
    }
}

fn member<'a>(object: &'a str, key: &str) -> Option<&'a RawValue> {
    serde_json::from_str::<HashMap<String, &RawValue>>(object).ok()?.remove(key)
}

fn element<'a>(array: &'a str, place: &str) -> Option<&'a RawValue> {
    let place = index(place)?;
    let elements: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    elements.get(place).copied()
}

/// Reads a place in an array: digits without leading zeros.
pub(crate) fn index(key: &str) -> Option<usize> {
    let is_canonical = key == "0" || !key.starts_with('0');
    let is_digits = key.bytes().all(|byte| byte.is_ascii_digit());
    (is_canonical && is_digits).then(|| key.parse().ok()).flatten()
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_pointer = text.starts_with('/');
        let pointer = PointerBuf::parse(text).ok().filter(|_| is_pointer);
        let pointer = pointer.ok_or_else(|| {
            format!("{text:?} is no JSON pointer: write it like /payload/userId, with ~1 for a / in a key and ~0 for a ~")
        })?;
        let keys = pointer.tokens().map(|token| token.decoded().into_owned()).collect();
        Ok(Self { text: pointer, keys })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pointer_finds_the_text_of_a_value() {
        let body = r#"{"payload":{"userId":12345678901234567890123,"a/b":"x","m~n":[10,{"k":1.0}],"":true}}"#;
        let sns = r#"{"Type":"Notification","Message":" {\"payload\":{\"userId\":7,\"in\":\"[1,2]\"}}"}"#;
        let marked = format!("\u{feff} {body} ");
        let table = [
            (body, "/payload/userId", Some("12345678901234567890123")),
            (&marked, "/payload/userId", Some("12345678901234567890123")),
            (body, "/payload/a~1b", Some("\"x\"")),
            (body, "/payload/m~0n/0", Some("10")),
            (body, "/payload/m~0n/1/k", Some("1.0")),
            (body, "/payload/m~0n/2", None),
            (body, "/payload/m~0n/01", None),
            (body, "/payload/m~0n/-", None),
            (body, "/payload/", Some("true")),
            (body, "/payload/none", None),
            (body, "/payload/userId/x", None),
            (body, "/payload/a~1b/x", None),
            (sns, "/Message/payload/userId", Some("7")),
            (sns, "/Message/payload/in/1", Some("2")),
            (sns, "/Message/payload/none", None),
            (sns, "/Type/x", None),
            ("", "/x", None),
            ("{", "/x", None),
            (r#"{"x":1} trailing"#, "/x", None),
        ];
        for (body, pointer, expected) in table {
            let found = pointer.parse::<Pointer>().unwrap();
            assert_eq!(found.find(body).as_deref(), expected, "{pointer} in {body}");
            assert_eq!(found.to_string(), pointer);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_an_example() {
        for text in ["", "payload", "/a~2", "/a~", "#/payload"] {
            let error = text.parse::<Pointer>().unwrap_err();
            assert!(error.contains("/payload/userId"), "{text}: {error}");
        }
    }
}
