//! The changes of a letter as lines for people.

use std::fmt;

use drumline::message::{Attribute, AttributeValue};
use serde_json::Value;

use crate::exact;
use crate::fix::Fixed;
use crate::letter::Letter;
use crate::splice::json_in;

/// A value of a letter that a fix changes.
///
/// ```
/// use drumline_dlq::diff::Change;
///
/// let change = Change { place: "/payload/userId".into(), old: Some("17".into()), new: Some("7".into()) };
/// assert_eq!(change.to_string(), "- /payload/userId: 17\n+ /payload/userId: 7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The place in the body as a JSON pointer, or the name of an attribute.
    pub place: String,
    /// The JSON before, if there was a value.
    pub old: Option<String>,
    /// The JSON after, if there is a value.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, old, new } = self;
        match (old, new) {
            (Some(old), Some(new)) => write!(f, "- {place}: {old}\n+ {place}: {new}"),
            (Some(old), None) => write!(f, "- {place}: {old}"),
            (None, Some(new)) => write!(f, "+ {place}: {new}"),
            (None, None) => Ok(()),
        }
    }
}

/// Returns what the fixes changed in a letter.
pub fn changes(letter: &Letter, fixed: &Fixed) -> Vec<Change> {
    let message = letter.message();
    let mut changes = Vec::new();
    if let Some(new) = &fixed.body {
        match exact::read(json_in(&message.body)).zip(exact::read(json_in(new))) {
            Some((old, new)) => values(&mut changes, "", &old, &new),
            None => changes.push(Change {
                place: "body".to_owned(),
                old: Some(exact::quoted(&message.body)),
                new: Some(exact::quoted(new)),
            }),
        }
    }
    if let Some(new) = &fixed.attributes {
        let old = &message.attributes;
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (old, new) = (old.get(name), new.get(name));
            if old != new {
                let place = format!("attribute {name}");
                changes.push(Change { place, old: old.map(shown), new: new.map(shown) });
            }
        }
    }
    changes
}

fn shown(attribute: &Attribute) -> String {
    match attribute.value() {
        AttributeValue::Text(text) => exact::quoted(text),
        AttributeValue::Binary(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn values(changes: &mut Vec<Change>, place: &str, old: &Value, new: &Value) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, before) in old {
                compare(changes, &below(place, key), Some(before), new.get(key));
            }
            for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                compare(changes, &below(place, key), None, Some(after));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                compare(changes, &below(place, &index.to_string()), old.get(index), new.get(index));
            }
        }
        (Value::String(before), Value::String(after)) => {
            // A job that SNS has put into its notification as a string.
            let is_json = |text: &str| json_in(text).starts_with(['{', '[']);
            let inner = (is_json(before) && is_json(after))
                .then(|| exact::read(json_in(before)).zip(exact::read(json_in(after))))
                .flatten();
            match inner {
                Some((before, after)) => values(changes, place, &before, &after),
                None => change(changes, place, Some(old), Some(new)),
            }
        }
        _ => change(changes, place, Some(old), Some(new)),
    }
}

fn compare(changes: &mut Vec<Change>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    match (old, new) {
        (Some(old), Some(new)) => values(changes, place, old, new),
        _ => change(changes, place, old, new),
    }
}

fn change(changes: &mut Vec<Change>, place: &str, old: Option<&Value>, new: Option<&Value>) {
    changes.push(Change { place: place.to_owned(), old: old.map(exact::write), new: new.map(exact::write) });
}

fn below(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}
