//! Reads values leniently, as CloudFormation does: `"30"` is a number, `"true"` a boolean.

use serde_json::Value;

/// Reads an integer.
pub(crate) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// Reads a number.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// Reads a boolean.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Returns a value as text: a text unchanged, everything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Returns true if no part of a value depends on the deployment.
pub(crate) fn is_known(value: &Value) -> bool {
    match value {
        Value::String(text) => !has_token(text),
        Value::Array(items) => items.iter().all(is_known),
        Value::Object(map) => map.values().all(is_known),
        _ => true,
    }
}

/// Returns true if a value, or a part of it, could not be evaluated.
pub(crate) fn is_unclear(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${Fn::"),
        Value::Array(items) => items.iter().any(is_unclear),
        Value::Object(map) => map.values().any(is_unclear),
        _ => false,
    }
}

/// Returns true if a part of a text is known only after the deployment.
pub(crate) fn has_token(text: &str) -> bool {
    text.contains("${")
}

/// Returns true if a text consists of one token, so that nothing about it is known.
pub(crate) fn is_token(text: &str) -> bool {
    text.starts_with("${") && text.find('}') == Some(text.len() - 1)
}

/// Returns the name in a text that consists of one token.
pub(crate) fn token_name(text: &str) -> Option<&str> {
    is_token(text).then(|| &text[2..text.len() - 1])
}

/// Returns the items of a value that may be a single one or a list, as in policy documents.
pub(crate) fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Returns the texts in a value that may be a single one or a list.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    one_or_many(value).into_iter().filter_map(Value::as_str).collect()
}

/// Returns the items of a list. Empty for other values.
pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns a pattern that must match the whole text, like CloudFormation's `AllowedPattern`. `None` if it is not supported
/// here, such as one with look-around.
pub fn whole_match(pattern: &str) -> Option<regex_lite::Regex> {
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).ok()
}
