//! The fields of envelopes, read one by one.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::invalid_payload::InvalidPayload;
use crate::message::objects::from_json;

pub(crate) fn field<'a, T: Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, InvalidPayload> {
    from_json(value.get()).map_err(|e| InvalidPayload(format!("the envelope's `{name}`: {e}")))
}

/// Like [`field`], for a text: hardly any contains an escape, and the others need no decoding.
pub(crate) fn text<T: for<'t> From<&'t str>>(name: &str, value: &RawValue) -> Result<T, InvalidPayload> {
    let quoted = value.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted.filter(|text| !text.contains('\\')) {
        Some(text) => Ok(text.into()),
        None => field::<String>(name, value).map(|text| text.as_str().into()),
    }
}

/// A missing, `null` or empty text is absent: to most producers' languages these are the same.
pub(crate) fn filled<T: for<'t> From<&'t str>>(
    name: &str,
    value: Option<&RawValue>,
) -> Result<Option<T>, InvalidPayload> {
    match value {
        None => Ok(None),
        Some(value) if matches!(value.get(), "null" | "\"\"") => Ok(None),
        Some(value) => text(name, value).map(Some),
    }
}

/// Like [`filled`], for an id, which may be written as a whole number: `7` is the id "7".
pub(crate) fn id<T: for<'t> From<&'t str>>(
    name: &str,
    value: Option<&RawValue>,
) -> Result<Option<T>, InvalidPayload> {
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match value {
        Some(value) if is_whole(value.get()) => Ok(Some(value.get().into())),
        value => filled(name, value),
    }
}

pub(crate) fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

pub(crate) fn raw_value(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value is always JSON text")
}
