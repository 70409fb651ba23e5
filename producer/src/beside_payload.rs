//! The secrets in what is sent beside a payload: in the envelope, in message attributes, and in parameters of the message.

use std::collections::BTreeMap;

use drumline::message::{Attribute, Envelope};
use drumline_contract::guards::{Guards, field};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::attributes::Attributes;
use crate::unsendable::Unsendable;

/// The fields of envelopes whose value is a payload.
const PAYLOADS: [&str; 2] = ["payload", "data"];

/// The fields in which envelopes of AWS have a payload, or an envelope with one.
const WRAPPERS: [&str; 4] = ["Message", "detail", "Records", "data_base64"];

/// Accepts a body whose envelope has no secret beside the payload.
pub(crate) fn check_envelope(guards: &Guards, body: &str, envelope: &Envelope) -> Result<(), Unsendable> {
    // Of a body that is the payload itself, nothing is beside it.
    let payload = envelope.payload.get();
    let is_payload = body.trim() == payload.trim();
    let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(body) else { return Ok(()) };
    let is_one = |name: &&str| fields.get(*name).is_some_and(|value| value.get() == payload);
    let own = PAYLOADS.into_iter().find(is_one);
    match own {
        _ if is_payload => return Ok(()),
        Some(name) => {
            fields.remove(name);
        }
        None => fields.retain(|name, _| !WRAPPERS.contains(&&**name)),
    }
    let value = |value: &RawValue| serde_json::from_str::<Value>(value.get());
    let fields = fields.into_iter().map(|(name, field)| value(field).map(|value| (name, value)));
    let beside = fields.collect::<Result<Map<String, Value>, _>>();
    let beside = beside.map_err(|error| Unsendable::new("message", error.to_string()))?;
    check(guards, beside, "")
}

/// Accepts attributes whose texts are no secrets.
pub(crate) fn check_attributes(guards: &Guards, attributes: &Attributes) -> Result<(), Unsendable> {
    let text =
        |(name, attribute): (&String, &Attribute)| Some((name.clone(), Value::from(attribute.as_text()?)));
    check(guards, attributes.iter().filter_map(text).collect(), "attribute ")
}

/// Accepts parameters of a message, by name, that are no secrets.
pub(crate) fn check_parameters<'a>(
    guards: &Guards,
    parameters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<(), Unsendable> {
    let given = parameters.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
    check(guards, given.collect(), "")
}

fn check(guards: &Guards, beside: Map<String, Value>, what: &str) -> Result<(), Unsendable> {
    let findings = guards.inspect_beside(&Value::Object(beside));
    let Some(finding) = findings.iter().find(|finding| finding.is_error()) else { return Ok(()) };
    let reason = format!(
        "it has {}, and queues keep and show what they are sent: send a reference to it",
        finding.what
    );
    Err(Unsendable::new(format!("{what}{}", field("", &finding.pointer)), reason))
}
