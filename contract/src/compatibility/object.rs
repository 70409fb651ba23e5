//! Objects: structs, maps, and the variants of enums.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::mismatch::Misfit;
use super::term::Term;
use super::text::{length, misfits_of_length};

/// The keywords by which a schema describes objects.
const KEYWORDS: [&str; 7] = [
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
];

/// The side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Accepts fields that its schema does not name, unless the schema refuses them.
    Reader,
    /// Writes no field that its schema does not name, unless the schema describes further fields, or names none.
    Writer,
}

/// The objects that fit a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectShape<'a> {
    pub(super) fields: BTreeMap<&'a str, Term<'a>>,
    pub(super) required: BTreeSet<&'a str>,
    /// The schemas of fields whose names match a pattern.
    pub(super) patterns: BTreeMap<&'a str, Term<'a>>,
    /// The schema of fields that are not named, if there is one.
    rest: Option<Term<'a>>,
    /// The names of fields.
    pub(super) names: Term<'a>,
    min: u64,
    max: Option<u64>,
    /// True if the schema describes objects in particular, not any value.
    is_described: bool,
    /// True if the schema lists the fields with `properties` or `patternProperties`.
    names_fields: bool,
}

impl<'a> ObjectShape<'a> {
    /// Reads a schema that declares the type object, or no type.
    pub(super) fn read(node: &'a Map<String, Value>, has_type: bool) -> Self {
        let entries = |key: &str| node.get(key).and_then(Value::as_object).into_iter().flatten();
        let terms = |key: &str| entries(key).map(|(name, schema)| (&**name, Term::one(schema))).collect();
        let required = node.get("required").and_then(Value::as_array).into_iter().flatten();
        Self {
            fields: terms("properties"),
            required: required.filter_map(Value::as_str).collect(),
            patterns: terms("patternProperties"),
            rest: node.get("additionalProperties").map(Term::one),
            names: node.get("propertyNames").map(Term::one).unwrap_or_default(),
            min: length(node, "minProperties").unwrap_or(0),
            max: length(node, "maxProperties"),
            is_described: has_type || KEYWORDS.iter().any(|key| node.contains_key(*key)),
            names_fields: node.contains_key("properties") || node.contains_key("patternProperties"),
        }
    }

    /// Returns the objects that fit both. Keywords that are not compared are added to `ignored`.
    pub(super) fn meet(&self, other: &Self, ignored: &mut BTreeSet<String>) -> Option<Self> {
        if (!self.patterns.is_empty() && other.is_described)
            || (!other.patterns.is_empty() && self.is_described)
        {
            ignored.insert("patternProperties".to_owned());
        }
        let mut fields = BTreeMap::new();
        for name in self.fields.keys().chain(other.fields.keys()) {
            let of =
                |shape: &Self| shape.fields.get(name).or(shape.rest.as_ref()).cloned().unwrap_or_default();
            fields.insert(*name, of(self).and(&of(other)));
        }
        let mut patterns = self.patterns.clone();
        for (pattern, term) in &other.patterns {
            let known = patterns.remove(pattern).unwrap_or_default();
            patterns.insert(pattern, known.and(term));
        }
        let rest = match (&self.rest, &other.rest) {
            (Some(a), Some(b)) => Some(a.clone().and(b)),
            (a, b) => a.as_ref().or(b.as_ref()).cloned(),
        };
        let met = Self {
            fields,
            required: self.required.union(&other.required).copied().collect(),
            patterns,
            rest,
            names: self.names.clone().and(&other.names),
            min: self.min.max(other.min),
            max: self.max.into_iter().chain(other.max).min(),
            is_described: self.is_described || other.is_described,
            names_fields: self.names_fields || other.names_fields,
        };
        met.max.is_none_or(|max| met.min <= max).then_some(met)
    }

    /// Returns the final shape, or `None` if no object fits.
    pub(super) fn completed(mut self) -> Option<Self> {
        for name in &self.required {
            // A field may be required without having a schema.
            if !self.fields.contains_key(name) && self.patterns.is_empty() {
                self.fields.insert(name, self.rest.clone().unwrap_or_default());
            }
            if self.fields.get(name).is_some_and(Term::is_never) {
                return None;
            }
        }
        Some(self)
    }

    /// Restricts the fields that no other keyword has evaluated: `unevaluatedProperties`.
    pub(super) fn restrict_rest(&mut self, schema: &'a Value) {
        self.rest.get_or_insert_with(|| Term::one(schema));
        self.is_described = true;
    }

    /// Returns true if the schema describes objects but does not list their fields, such as `{"type":"object"}`. `schemars`
    /// generates such a schema for a struct without fields, and people write it for any object.
    pub(super) fn is_bare(&self) -> bool {
        self.is_described && !self.names_fields && self.rest.is_none()
    }

    /// Returns the shape of objects that have only the known fields.
    pub(super) fn closed(&self) -> Self {
        Self { names_fields: true, ..self.clone() }
    }

    /// Returns the shape of objects that may have any fields besides the known ones.
    pub(super) fn opened(&self) -> Self {
        Self { rest: Some(Term::default()), ..self.clone() }
    }

    /// Returns the schemas of the fields that are not named, or `None` if there are no such fields.
    pub(super) fn rest(&self, side: Side) -> Option<Term<'a>> {
        match &self.rest {
            Some(rest) => (!rest.is_never()).then(|| rest.clone()),
            None => (side == Side::Reader || !self.is_described || self.is_bare()).then(Term::default),
        }
    }

    /// Returns the schemas of a field, or `None` if there is no such field.
    pub(super) fn field(&self, name: &str, side: Side) -> Option<Term<'a>> {
        match self.fields.get(name) {
            Some(term) => (!term.is_never()).then(|| term.clone()),
            // A pattern may match the name.
            None if !self.patterns.is_empty() => Some(Term::default()),
            None => self.rest(side),
        }
    }

    /// Returns the mismatches between the writer's objects and this reader, except those of the fields.
    pub(super) fn misfits(&self, writer: &Self) -> Vec<Misfit> {
        let is_open = writer.rest(Side::Writer).is_some() || !writer.patterns.is_empty();
        let most = (!is_open).then_some(writer.fields.len() as u64);
        let written =
            (writer.min.max(writer.required.len() as u64), writer.max.into_iter().chain(most).min());
        misfits_of_length((self.min, self.max), written, |number| format!("objects of {number} fields"))
    }
}
