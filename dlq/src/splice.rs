//! A changed body in which all unchanged parts keep their bytes.

use serde_json::Value;

use crate::exact;
use crate::layout::{Layout, offset};
use crate::pointer::BYTE_ORDER_MARK;

/// A key that an object has twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepeatedKey(pub(crate) String);

/// Returns the body with another JSON value in it; whitespace, the order of keys and the text of equal parts stay.
///
/// Both values are [exact](crate::exact), `before` is the one in `body`.
///
/// # Errors
/// If a key that an object contains twice would have to change, because it is not clear which one.
pub(crate) fn splice(body: &str, before: &Value, after: &Value) -> Result<String, RepeatedKey> {
    let json = json_in(body);
    let start = offset(body, json);
    let text = value(json, before, after)?;
    Ok(format!("{}{text}{}", &body[..start], &body[start + json.len()..]))
}

/// Returns the JSON of a body without the text that may surround it.
pub(crate) fn json_in(body: &str) -> &str {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii()
}

fn value(json: &str, before: &Value, after: &Value) -> Result<String, RepeatedKey> {
    if before == after {
        return Ok(json.to_owned());
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let Some(mut layout) = Layout::of_object(json) else {
                return Ok(exact::write(&Value::Object(after.clone())));
            };
            if let Some(key) = layout.repeated_key() {
                return Err(RepeatedKey(key.to_owned()));
            }
            layout.parts.retain(|part| after.contains_key(&*part.key));
            for part in &mut layout.parts {
                if let (Some(before), Some(after)) = (before.get(&*part.key), after.get(&*part.key)) {
                    part.value = value(&part.value, before, after)?.into();
                }
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                layout.push_member(key, exact::write(value));
            }
            Ok(layout.text())
        }
        (Value::Array(before), Value::Array(after)) => array(json, before, after),
        _ => Ok(exact::write(after)),
    }
}

/// Changes an array. Equal elements at both ends stay; those between are changed in pairs, and the rest is added or removed.
fn array(json: &str, before: &[Value], after: &[Value]) -> Result<String, RepeatedKey> {
    let Some(mut layout) = Layout::of_array(json) else {
        return Ok(exact::write(&Value::Array(after.to_vec())));
    };
    let start = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (old, new) = (&before[start..], &after[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let pairs = old.len().min(new.len());
    for (index, (before, after)) in old.iter().zip(new).enumerate() {
        let part = &mut layout.parts[start + index];
        part.value = value(&part.value, before, after)?.into();
    }
    layout.parts.drain(start + pairs..start + old.len());
    for (index, after) in new.iter().enumerate().skip(pairs) {
        layout.insert_element(start + index, exact::write(after));
    }
    Ok(layout.text())
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
