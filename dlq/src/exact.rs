//! JSON values that preserve every digit of a number.
//!
//! A `serde_json` value holds a number in 64 bits. Here, a number that would lose digits is stored as a string with a mark, and
//! a string that begins with the mark's first character gets another mark. So patches can move such numbers like any other
//! value.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::number::Number;

/// Begins a marked string. Texts written by people do not begin with it.
const MARK: char = '\0';

/// The characters after the mark of a number, and of a text.
const NUMBER: char = 'n';
const TEXT: char = 't';

/// The maximum nesting of values, as in `serde_json`.
const MAX_DEPTH: usize = 128;

/// Reads JSON. Returns `None` if the text is no JSON, or nested too deep.
pub(crate) fn read(json: &str) -> Option<Value> {
    read_at(json.trim_ascii(), 0)
}

fn read_at(json: &str, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json.as_bytes().first()? {
        b'{' => {
            let members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
            let members =
                members.into_iter().map(|(key, value)| Some((key, read_at(value.get(), depth + 1)?)));
            Some(Value::Object(members.collect::<Option<Map<_, _>>>()?))
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let elements = elements.into_iter().map(|element| read_at(element.get(), depth + 1));
            Some(Value::Array(elements.collect::<Option<_>>()?))
        }
        b'"' => Some(Value::String(mark_text(serde_json::from_str(json).ok()?))),
        b'-' | b'0'..=b'9' => {
            let raw: &RawValue = serde_json::from_str(json).ok()?;
            let value = serde_json::from_str::<Value>(json).ok();
            let survives = |value: &Value| Number::read(&value.to_string()) == Number::read(json);
            Some(
                value
                    .filter(survives)
                    .unwrap_or_else(|| Value::String(format!("{MARK}{NUMBER}{}", raw.get()))),
            )
        }
        _ => serde_json::from_str(json).ok(),
    }
}

fn mark_text(text: String) -> String {
    if text.starts_with(MARK) { format!("{MARK}{TEXT}{text}") } else { text }
}

/// Writes a value that [`read`] returned as JSON without whitespace.
pub(crate) fn write(value: &Value) -> String {
    let mut json = String::new();
    write_to(&mut json, value);
    json
}

fn write_to(json: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            json.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                json.push_str(&quoted(key));
                json.push(':');
                write_to(json, value);
            }
            json.push('}');
        }
        Value::Array(elements) => {
            json.push('[');
            for (index, value) in elements.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write_to(json, value);
            }
            json.push(']');
        }
        Value::String(text) => match text.strip_prefix(MARK).map(|rest| (rest.chars().next(), rest)) {
            Some((Some(NUMBER), rest)) => json.push_str(&rest[NUMBER.len_utf8()..]),
            Some((Some(TEXT), rest)) => json.push_str(&quoted(&rest[TEXT.len_utf8()..])),
            _ => json.push_str(&quoted(text)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => json.push_str(&value.to_string()),
    }
}

/// Writes a text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_read_is_written_with_every_digit() {
        let table = [
            ("12345678901234567890123", "12345678901234567890123"),
            ("1e400", "1e400"),
            ("-0.12345678901234567890123", "-0.12345678901234567890123"),
            (" [1.0, 2, 1.5e3, -7] ", "[1.0,2,1500.0,-7]"),
            (r#"{"b":null,"a":"x\u0000"}"#, r#"{"a":"x\u0000","b":null}"#),
            (r#"["\u0000n7","\u0000","\u0000t"]"#, r#"["\u0000n7","\u0000","\u0000t"]"#),
        ];
        for (json, written) in table {
            assert_eq!(write(&read(json).unwrap()), written, "{json}");
        }
        assert_ne!(read("7"), read("\"7\""));
        assert_ne!(read("12345678901234567890123"), read("12345678901234567890124"));
        assert_ne!(read("1e400"), read("\"1e400\""));
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_not_read() {
        for json in ["", "{", "[1,]", "1 2", "0x7", "-", "01", "nul", "\"a"] {
            assert_eq!(read(json), None, "{json}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_some());
        assert_eq!(read(&nested(100_000)), None);
    }
}
