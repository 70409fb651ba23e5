//! Finds secrets in data beside a payload: in the envelope, in message attributes, and in parameters of the message.

use std::collections::BTreeMap;

use drumline::message::{Attribute, Envelope};
use drumline_contract::guards::{Finding, Guards, field};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::attributes::Attributes;
use crate::unsendable::Unsendable;

/// The fields of envelopes whose value is a payload.
const PAYLOADS: [&str; 2] = ["payload", "data"];

/// The fields in which AWS's envelopes contain a payload, or an envelope with one.
const WRAPPERS: [&str; 4] = ["Message", "detail", "Records", "data_base64"];

/// Accepts a body whose envelope contains no secret beside the payload.
pub(crate) fn check_envelope(guards: &Guards, body: &str, envelope: &Envelope) -> Result<(), Unsendable> {
    // If the body is the payload itself, there is nothing beside it.
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
    let is_clean = |(name, value): (&String, &&RawValue)| {
        plain_text(value).is_some_and(|text| !guards.finds_beside(name, text))
    };
    if fields.iter().all(is_clean) {
        return Ok(());
    }
    let value = |value: &RawValue| serde_json::from_str::<Value>(value.get());
    let fields = fields.into_iter().map(|(name, field)| value(field).map(|value| (name, value)));
    let beside = fields.collect::<Result<Map<String, Value>, _>>();
    let beside = beside.map_err(|error| Unsendable::new("message", error.to_string()))?;
    match first_secret(guards, beside) {
        Some(finding) => Err(unsendable(field("", &finding.pointer), &finding)),
        None => Ok(()),
    }
}

/// Accepts attributes whose texts are no secrets.
pub(crate) fn check_attributes(guards: &Guards, attributes: &Attributes) -> Result<(), Unsendable> {
    let text = |(name, attribute): (&String, &Attribute)| {
        attribute.as_text().map_or(Ok(()), |text| check_text(guards, "attribute ", name, text))
    };
    attributes.iter().try_for_each(text)
}

/// Accepts a message's parameters, by name, that contain no secrets.
pub(crate) fn check_parameters<'a>(
    guards: &Guards,
    parameters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<(), Unsendable> {
    let mut given = parameters.into_iter().filter_map(|(name, text)| Some((name, text?)));
    given.try_for_each(|(name, text)| check_text(guards, "", name, text))
}

/// Returns the content of a JSON string without escapes, and an empty text for a number or a word. Returns `None` for an
/// object, a list or another string.
fn plain_text(value: &RawValue) -> Option<&str> {
    let json = value.get();
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => (!text.contains('\\')).then_some(text),
        None => (!json.starts_with(['{', '['])).then_some(""),
    }
}

fn check_text(guards: &Guards, what: &str, name: &str, text: &str) -> Result<(), Unsendable> {
    if !guards.finds_beside(name, text) {
        return Ok(());
    }
    match first_secret(guards, Map::from_iter([(name.to_owned(), text.into())])) {
        // A name that is itself a secret is hidden.
        Some(finding) if finding.pointer == "/*" => Err(unsendable(format!("{what}*"), &finding)),
        Some(finding) => Err(unsendable(format!("{what}{name}"), &finding)),
        None => Ok(()),
    }
}

fn first_secret(guards: &Guards, beside: Map<String, Value>) -> Option<Finding> {
    guards.inspect_beside(&Value::Object(beside)).into_iter().find(Finding::is_error)
}

fn unsendable(field: String, finding: &Finding) -> Unsendable {
    let what = finding.what;
    let reason =
        format!("it has {what}, and queues keep and show what they are sent: send a reference to it");
    Unsendable::new(field, reason)
}
