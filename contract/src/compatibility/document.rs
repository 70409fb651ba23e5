//! A schema with its definitions, and the alternatives by which a value can fit it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::array::ArrayShape;
use super::number::NumberShape;
use super::object::{ObjectShape, Side};
use super::shape::{Alternative, Shape};
use super::term::Term;
use super::text::TextShape;

/// The largest number of alternatives for one place: far more than an enum has variants.
const MAX_ALTERNATIVES: usize = 4_096;

/// The deepest nesting of schemas for one place, through references.
const MAX_NESTING: usize = 64;

/// Keywords that restrict values and are not compared.
const NOT_COMPARED: [&str; 13] = [
    "if",
    "contains",
    "minContains",
    "maxContains",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "contentSchema",
];

/// The schema is too large or nested too deep.
#[derive(Debug)]
pub(super) struct TooLarge;

/// A schema with its definitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    root: &'a Value,
    side: Side,
    /// True if keywords beside `$ref` are ignored, as until draft 7.
    has_lone_references: bool,
}

/// The supported versions of JSON Schema, each with true if keywords beside `$ref` are ignored. Without `$schema`, the newest
/// one applies.
const DIALECTS: [(&str, bool); 3] = [
    ("https://json-schema.org/draft/2020-12/schema", false),
    ("https://json-schema.org/draft/2019-09/schema", false),
    ("http://json-schema.org/draft-07/schema", true),
];

impl<'a> Document<'a> {
    /// # Errors
    ///
    /// Returns the name of the schema's dialect if it is not supported.
    pub(super) fn new(root: &'a Value, side: Side) -> Result<Self, &'a str> {
        let dialect = root.get("$schema").and_then(Value::as_str).unwrap_or(DIALECTS[0].0);
        let known = DIALECTS.iter().find(|(name, _)| dialect.trim_end_matches('#') == *name);
        let (_, has_lone_references) = known.ok_or(dialect)?;
        Ok(Self { root, side, has_lone_references: *has_lone_references })
    }

    /// Returns true if all possible targets of references are the same in both.
    pub(super) fn has_definitions_of(&self, other: &Self) -> bool {
        let of = |document: &Self, key: &str| document.root.get(key).cloned();
        ["$schema", "$defs", "definitions"].iter().all(|key| of(self, key) == of(other, key))
    }

    /// Returns the alternatives by which a value can fit all schemas of a place.
    pub(super) fn alternatives(&self, term: &Term<'a>) -> Result<Vec<Alternative<'a>>, TooLarge> {
        let mut met = any();
        for schema in term.schemas() {
            met = meet(&met, &self.of_schema(schema, 0)?)?;
        }
        let complete = met.into_iter().filter_map(|alternative| {
            let shape = match alternative.shape {
                Shape::Object(shape) => Shape::Object(shape.completed()?),
                shape => shape,
            };
            Some(Alternative { shape, ..alternative })
        });
        if self.side == Side::Reader {
            return Ok(complete.collect());
        }
        // Each value of a writer may fit another alternative of the reader.
        let mut single = Vec::new();
        for alternative in complete {
            let shapes = alternative.shape.clone().split();
            single.extend(shapes.into_iter().map(|shape| Alternative { shape, ..alternative.clone() }));
        }
        bounded(single)
    }

    /// Follows schemas that consist only of a reference, so that recursive types are recognized.
    pub(super) fn resolved(&self, term: &Term<'a>) -> Term<'a> {
        let follow = |schema: &&'a Value| {
            let mut schema = *schema;
            for _ in 0..MAX_NESTING {
                let only = schema.as_object().filter(|node| node.len() == 1);
                match only.and_then(|node| self.target(node.get("$ref")?)) {
                    Some(target) => schema = target,
                    None => break,
                }
            }
            Term::one(schema)
        };
        term.schemas().iter().map(follow).fold(Term::default(), |all, one| all.and(&one))
    }

    fn of_schema(&self, schema: &'a Value, nesting: usize) -> Result<Vec<Alternative<'a>>, TooLarge> {
        let Value::Object(node) = schema else {
            return Ok(if *schema == Value::Bool(false) { Vec::new() } else { any() });
        };
        if nesting > MAX_NESTING {
            return Err(TooLarge);
        }
        let reference = node.get("$ref");
        let mut met = if reference.is_some() && self.has_lone_references { any() } else { of_types(node) };
        if let Some(reference) = reference {
            match self.target(reference) {
                Some(target) => met = meet(&met, &self.of_schema(target, nesting + 1)?)?,
                None => ignore(&mut met, "$ref"),
            }
            if self.has_lone_references {
                return Ok(met);
            }
        }
        let branches = |key: &str| node.get(key).and_then(Value::as_array);
        for branch in branches("allOf").into_iter().flatten() {
            met = meet(&met, &self.of_schema(branch, nesting + 1)?)?;
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = branches(key) {
                met = meet(&met, &self.of_branches(branches, key == "oneOf", nesting)?)?;
            }
        }
        if let Some(schema) = node.get("unevaluatedProperties") {
            restrict_rest(&mut met, schema);
        }
        for key in NOT_COMPARED.iter().filter(|key| node.contains_key(**key)) {
            ignore(&mut met, key);
        }
        // OpenAPI's keyword for a type that also allows `null`.
        if node.get("nullable") == Some(&Value::Bool(true)) {
            met.push(Alternative::new(Shape::Null));
        }
        bounded(met)
    }

    fn of_branches(
        &self,
        branches: &'a [Value],
        is_exclusive: bool,
        nesting: usize,
    ) -> Result<Vec<Alternative<'a>>, TooLarge> {
        let mut all = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            let mut alternatives = self.of_schema(branch, nesting + 1)?;
            if is_exclusive && self.side == Side::Reader {
                let others = branches.iter().enumerate().filter(|(other, _)| *other != at);
                let others: Vec<Term<'a>> = others.map(|(_, branch)| Term::one(branch)).collect();
                for alternative in &mut alternatives {
                    alternative.others.extend(others.iter().cloned());
                }
            }
            all.append(&mut alternatives);
        }
        bounded(all)
    }

    /// Returns the target of a reference, if it is in this document.
    fn target(&self, reference: &Value) -> Option<&'a Value> {
        let fragment = reference.as_str()?.strip_prefix('#')?;
        // Names of types contain no characters that a URI must escape.
        if fragment.contains('%') { None } else { self.root.pointer(fragment) }
    }
}

/// Every value.
fn any<'a>() -> Vec<Alternative<'a>> {
    let shapes = [
        Shape::Null,
        Shape::Bool([true; 2]),
        Shape::Number(NumberShape::default()),
        Shape::Text(TextShape::default()),
        Shape::Array(ArrayShape::default()),
        Shape::Object(ObjectShape::default()),
    ];
    shapes.into_iter().map(Alternative::new).collect()
}

/// Returns the alternatives that the keywords of a schema allow, without those that refer to other schemas for the same value.
fn of_types<'a>(node: &'a Map<String, Value>) -> Vec<Alternative<'a>> {
    let types: Option<Vec<&str>> = match node.get("type") {
        Some(Value::String(name)) => Some(vec![name]),
        Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    };
    let has = |name: &str| types.as_ref().is_none_or(|types| types.contains(&name));
    let shapes = [
        has("null").then_some(Shape::Null),
        has("boolean").then_some(Shape::Bool([true; 2])),
        (has("number") || has("integer")).then(|| Shape::Number(NumberShape::read(node, !has("number")))),
        has("string").then(|| Shape::Text(TextShape::read(node))),
        has("array").then(|| Shape::Array(ArrayShape::read(node))),
        has("object").then(|| Shape::Object(ObjectShape::read(node, types.is_some()))),
    ];
    let values: Option<Vec<&Value>> = match (node.get("const"), node.get("enum")) {
        (Some(value), None) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        (Some(value), Some(Value::Array(values))) => Some(values.iter().filter(|of| *of == value).collect()),
        _ => None,
    };
    let excluded = excluded(node);
    let alternative = |shape: Shape<'a>| {
        let mut ignored = BTreeSet::new();
        let shape = match &values {
            Some(values) => shape.only(values, &mut ignored)?,
            None => shape,
        };
        let shape = match &excluded {
            Some(excluded) => shape.without(excluded, &mut ignored)?,
            None => shape,
        };
        if node.contains_key("not") && excluded.is_none() {
            ignored.insert("not".to_owned());
        }
        Some(Alternative { ignored, ..Alternative::new(shape) })
    };
    shapes.into_iter().flatten().filter_map(alternative).collect()
}

/// Returns the values that `not` excludes, for example zero.
fn excluded(node: &Map<String, Value>) -> Option<Vec<&Value>> {
    let not = node.get("not")?.as_object().filter(|not| not.len() == 1)?;
    match (not.get("const"), not.get("enum")) {
        (Some(value), None) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

/// Returns the alternatives that fit both.
fn meet<'a>(a: &[Alternative<'a>], b: &[Alternative<'a>]) -> Result<Vec<Alternative<'a>>, TooLarge> {
    let mut met = Vec::new();
    for alternative in a {
        met.extend(b.iter().filter_map(|other| alternative.meet(other)));
        if met.len() > MAX_ALTERNATIVES {
            return Err(TooLarge);
        }
    }
    Ok(met)
}

fn bounded(alternatives: Vec<Alternative<'_>>) -> Result<Vec<Alternative<'_>>, TooLarge> {
    if alternatives.len() > MAX_ALTERNATIVES { Err(TooLarge) } else { Ok(alternatives) }
}

fn ignore(alternatives: &mut [Alternative<'_>], keyword: &str) {
    for alternative in alternatives {
        alternative.ignored.insert(keyword.to_owned());
    }
}

/// Restricts the fields that no other keyword of the schema has evaluated. An object that fits two branches of `anyOf` may have
/// the fields of both, which no single alternative has.
fn restrict_rest<'a>(alternatives: &mut [Alternative<'a>], schema: &'a Value) {
    let objects = alternatives.iter().filter(|of| matches!(of.shape, Shape::Object(_))).count();
    for alternative in alternatives {
        if let Shape::Object(shape) = &mut alternative.shape {
            shape.restrict_rest(schema);
            alternative.is_partial |= objects > 1;
        }
    }
}
