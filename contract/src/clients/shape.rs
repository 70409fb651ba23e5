//! The types of payloads, independent of a language.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::client_file::NoClient;
use super::endless;
use super::names::{Names, pascal};
use super::objects;

/// The largest integer that JavaScript holds exactly: 2^53 - 1.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Any value of JSON.
    Any,
    /// No value.
    Never,
    Null,
    Bool,
    Integer {
        /// True if it may be larger than JavaScript holds exactly.
        is_big: bool,
    },
    Number,
    Text,
    /// One of these values, which are texts, booleans, integers or null.
    Literals(Vec<Value>),
    List(Box<Shape>),
    Tuple(Vec<Shape>),
    /// An object whose field names are not known.
    Map(Box<Shape>),
    /// A value of any of these types.
    Union(Vec<Shape>),
    /// A type with a name of its own.
    Named(String),
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Object(Vec<Field>),
    Alias(Shape),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) shape: Shape,
    pub(super) is_required: bool,
}

/// Finds the types of one schema.
pub(super) struct Shapes<'a> {
    root: &'a Value,
    names: &'a mut Names,
    /// The prefix of all names.
    prefix: String,
    /// The names of the types that references refer to.
    by_reference: HashMap<String, String>,
    definitions: Vec<Definition>,
}

impl<'a> Shapes<'a> {
    /// Returns the types of a payload. The last one is the payload's own type, with this name or a similar one.
    pub(super) fn of_payload(
        root: &'a Value,
        prefix: &str,
        names: &'a mut Names,
    ) -> Result<(Shape, Vec<Definition>), NoClient> {
        if let Some(reference) = endless::reference(root) {
            return Err(NoClient(format!(
                "its schema {reference:?} refers to itself for the same value, which no value ends: let a field or an item refer to it"
            )));
        }
        let name = names.take(&format!("{prefix}Payload"));
        let by_reference = HashMap::from([("#".to_owned(), name.clone())]);
        let mut shapes =
            Shapes { root, names, prefix: prefix.to_owned(), by_reference, definitions: Vec::new() };
        shapes.define(&name, root, prefix)?;
        Ok((Shape::Named(name), shapes.definitions))
    }

    /// Defines a type of this name.
    fn define(&mut self, name: &str, schema: &Value, hint: &str) -> Result<(), NoClient> {
        let united = schema.as_object().and_then(|schema| objects::united(self.root, schema));
        let schema = united.as_ref().unwrap_or(schema);
        let kind = match schema.as_object() {
            Some(schema) if is_object(schema) && alternatives(schema).is_none() => {
                Kind::Object(self.fields(schema, hint)?)
            }
            _ => Kind::Alias(self.shape(schema, hint)?),
        };
        self.definitions.push(Definition { name: name.to_owned(), doc: doc(schema), kind });
        Ok(())
    }

    fn fields(&mut self, schema: &Map<String, Value>, hint: &str) -> Result<Vec<Field>, NoClient> {
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        let field = |(name, inner): (&String, &Value)| {
            Ok(Field {
                name: name.clone(),
                doc: doc(inner),
                shape: self.shape(inner, &format!("{hint}{}", pascal(name)))?,
                is_required: required.is_some_and(|all| all.iter().any(|required| required == name)),
            })
        };
        properties.into_iter().flatten().map(field).collect()
    }

    fn shape(&mut self, schema: &Value, hint: &str) -> Result<Shape, NoClient> {
        let schema = match schema {
            Value::Bool(false) => return Ok(Shape::Never),
            Value::Object(schema) => schema,
            _ => return Ok(Shape::Any),
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.referred(reference);
        }
        if let Some(value) = schema.get("const") {
            return Ok(literals(std::slice::from_ref(value)));
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return Ok(literals(values));
        }
        if let Some(keyword) = alternatives(schema) {
            let parts = objects::alternatives(self.root, schema, keyword);
            return self.union(&parts, hint);
        }
        if schema.contains_key("allOf") {
            return match objects::united(self.root, schema) {
                Some(united) => self.shape(&united, hint),
                None => Ok(Shape::Any),
            };
        }
        if let Some(Value::Array(types)) = schema.get("type") {
            let part = |one: &Value| {
                let mut part = schema.clone();
                part.insert("type".to_owned(), one.clone());
                // At most one part has a name: the object.
                (Some(String::new()), Value::Object(part))
            };
            return self.union(&types.iter().map(part).collect::<Vec<_>>(), hint);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("null") => Ok(Shape::Null),
            Some("boolean") => Ok(Shape::Bool),
            Some("integer") => Ok(Shape::Integer { is_big: is_big(schema) }),
            Some("number") => Ok(Shape::Number),
            Some("string") => Ok(Shape::Text),
            Some("array") => self.array(schema, hint),
            _ if is_object(schema) => {
                let name = self.names.take(hint);
                let fields = self.fields(schema, &name)?;
                let doc = None;
                self.definitions.push(Definition { name: name.clone(), doc, kind: Kind::Object(fields) });
                Ok(Shape::Named(name))
            }
            Some("object") => self.map(schema, hint),
            _ => Ok(Shape::Any),
        }
    }

    /// Returns the type of a reference's target, which is defined only once.
    fn referred(&mut self, reference: &str) -> Result<Shape, NoClient> {
        if let Some(name) = self.by_reference.get(reference) {
            return Ok(Shape::Named(name.clone()));
        }
        let Some(schema) = objects::resolve(self.root, reference) else {
            return Err(NoClient(format!(
                "its schema refers to {reference:?}, which is not in it: put it into `$defs`"
            )));
        };
        let own = reference.rsplit('/').next().unwrap_or(reference);
        let name = self.names.take(&format!("{}{}", self.prefix, pascal(own)));
        self.by_reference.insert(reference.to_owned(), name.clone());
        self.define(&name, schema, &name)?;
        Ok(Shape::Named(name))
    }

    fn union(&mut self, parts: &[(Option<String>, Value)], hint: &str) -> Result<Shape, NoClient> {
        let mut shapes: Vec<Shape> = Vec::new();
        for (index, (own, part)) in parts.iter().enumerate() {
            let own = match own.as_deref() {
                None => (index + 1).to_string(),
                Some("") => String::new(),
                Some(own) => pascal(own),
            };
            let parts = match self.shape(part, &format!("{hint}{own}"))? {
                Shape::Union(parts) => parts,
                Shape::Never => continue,
                part => vec![part],
            };
            for part in parts {
                match part {
                    Shape::Literals(more) => match shapes.last_mut() {
                        Some(Shape::Literals(values)) => values.extend(more),
                        _ => shapes.push(Shape::Literals(more)),
                    },
                    part if shapes.contains(&part) => {}
                    part => shapes.push(part),
                }
            }
        }
        Ok(match shapes.len() {
            0 => Shape::Never,
            1 => shapes.remove(0),
            _ if shapes.contains(&Shape::Any) => Shape::Any,
            _ => Shape::Union(shapes),
        })
    }

    fn array(&mut self, schema: &Map<String, Value>, hint: &str) -> Result<Shape, NoClient> {
        let item = format!("{hint}Item");
        let any = Value::Bool(true);
        let items = schema.get("items").unwrap_or(&any);
        let Some(Value::Array(first)) = schema.get("prefixItems") else {
            return Ok(Shape::List(Box::new(self.shape(items, &item)?)));
        };
        let count = Value::from(first.len());
        let is_exact = schema.get("minItems") == Some(&count)
            && (schema.get("maxItems") == Some(&count) || items == &Value::Bool(false));
        if !is_exact {
            return Ok(Shape::List(Box::new(Shape::Any)));
        }
        let parts = first.iter().enumerate();
        let parts: Result<_, _> =
            parts.map(|(index, part)| self.shape(part, &format!("{item}{}", index + 1))).collect();
        Ok(Shape::Tuple(parts?))
    }

    fn map(&mut self, schema: &Map<String, Value>, hint: &str) -> Result<Shape, NoClient> {
        let values: Vec<&Value> = match schema.get("patternProperties") {
            Some(Value::Object(patterns)) => patterns.values().collect(),
            _ => schema.get("additionalProperties").into_iter().collect(),
        };
        let value = match values.as_slice() {
            [only] => self.shape(only, &format!("{hint}Value"))?,
            _ => Shape::Any,
        };
        Ok(Shape::Map(Box::new(value)))
    }
}

/// Returns the keyword that lists alternatives, if a schema has one.
fn alternatives(schema: &Map<String, Value>) -> Option<&'static str> {
    ["oneOf", "anyOf"].into_iter().find(|keyword| schema.get(*keyword).is_some_and(Value::is_array))
}

/// Returns true if the names of an object's fields are known, or if it has no fields.
fn is_object(schema: &Map<String, Value>) -> bool {
    let has_fields = schema.get("properties").is_some_and(Value::is_object);
    let is_empty = schema.get("additionalProperties") == Some(&Value::Bool(false))
        && !schema.contains_key("patternProperties");
    let is_object = schema.get("type").is_none_or(|named| named == "object");
    is_object && (has_fields || is_empty)
}

fn is_big(schema: &Map<String, Value>) -> bool {
    let is_small = schema
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| ["int8", "int16", "int32", "uint8", "uint16", "uint32"].contains(&format));
    let within = |keyword: &str| {
        let bound = schema.get(keyword).and_then(Value::as_i64);
        bound.is_some_and(|bound| bound.unsigned_abs() <= MAX_SAFE_INTEGER)
    };
    !(is_small || (within("minimum") && within("maximum")))
}

/// Returns a type of these values, or the type of each value if a language cannot name it.
fn literals(values: &[Value]) -> Shape {
    let is_nameable = |value: &Value| match value {
        Value::Number(number) => {
            number.as_i64().is_some_and(|number| number.unsigned_abs() <= MAX_SAFE_INTEGER)
        }
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Array(_) | Value::Object(_) => false,
    };
    if values.iter().all(is_nameable) { Shape::Literals(values.to_vec()) } else { Shape::Any }
}

fn doc(schema: &Value) -> Option<String> {
    schema.get("description").and_then(Value::as_str).map(str::to_owned)
}
