//! Another type of a letter's job.

use std::collections::BTreeMap;

use drumline::message::limits::MAX_ATTRIBUTES;
use drumline::message::{Attribute, AttributeValue, Envelope, Intake, Message, TYPE_ATTRIBUTE};
use serde_json::Value;

use super::error::FixError;
use super::set;
use crate::exact;
use crate::splice::json_in;

type Attributes = BTreeMap<String, Attribute>;

/// Returns the body and the attributes of the same job with another type.
///
/// The type is in a native envelope or a `CloudEvent`, in the attribute `messageType`, or in both. The worker's own decoding
/// decides which one counts: a change is right if the worker then finds the wanted type, and the payload that it found before.
pub(super) fn retype(
    body: &str,
    attributes: &Attributes,
    job_type: &str,
    intake: &Intake,
) -> Result<(String, Attributes), FixError> {
    let before = decode(body, attributes, intake);
    if before.as_ref().is_some_and(|job| job.job_type == job_type) {
        return Ok((body.to_owned(), attributes.clone()));
    }
    let is_right = |body: &str, attributes: &Attributes| {
        let after = decode(body, attributes, intake).filter(|job| job.job_type == job_type);
        match (&before, after) {
            (Some(before), Some(after)) => before.payload.get() == after.payload.get(),
            (None, after) => after.is_some() && !is_wrapped(body),
            (Some(_), None) => false,
        }
    };
    let given = attributes.get(TYPE_ATTRIBUTE);
    let retyped = with_type(attributes, job_type);
    let in_body = has_type(body).then(|| set::set(body, "/type", &exact::quoted(job_type))).transpose()?;
    if let Some(changed) = in_body {
        let attributes = if given.is_some() { retyped.clone() } else { attributes.clone() };
        if is_right(&changed, &attributes) {
            return Ok((changed, attributes));
        }
    }
    if !is_right(body, &retyped) {
        return Err(FixError::WrappedType);
    }
    if retyped.len() > MAX_ATTRIBUTES {
        return Err(FixError::TooManyAttributes);
    }
    Ok((body.to_owned(), retyped))
}

fn with_type(attributes: &Attributes, job_type: &str) -> Attributes {
    let data_type = attributes.get(TYPE_ATTRIBUTE).filter(|given| given.as_text().is_some());
    let data_type = data_type.map_or("String", Attribute::data_type);
    let attribute = Attribute::new(data_type, AttributeValue::Text(job_type.to_owned()));
    let mut attributes = attributes.clone();
    attributes.insert(TYPE_ATTRIBUTE.to_owned(), attribute);
    attributes
}

fn decode(body: &str, attributes: &Attributes, intake: &Intake) -> Option<Envelope> {
    let message = Message { body: body.to_owned(), attributes: attributes.clone(), ..Message::default() };
    intake.decode(&message).ok()
}

/// Returns true if the body is an object with a type.
fn has_type(body: &str) -> bool {
    let value = exact::read(json_in(body));
    value.is_some_and(|value| value.get("type").is_some_and(Value::is_string))
}

/// Returns true if the body is an envelope of SNS, EventBridge or S3.
fn is_wrapped(body: &str) -> bool {
    let Some(value) = exact::read(json_in(body)) else { return false };
    let has = |key: &str| value.get(key).is_some();
    has("Records") || (has("Type") && has("TopicArn")) || (has("detail-type") && has("detail"))
}
