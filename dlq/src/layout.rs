//! The text of a JSON object or array in its parts, so that some can be changed while the others keep their bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::exact::quoted;

/// The text of an object or an array: a bracket, parts, and the end.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) parts: Vec<Part<'a>>,
    /// The text after the last part: whitespace and a bracket.
    tail: &'a str,
}

/// A member of an object, or an element of an array.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    /// The key of a member; empty for an element.
    pub(crate) key: Cow<'a, str>,
    /// The whitespace before the comma before it.
    before: &'a str,
    /// The text between the comma and the value: whitespace and the key.
    lead: Cow<'a, str>,
    /// The text of the value.
    pub(crate) value: Cow<'a, str>,
}

impl<'a> Layout<'a> {
    /// Reads the text of an object.
    pub(crate) fn of_object(json: &'a str) -> Option<Self> {
        let Members(members) = serde_json::from_str(json).ok()?;
        Some(Self::new(json, members.into_iter().map(|(key, value)| (Cow::Owned(key), value))))
    }

    /// Reads the text of an array.
    pub(crate) fn of_array(json: &'a str) -> Option<Self> {
        let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        Some(Self::new(json, elements.into_iter().map(|value| (Cow::Borrowed(""), value))))
    }

    fn new(json: &'a str, values: impl Iterator<Item = (Cow<'a, str>, &'a RawValue)>) -> Self {
        let mut end = 1;
        let mut parts = Vec::new();
        for (key, value) in values {
            let value = value.get();
            let at = offset(json, value);
            let gap = &json[end..at];
            // Before the first comma of a gap there is only whitespace.
            let (before, lead) =
                if parts.is_empty() { ("", gap) } else { gap.split_once(',').unwrap_or(("", gap)) };
            parts.push(Part { key, before, lead: Cow::Borrowed(lead), value: Cow::Borrowed(value) });
            end = at + value.len();
        }
        Self { parts, tail: &json[end..] }
    }

    /// Returns the key of two members, if there is one.
    pub(crate) fn repeated_key(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.parts.iter().map(|part| &*part.key).collect();
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// Adds a member at the end, with the whitespace of the last one.
    pub(crate) fn push_member(&mut self, key: &str, value: String) {
        let last = self.parts.last();
        let lead = last.and_then(|last| Some((last.lead.find('"')?, last.lead.rfind('"')?, &last.lead)));
        let (blanks, colon) = lead.map_or(("", ":"), |(start, end, lead)| (&lead[..start], &lead[end + 1..]));
        let lead = Cow::Owned(format!("{blanks}{}{colon}", quoted(key)));
        let before = last.map_or("", |last| last.before);
        let key = Cow::Owned(key.to_owned());
        self.parts.push(Part { key, before, lead, value: Cow::Owned(value) });
    }

    /// Adds an element at a place, with the whitespace of the one before it.
    pub(crate) fn insert_element(&mut self, place: usize, value: String) {
        let model = place.checked_sub(1).and_then(|place| self.parts.get(place)).or(self.parts.first());
        let (before, lead) = model.map_or(("", Cow::Borrowed("")), |part| (part.before, part.lead.clone()));
        self.parts.insert(place, Part { key: Cow::Borrowed(""), before, lead, value: Cow::Owned(value) });
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> String {
        let open = if self.tail.ends_with('}') { '{' } else { '[' };
        let mut text = String::from(open);
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                text.push_str(part.before);
                text.push(',');
            }
            text.push_str(&part.lead);
            text.push_str(&part.value);
        }
        text.push_str(self.tail);
        text
    }
}

/// Returns the place of a slice in its text.
pub(crate) fn offset(text: &str, slice: &str) -> usize {
    slice.as_ptr() as usize - text.as_ptr() as usize
}

/// The members of an object in order, including repeated ones.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
