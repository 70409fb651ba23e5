//! Compares two JSON Schemas: does a reader accept everything that a writer produces?
//!
//! A schema is split into the [alternatives](Alternative) by which a value can fit it, each of one JSON type. Every alternative
//! of the writer must fit one of the reader's. Parts that the comparison does not understand are reported as a doubt, never
//! ignored.

use std::collections::HashSet;

use serde_json::Value;

use super::array::ArrayShape;
use super::document::{Document, TooLarge};
use super::mismatch::{Misfit, Mismatch, MismatchKind};
use super::object::{ObjectShape, Side};
use super::shape::{Alternative, Shape};
use super::term::Term;
use super::text::TextShape;
use super::variant::{is_same_variant, no_candidate, nouns};

/// The largest number of places to compare. A payload's schema has hundreds.
const MAX_STEPS: usize = 100_000;

/// The largest depth to compare: deeper than `serde_json` reads.
const MAX_DEPTH: usize = 200;

/// The doubt about the fields of a bare object.
const ANY_FIELDS: &str = "the writer's schema names no fields of the object, so it may have any; `\"properties\": {}` says that it has none";

/// Returns the places where `reader` may refuse a value of `writer`; none if it accepts all values.
///
/// A writer produces the values that its schema describes. Like a serializer, it writes each object with the fields that the
/// schema names and no others. It writes further fields only if the schema mentions them with `additionalProperties`,
/// `patternProperties` or `unevaluatedProperties`, or does not describe the value. If the schema names no fields, like
/// `{"type":"object"}`, the writer may write any fields or none, and resulting mismatches are doubts. A reader accepts unknown
/// fields unless its schema refuses them. Integer formats such as `uint32` bound the values of both.
///
/// ```
/// use drumline_contract::compatibility::{MismatchKind, mismatches};
/// use serde_json::json;
///
/// let old = json!({ "type": "object", "properties": { "size": { "type": "integer", "format": "uint16" } } });
/// let new = json!({ "type": "object", "properties": { "size": { "type": "integer", "format": "uint8" } } });
/// assert_eq!(mismatches(&old, &new), []);
/// let found = mismatches(&new, &old);
/// assert_eq!(found[0].pointer, "/size");
/// assert!(matches!(found[0].kind, MismatchKind::Narrower { .. }));
/// ```
pub fn mismatches(reader: &Value, writer: &Value) -> Vec<Mismatch> {
    if reader == writer {
        return Vec::new();
    }
    match comparison(reader, writer) {
        Ok(mut comparison) => comparison.terms(&Term::one(reader), &Term::one(writer)),
        Err(doubt) => {
            vec![Mismatch { pointer: String::new(), kind: MismatchKind::NotCompared, doubt: Some(doubt) }]
        }
    }
}

/// Returns the comparison of two schemas, or the reason why they cannot be compared.
fn comparison<'a>(reader: &'a Value, writer: &'a Value) -> Result<Comparison<'a>, String> {
    let document = |schema, side, whose: &str| {
        // Without this check, keywords with invalid values would be ignored.
        jsonschema::options()
            .offline()
            .build(schema)
            .map_err(|error| format!("the {whose}'s schema is not valid: {error}"))?;
        Document::new(schema, side).map_err(|dialect| {
            format!("the {whose}'s schema is in a dialect that is not compared: {dialect}")
        })
    };
    let reader = document(reader, Side::Reader, "reader")?;
    Ok(Comparison::new(reader, document(writer, Side::Writer, "writer")?))
}

/// A comparison of two schemas at one of their places.
pub(super) struct Comparison<'a> {
    pub(super) reader: Document<'a>,
    pub(super) writer: Document<'a>,
    has_same_definitions: bool,
    /// The segments of the pointer.
    path: Vec<String>,
    /// The pairs that are being compared. A recursive type reaches them again.
    open: HashSet<(Vec<usize>, Vec<usize>)>,
    steps: usize,
}

impl<'a> Comparison<'a> {
    fn new(reader: Document<'a>, writer: Document<'a>) -> Self {
        Self {
            reader,
            writer,
            has_same_definitions: reader.has_definitions_of(&writer),
            path: Vec::new(),
            open: HashSet::new(),
            steps: 0,
        }
    }

    fn at(&self, misfit: Misfit) -> Mismatch {
        let segment = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Mismatch { pointer: self.path.iter().map(segment).collect(), kind: misfit.kind, doubt: misfit.doubt }
    }

    fn all_at(&self, misfits: Vec<Misfit>) -> Vec<Mismatch> {
        misfits.into_iter().map(|misfit| self.at(misfit)).collect()
    }

    fn below(&mut self, segment: &str, reader: &Term<'a>, writer: &Term<'a>) -> Vec<Mismatch> {
        self.path.push(segment.to_owned());
        let mismatches = self.terms(reader, writer);
        self.path.pop();
        mismatches
    }

    fn terms(&mut self, reader: &Term<'a>, writer: &Term<'a>) -> Vec<Mismatch> {
        if reader.is_any() || self.are_same(reader, writer) {
            return Vec::new();
        }
        let pair = (self.reader.resolved(reader).key(), self.writer.resolved(writer).key());
        // A recursive type fits inside itself if it fits outside: any mismatch is found there.
        if !self.open.insert(pair.clone()) {
            return Vec::new();
        }
        let mismatches = self.alternatives(reader, writer).unwrap_or_else(|TooLarge| {
            vec![self.at(Misfit::doubtful("the schemas are too large or nested too deep"))]
        });
        self.open.remove(&pair);
        mismatches
    }

    /// Returns true if both have the same text with the same meaning.
    fn are_same(&self, reader: &Term<'a>, writer: &Term<'a>) -> bool {
        reader == writer && reader.schemas().iter().all(|schema| self.means_the_same(schema))
    }

    fn means_the_same(&self, schema: &Value) -> bool {
        match schema {
            Value::Object(node) => node.iter().all(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    let is_definition =
                        reference.starts_with("#/$defs/") || reference.starts_with("#/definitions/");
                    is_definition && self.has_same_definitions
                }
                ("$ref" | "$dynamicRef" | "$recursiveRef", _) => false,
                _ => self.means_the_same(value),
            }),
            Value::Array(items) => items.iter().all(|item| self.means_the_same(item)),
            _ => true,
        }
    }

    /// Counts a step. The limit of steps ends comparisons that would take too long.
    pub(super) fn step(&mut self) -> Result<(), TooLarge> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.path.len() > MAX_DEPTH { Err(TooLarge) } else { Ok(()) }
    }

    fn alternatives(&mut self, reader: &Term<'a>, writer: &Term<'a>) -> Result<Vec<Mismatch>, TooLarge> {
        self.step()?;
        let (writers, readers) = (self.writer.alternatives(writer)?, self.reader.alternatives(reader)?);
        let mut all: Vec<Mismatch> = Vec::new();
        for writer in &writers {
            for mismatch in self.alternative(&readers, writer)? {
                if !all.contains(&mismatch) {
                    all.push(mismatch);
                }
            }
        }
        if writer.is_any() && all.iter().any(|mismatch| mismatch.doubt.is_none()) {
            return Ok(vec![self.at(Misfit::narrower("any value", &nouns(&readers)))]);
        }
        Ok(all)
    }

    /// Returns the reason why no alternative of the reader accepts this one of the writer.
    fn alternative(
        &mut self,
        readers: &[Alternative<'a>],
        writer: &Alternative<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        self.step()?;
        let mut mismatches = self.among(readers, writer)?;
        if !writer.ignored.is_empty() {
            let keywords = writer.ignored.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            for mismatch in &mut mismatches {
                mismatch.doubt.get_or_insert_with(|| format!("the writer's {keywords} may exclude it"));
            }
        }
        Ok(mismatches)
    }

    fn among(
        &mut self,
        readers: &[Alternative<'a>],
        writer: &Alternative<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        let like: Vec<_> = readers.iter().filter(|reader| reader.shape.is_like(&writer.shape)).collect();
        let mut candidates = like.clone();
        if like.len() > 1 {
            // Any of them must accept an object without further fields, which a bare object may be.
            let fewest = writer.closed();
            candidates.retain(|reader| !self.is_disjoint(reader, &fewest, 0));
        }
        if candidates.is_empty() {
            // A variant with the same name shows best what has changed.
            let changed = like.iter().find(|reader| is_same_variant(&reader.shape, &writer.shape));
            let mismatches = changed.map(|reader| self.pair(reader, writer)).transpose()?.unwrap_or_default();
            if !mismatches.is_empty() {
                return Ok(mismatches);
            }
            return Ok(vec![self.at(no_candidate(readers, &like, writer))]);
        }
        let mut tried: Vec<Vec<Mismatch>> = Vec::new();
        for reader in candidates {
            let mismatches = self.pair(reader, writer)?;
            if mismatches.is_empty() {
                return Ok(mismatches);
            }
            tried.push(mismatches);
        }
        // A value that every candidate refuses is refused.
        let (first, others) = tried.split_first().expect("there is a candidate");
        let common = first.iter().filter(|of| others.iter().all(|other| other.contains(of)));
        let common: Vec<Mismatch> = common.cloned().collect();
        if !common.is_empty() {
            return Ok(common);
        }
        let mut fewest = tried.into_iter().min_by_key(Vec::len).expect("there is a candidate");
        for mismatch in &mut fewest {
            mismatch.doubt.get_or_insert_with(|| "another variant may accept it".to_owned());
        }
        Ok(fewest)
    }

    /// Compares two alternatives of one JSON type.
    fn pair(
        &mut self,
        reader: &Alternative<'a>,
        writer: &Alternative<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        let mut mismatches = match (&reader.shape, &writer.shape) {
            (Shape::Bool([no, yes]), Shape::Bool([written_no, written_yes])) => {
                let unknown = [("false", *written_no && !no), ("true", *written_yes && !yes)];
                let unknown = unknown.into_iter().filter(|(_, is_unknown)| *is_unknown);
                let misfit = |(value, _): (&str, bool)| MismatchKind::UnknownValue(value.to_owned());
                unknown.map(|of| self.at(Misfit::certain(misfit(of)))).collect()
            }
            (Shape::Number(reader), Shape::Number(writer)) => self.all_at(reader.misfits(writer)),
            (Shape::Text(reader), Shape::Text(writer)) => self.all_at(reader.misfits(writer)),
            (Shape::Array(reader), Shape::Array(writer)) => self.arrays(reader, writer),
            (Shape::Object(reader), Shape::Object(writer)) => self.objects(reader, writer)?,
            _ => Vec::new(),
        };
        if mismatches.is_empty() && !reader.ignored.is_empty() {
            let keywords = reader.ignored.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            mismatches.push(self.at(Misfit::doubtful(&format!("the reader's {keywords} is not compared"))));
        }
        if mismatches.is_empty() {
            for other in &reader.others {
                if !self.is_disjoint_term(other, writer, 0)? {
                    let doubt = "the reader accepts exactly one variant, and the value may fit several";
                    mismatches.push(self.at(Misfit::doubtful(doubt)));
                    break;
                }
            }
        }
        Ok(mismatches)
    }

    fn arrays(&mut self, reader: &ArrayShape<'a>, writer: &ArrayShape<'a>) -> Vec<Mismatch> {
        let mut mismatches = self.all_at(reader.misfits(writer));
        let first = reader.first().max(writer.first());
        for at in (0..first).filter(|at| writer.reaches(*at)) {
            mismatches.extend(self.below(&at.to_string(), reader.item(at), writer.item(at)));
        }
        if writer.reaches(first) {
            mismatches.extend(self.below("*", reader.rest(), writer.rest()));
        }
        mismatches
    }

    fn objects(
        &mut self,
        reader: &ObjectShape<'a>,
        writer: &ObjectShape<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        if !writer.is_bare() {
            return self.known_objects(reader, writer);
        }
        let mut mismatches = self.known_objects(reader, &writer.closed())?;
        for mut possible in self.known_objects(reader, &writer.opened())? {
            if !mismatches.iter().any(|certain| certain.pointer == possible.pointer) {
                possible.doubt.get_or_insert_with(|| ANY_FIELDS.to_owned());
                mismatches.push(possible);
            }
        }
        Ok(mismatches)
    }

    /// Compares objects whose fields the writer's schema lists.
    fn known_objects(
        &mut self,
        reader: &ObjectShape<'a>,
        writer: &ObjectShape<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        let mut mismatches = Vec::new();
        for name in reader.required.difference(&writer.required) {
            self.path.push((*name).to_owned());
            mismatches.push(self.at(Misfit::certain(MismatchKind::MissingField)));
            self.path.pop();
        }
        for (name, written) in &writer.fields {
            mismatches.extend(self.field(reader, name, name, written)?);
        }
        // Fields with unknown names may have any name, known or unknown to the reader.
        let open = writer.rest(Side::Writer).into_iter().chain(writer.patterns.values().cloned());
        for written in open {
            for (name, accepted) in &reader.fields {
                if !writer.fields.contains_key(name) {
                    mismatches.extend(self.below(name, accepted, &written));
                }
            }
        }
        if let Some(written) = writer.rest(Side::Writer) {
            mismatches.extend(self.field(reader, "", "*", &written)?);
        }
        for (pattern, written) in &writer.patterns {
            let same = reader.patterns.get(pattern).filter(|_| reader.patterns.len() == 1);
            match same {
                Some(accepted) => mismatches.extend(self.below("*", accepted, written)),
                None => mismatches.extend(self.field(reader, "", "*", written)?),
            }
        }
        mismatches.extend(self.names(reader, writer)?);
        mismatches.extend(self.all_at(reader.misfits(writer)));
        Ok(mismatches)
    }

    /// Compares a field that the writer writes. `name` is empty if it is not known.
    fn field(
        &mut self,
        reader: &ObjectShape<'a>,
        name: &str,
        segment: &str,
        written: &Term<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        let named = if name.is_empty() { None } else { reader.fields.get(name) };
        let accepted = match named {
            Some(accepted) => Some(accepted.clone()),
            None => reader.rest(Side::Reader),
        };
        // A field without a possible value is not written.
        if self.writer.alternatives(written)?.is_empty() {
            return Ok(Vec::new());
        }
        let mut mismatches = if let Some(accepted) = &accepted {
            self.below(segment, accepted, written)
        } else {
            self.path.push(segment.to_owned());
            let refused = self.at(Misfit::certain(MismatchKind::UnknownField));
            self.path.pop();
            vec![refused]
        };
        if !reader.patterns.is_empty() {
            // A pattern may match the name, and then applies instead of the rest, or in addition to the field.
            for pattern in reader.patterns.values() {
                mismatches.extend(self.below(segment, pattern, written));
            }
            for mismatch in &mut mismatches {
                mismatch.doubt.get_or_insert_with(|| "patterns of names are not compared".to_owned());
            }
        }
        Ok(mismatches)
    }

    fn names(
        &mut self,
        reader: &ObjectShape<'a>,
        writer: &ObjectShape<'a>,
    ) -> Result<Vec<Mismatch>, TooLarge> {
        if reader.names.is_any() {
            return Ok(Vec::new());
        }
        let mut mismatches = Vec::new();
        let readers = self.reader.alternatives(&reader.names)?;
        for name in writer.fields.keys() {
            let literal = Alternative::new(Shape::Text(TextShape::literal(name)));
            self.path.push((*name).to_owned());
            let refused = self.alternative(&readers, &literal)?;
            mismatches.extend(
                refused.into_iter().map(|mismatch| Mismatch { kind: MismatchKind::UnknownField, ..mismatch }),
            );
            self.path.pop();
        }
        if writer.rest(Side::Writer).is_some() || !writer.patterns.is_empty() {
            mismatches.extend(self.below("*", &reader.names, &writer.names));
        }
        Ok(mismatches)
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "models.rs"]
mod models;

#[cfg(test)]
#[path = "property_tests.rs"]
mod property_tests;
