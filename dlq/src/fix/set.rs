//! A value that is set in the text of a body.

use serde_json::value::RawValue;

use super::error::FixError;
use crate::exact::quoted;
use crate::layout::{Layout, offset};
use crate::pointer::{Pointer, index};
use crate::splice::json_in;

/// Returns the body with the JSON text at the place that the pointer names.
pub(super) fn set(body: &str, pointer: &str, json: &str) -> Result<String, FixError> {
    let no_place = || FixError::NoPlace(pointer.to_owned());
    let keys = pointer.parse::<Pointer>().map_err(|_| no_place())?;
    let old = json_in(body);
    let start = offset(body, old);
    let new = value(old, keys.keys(), json)?.ok_or_else(no_place)?;
    Ok(format!("{}{new}{}", &body[..start], &body[start + old.len()..]))
}

/// Returns the text of a value with another one in it, or `None` if it has no such place.
fn value(old: &str, keys: &[String], new: &str) -> Result<Option<String>, FixError> {
    let Some((key, rest)) = keys.split_first() else {
        return Ok(Some(if is_same(old, new) { old } else { new }.to_owned()));
    };
    match old.as_bytes().first() {
        Some(b'{') => {
            let Some(mut layout) = Layout::of_object(old) else { return Ok(None) };
            if let Some(key) = layout.repeated_key() {
                return Err(FixError::RepeatedKey(key.to_owned()));
            }
            match layout.parts.iter_mut().find(|part| part.key == *key) {
                Some(part) => match value(&part.value, rest, new)? {
                    Some(text) => part.value = text.into(),
                    None => return Ok(None),
                },
                None => layout.push_member(key, nested(rest, new)),
            }
            Ok(Some(layout.text()))
        }
        Some(b'[') => {
            let Some(mut layout) = Layout::of_array(old) else { return Ok(None) };
            let Some(part) = index(key).and_then(|place| layout.parts.get_mut(place)) else {
                return Ok(None);
            };
            let Some(text) = value(&part.value, rest, new)? else { return Ok(None) };
            part.value = text.into();
            Ok(Some(layout.text()))
        }
        Some(b'"') => in_text(old, keys, new),
        // In most producers' languages, null means absent.
        Some(b'n') => Ok(Some(nested(keys, new))),
        _ => Ok(None),
    }
}

/// Does the same in a string that is JSON.
fn in_text(old: &str, keys: &[String], new: &str) -> Result<Option<String>, FixError> {
    let Ok(text) = serde_json::from_str::<String>(old) else { return Ok(None) };
    let inner = json_in(&text);
    let is_json = inner.starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(inner).is_ok();
    if !is_json {
        return Ok(None);
    }
    let start = offset(&text, inner);
    let changed = value(inner, keys, new)?;
    Ok(changed.map(|changed| {
        if changed == inner {
            return old.to_owned();
        }
        quoted(&format!("{}{changed}{}", &text[..start], &text[start + inner.len()..]))
    }))
}

/// Returns a value inside of new objects.
fn nested(keys: &[String], new: &str) -> String {
    keys.iter().rev().fold(new.to_owned(), |inner, key| format!("{{{}:{inner}}}", quoted(key)))
}

/// Returns true if the texts are the same value: the same text, or the same string.
fn is_same(old: &str, new: &str) -> bool {
    let string = |json: &str| serde_json::from_str::<String>(json).ok();
    old == new || string(old).is_some_and(|old| string(new) == Some(old))
}
