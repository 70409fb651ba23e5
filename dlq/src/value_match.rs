//! A value that a body must contain: `/payload/userId=7`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::number::Number;
use crate::pointer::{BYTE_ORDER_MARK, Pointer};

/// A value that a body has to have at a place.
///
/// The value is JSON if it can be read as such, else a text. Numbers are equal by their value, however long they are and
/// however they are written; a number is also equal to a text of the same digits. `null` also holds if there is no value.
///
/// ```
/// use drumline_dlq::filter::Match;
///
/// let user: Match = "/payload/userId=7".parse()?;
/// assert!(user.holds(r#"{"payload":{"userId":7}}"#) && user.holds(r#"{"payload":{"userId":"7"}}"#));
/// assert!(!user.holds(r#"{"payload":{"userId":77}}"#));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Match {
    pointer: Pointer,
    /// The text as the operator wrote it.
    text: String,
    value: Value,
}

impl Match {
    /// Returns true if the body has the value at the place.
    pub fn holds(&self, body: &str) -> bool {
        let Some(found) = self.pointer.find(body) else { return self.value.is_null() && is_json(body) };
        if self.value.is_number() {
            let wanted = Number::read(&self.text);
            return match found.as_bytes() {
                [b'"', ..] => serde_json::from_str::<String>(&found).is_ok_and(|text| text == self.text),
                _ => wanted.is_some() && Number::read(&found) == wanted,
            };
        }
        serde_json::from_str::<Value>(&found).is_ok_and(|found| found == self.value)
    }
}

fn is_json(body: &str) -> bool {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

impl FromStr for Match {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The first `=` ends the pointer, as in the filters by attribute.
        let (pointer, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} has no value: write it like /payload/userId=7"))?;
        let pointer = pointer.parse()?;
        let text = value.to_owned();
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { pointer, text, value })
    }
}

impl TryFrom<String> for Match {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Match> for String {
    fn from(value: Match) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pointer, self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_is_compared_as_json_and_numbers_also_as_text() {
        let body = r#"{"n":7,"s":"7","f":7.50,"big":12345678901234567890123,"t":true,"z":null,"w":"a=b",
                       "o":{"a":[1,2]},"list":["x"],"a/b":"x","e":1e3}"#;
        let sns = r#"{"Type":"Notification","Message":"{\"payload\":{\"userId\":7}}"}"#;
        let table = [
            (body, "/n=7", true),
            (body, "/s=7", true),
            (body, "/s=\"7\"", true),
            (body, "/n=\"7\"", false),
            (body, "/n=7.0", true),
            (body, "/n=8", false),
            (body, "/f=7.5", true),
            (body, "/e=1000", true),
            (body, "/big=12345678901234567890123", true),
            (body, "/big=12345678901234567890124", false),
            (body, "/t=true", true),
            (body, "/t=false", false),
            (body, "/z=null", true),
            (body, "/none=null", true),
            (body, "/none=7", false),
            (body, "/n=null", false),
            (body, "/w=a=b", true),
            (body, "/o={\"a\": [1, 2]}", true),
            (body, "/list/0=x", true),
            (body, "/list/1=x", false),
            (body, "/a~1b=x", true),
            (sns, "/Message/payload/userId=7", true),
            ("a raw body", "/payload/userId=7", false),
            ("a raw body", "/payload/userId=null", false),
        ];
        for (body, text, expected) in table {
            let value: Match = text.parse().unwrap();
            assert_eq!(value.holds(body), expected, "{text}");
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn a_match_without_a_value_or_a_pointer_is_refused() {
        for text in ["/payload/userId", "payload/userId=7", "=7", ""] {
            assert!(text.parse::<Match>().unwrap_err().contains("/payload/userId"), "{text}");
        }
    }
}
