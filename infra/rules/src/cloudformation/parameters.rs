//! The parameters of a template.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sections::{section, text_of};
use super::yaml::{Document, escape};
use crate::model::Parameter;
use crate::value::{int, number};

pub(super) fn read(document: &Document, values: &BTreeMap<String, Value>) -> BTreeMap<String, Parameter> {
    section(&document.root, "Parameters")
        .iter()
        .map(|(name, raw)| {
            let line = document.lines.get(&format!("/Parameters/{}", escape(name))).copied();
            (name.clone(), parameter(raw, values.get(name), line))
        })
        .collect()
}

fn parameter(raw: &Value, chosen: Option<&Value>, line: Option<usize>) -> Parameter {
    let kind = text_of(raw, "Type");
    // The default of a parameter for a Systems Manager parameter is that parameter's name, not the value.
    let default = raw.get("Default").filter(|_| !kind.starts_with("AWS::SSM::Parameter::Value"));
    Parameter {
        default: default.map(|text| value(&kind, text)),
        value: chosen.cloned().or_else(|| default.map(|text| value(&kind, text))),
        min: raw.get("MinValue").and_then(number),
        max: raw.get("MaxValue").and_then(number),
        allowed: raw["AllowedValues"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|text| value(&kind, text))
            .collect(),
        pattern: raw["AllowedPattern"].as_str().map(str::to_owned),
        max_length: raw.get("MaxLength").and_then(int).and_then(|length| u64::try_from(length).ok()),
        description: text_of(raw, "Description"),
        line,
        kind,
    }
}

/// Converts a parameter's value to its type.
fn value(kind: &str, text: &Value) -> Value {
    match (kind, text) {
        ("Number", Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        (_, Value::String(text)) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(Value::from).collect()
        }
        ("String", Value::Number(number)) => Value::String(number.to_string()),
        ("String", Value::Bool(bool)) => Value::String(bool.to_string()),
        _ => text.clone(),
    }
}
