//! CloudEvents 1.0 in their JSON format. See [the specification](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::envelope::Envelope;
use crate::message::fields::{field, filled, id, null, raw_value};
use crate::message::invalid_payload::InvalidPayload;
use crate::message::sqs_message::{Attribute, AttributeValue};

/// The attributes that the specification defines; all others are extensions.
const DEFINED: [&str; 10] = [
    "specversion",
    "type",
    "source",
    "id",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// Reads a body that is a JSON object with a `specversion`.
pub(crate) fn read(body: &str) -> Result<Envelope, InvalidPayload> {
    let event: BTreeMap<String, &RawValue> =
        serde_json::from_str(body).map_err(|e| InvalidPayload(format!("not a CloudEvent: {e}")))?;
    let get = |name: &str| event.get(name).copied();
    let specversion: Option<String> = filled("specversion", get("specversion"))?;
    let specversion = specversion.unwrap_or_default();
    if !specversion.starts_with("1.") {
        return Err(InvalidPayload(format!("CloudEvents {specversion} is not supported, only 1.0")));
    }
    let job_type: Option<String> = filled("type", get("type"))?;
    let Some(job_type) = job_type else {
        return Err(InvalidPayload("not a CloudEvent: it has no `type`".to_owned()));
    };
    // Binary data stays base64 text; the job type determines its content.
    let payload = match (get("data"), get("data_base64")) {
        (Some(data), _) => data.to_owned(),
        (None, Some(base64)) => raw_value(&Value::String(field("data_base64", base64)?)),
        (None, None) => null(),
    };
    // Extension attributes are lower case by the specification.
    let version = get("schemaversion").filter(|version| version.get() != "null");
    let id = id("id", get("id"))?;
    Ok(Envelope {
        version: version.map(|version| field("schemaversion", version)).transpose()?.unwrap_or(1),
        is_named: id.is_some(),
        job_id: id,
        source: filled("source", get("source"))?,
        idempotency_key: self::id("idempotencykey", get("idempotencykey"))?,
        correlation_id: self::id("correlationid", get("correlationid"))?,
        created_at: filled("time", get("time"))?,
        attributes: extensions(&event),
        ..Envelope::bare(job_type, payload)
    })
}

/// Extensions, for example `traceparent`, as attributes. Only texts, numbers and booleans are.
fn extensions(event: &BTreeMap<String, &RawValue>) -> BTreeMap<String, Attribute> {
    let extensions = event.iter().filter(|(name, _)| !DEFINED.contains(&name.as_str()));
    let attributes = extensions.filter_map(|(name, value)| {
        let (data_type, text) = match serde_json::from_str(value.get()).ok()? {
            Value::String(text) => ("String", text),
            Value::Number(number) => ("Number", number.to_string()),
            Value::Bool(truth) => ("String", truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), Attribute::new(data_type, AttributeValue::Text(text))))
    });
    attributes.collect()
}
