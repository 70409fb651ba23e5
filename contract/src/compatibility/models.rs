//! Models of schemas for tests: each has a schema, and generates values that fit it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The schema of a payload, as serde and `schemars` generate them and as people write them.
#[derive(Debug, Clone)]
pub(super) enum Model {
    Any,
    /// An object without known fields.
    Object,
    Null,
    Bool,
    /// An integer with a format and bounds.
    Integer(Option<&'static str>, Option<i64>, Option<i64>),
    /// An integer other than zero.
    NonZero,
    Number(Option<f64>),
    Text(u64, Option<u64>),
    Values(Vec<Value>),
    List(Box<Model>, u64, Option<u64>),
    Tuple(Vec<Model>),
    Struct(Fields),
    Map(Box<Model>),
    NumberMap(Box<Model>),
    Optional(Box<Model>),
    External(Vec<(String, Model)>),
    Internal(Vec<(String, Fields)>),
    Adjacent(Vec<(String, Model)>),
    Untagged(Vec<Model>),
    /// Branches that may overlap.
    OneOf(Vec<Model>),
    /// Fields beside a flattened enum.
    Flattened(Fields, Vec<(String, Model)>),
    /// Two structs in one object.
    Both(Fields, Fields),
    /// A definition, which may be recursive.
    Reference(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Fields {
    /// By name, each with true if it is required.
    pub(super) fields: BTreeMap<String, (Model, bool)>,
    pub(super) is_strict: bool,
}

/// A model with the definitions that it refers to.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) model: Model,
    pub(super) definitions: Vec<Model>,
}

impl Fields {
    fn schema(&self) -> Map<String, Value> {
        let properties: Map<_, _> =
            self.fields.iter().map(|(name, (model, _))| (name.clone(), model.schema())).collect();
        let required: Vec<&String> =
            self.fields.iter().filter(|(_, (_, required))| *required).map(|(name, _)| name).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if self.is_strict {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
        schema
    }
}

impl Model {
    fn schema(&self) -> Value {
        let all = |models: &[Model]| models.iter().map(Model::schema).collect::<Vec<_>>();
        let external = |name: &String, model: &Model| json!({ "type": "object", "properties": { name: model.schema() }, "required": [name], "additionalProperties": false });
        match self {
            Self::Any => json!(true),
            Self::Object => json!({ "type": "object" }),
            Self::Null => json!({ "type": "null" }),
            Self::Bool => json!({ "type": "boolean" }),
            Self::Integer(format, min, max) => {
                let mut schema = json!({ "type": "integer" });
                let optional = [("format", json!(format)), ("minimum", json!(min)), ("maximum", json!(max))];
                for (key, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
                    schema[key] = value;
                }
                schema
            }
            Self::NonZero => json!({ "type": "integer", "format": "int32", "not": { "const": 0 } }),
            Self::Number(above) => match above {
                None => json!({ "type": "number" }),
                Some(above) => json!({ "type": "number", "exclusiveMinimum": above }),
            },
            Self::Text(min, max) => match max {
                None => json!({ "type": "string", "minLength": min }),
                Some(max) => json!({ "type": "string", "minLength": min, "maxLength": max }),
            },
            Self::Values(values) => json!({ "enum": values }),
            Self::List(item, min, max) => {
                let mut schema = json!({ "type": "array", "items": item.schema(), "minItems": min });
                if let Some(max) = max {
                    schema["maxItems"] = json!(max);
                }
                schema
            }
            Self::Tuple(items) => {
                json!({ "type": "array", "prefixItems": all(items), "minItems": items.len(), "maxItems": items.len() })
            }
            Self::Struct(fields) => Value::Object(fields.schema()),
            Self::Map(value) => json!({ "type": "object", "additionalProperties": value.schema() }),
            Self::NumberMap(value) => {
                json!({ "type": "object", "patternProperties": { "^\\d+$": value.schema() }, "additionalProperties": false })
            }
            Self::Optional(model) => json!({ "anyOf": [model.schema(), { "type": "null" }] }),
            Self::External(variants) => {
                let variants: Vec<_> = variants.iter().map(|(name, model)| external(name, model)).collect();
                json!({ "oneOf": variants })
            }
            Self::Internal(variants) => {
                let variant = |(name, fields): &(String, Fields)| {
                    let mut schema = fields.schema();
                    schema["properties"]["kind"] = json!({ "type": "string", "const": name });
                    let required = schema.entry("required").or_insert(json!([]));
                    required.as_array_mut().unwrap().push(json!("kind"));
                    Value::Object(schema)
                };
                json!({ "oneOf": variants.iter().map(variant).collect::<Vec<_>>() })
            }
            Self::Adjacent(variants) => {
                let variant = |(name, model): &(String, Model)| json!({ "type": "object", "properties": { "t": { "const": name }, "c": model.schema() }, "required": ["t", "c"] });
                json!({ "oneOf": variants.iter().map(variant).collect::<Vec<_>>() })
            }
            Self::Untagged(models) => json!({ "anyOf": all(models) }),
            Self::OneOf(models) => json!({ "oneOf": all(models) }),
            Self::Flattened(fields, variants) => {
                let mut schema = fields.schema();
                schema.remove("additionalProperties");
                let variant = |(name, model): &(String, Model)| json!({ "type": "object", "properties": { name: model.schema() }, "required": [name] });
                schema.insert("oneOf".to_owned(), variants.iter().map(variant).collect());
                if fields.is_strict {
                    schema.insert("unevaluatedProperties".to_owned(), json!(false));
                }
                Value::Object(schema)
            }
            Self::Both(a, b) => json!({ "allOf": [a.schema(), b.schema()] }),
            Self::Reference(at) => json!({ "$ref": format!("#/$defs/D{at}"), "description": "a reference" }),
        }
    }
}

impl Document {
    pub(super) fn schema(&self) -> Value {
        let definitions = self.definitions.iter().enumerate();
        let definitions: Map<_, _> = definitions.map(|(at, of)| (format!("D{at}"), of.schema())).collect();
        match self.model.schema() {
            Value::Object(mut schema) => {
                schema.insert("$defs".to_owned(), Value::Object(definitions));
                Value::Object(schema)
            }
            other => other,
        }
    }
}

/// Draws numbers from a seed: splitmix64.
pub(super) struct Draws(pub(super) u64);

impl Draws {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(super) fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

/// Generates a value for a model, as a serializer does: without fields that the model does not name. Returns `None` if it nests
/// too deep.
#[allow(clippy::too_many_lines, reason = "a line or two for each kind of model")]
pub(super) fn write(model: &Model, definitions: &[Model], draws: &mut Draws, depth: usize) -> Option<Value> {
    if depth > 12 {
        return None;
    }
    let inner = |model: &Model, draws: &mut Draws| write(model, definitions, draws, depth + 1);
    Some(match model {
        Model::Any => match draws.below(5) {
            0 => json!(null),
            1 => json!(draws.of(&[0.5, -3.0, 1e300])),
            2 => json!(draws.of(&["", "a", "zz", "12"])),
            3 => json!([1, "a"]),
            _ => json!({ "a": draws.of(&[1, -70000]), "zz": {} }),
        },
        Model::Object => {
            let fields = ["a", "b", "7"].into_iter().filter(|_| draws.flip());
            let fields: Vec<_> = fields.map(str::to_owned).collect();
            let value = |draws: &mut Draws| inner(&Model::Any, draws);
            Value::Object(fields.into_iter().map(|name| Some((name, value(draws)?))).collect::<Option<_>>()?)
        }
        Model::Null => Value::Null,
        Model::Bool => json!(draws.flip()),
        Model::Integer(format, min, max) => {
            let (low, high): (i128, i128) = match format {
                Some("uint8") => (0, 255),
                Some("int8") => (-128, 127),
                Some("uint32") => (0, u32::MAX.into()),
                Some("int32") => (i32::MIN.into(), i32::MAX.into()),
                Some("uint64") => (0, u64::MAX.into()),
                _ => (i64::MIN.into(), i64::MAX.into()),
            };
            let low = min.map_or(low, |min| low.max(min.into()));
            let high = max.map_or(high, |max| high.min(max.into()));
            let near = [low, high, 0, 1, -1, low + 1, high - 1, 200, 300, i128::from(draws.next()) % 70_000];
            let fitting: Vec<i128> = near.into_iter().filter(|n| (low..=high).contains(n)).collect();
            let value = *draws.of(&fitting);
            i64::try_from(value).map_or_else(|_| json!(u64::try_from(value).unwrap()), |value| json!(value))
        }
        Model::NonZero => json!(draws.of(&[i32::MIN, -1, 1, 77, i32::MAX])),
        Model::Number(above) => {
            let near = [-1e300, -0.5, 0.0, 0.25, 1.0, 2.0, 2.5, 1e300];
            let fitting: Vec<f64> =
                near.into_iter().filter(|n| above.is_none_or(|above| *n > above)).collect();
            json!(draws.of(&fitting))
        }
        Model::Text(min, max) => {
            let most = max.unwrap_or(min + 3);
            let length = if draws.flip() { *min } else { most };
            json!(draws.of(&["a", "ä", "1"]).repeat(usize::try_from(length).unwrap()))
        }
        Model::Values(values) => draws.of(values).clone(),
        Model::List(item, min, max) => {
            let most = max.unwrap_or(min + 2);
            let length = if draws.flip() { *min } else { most };
            json!((0..length).map(|_| inner(item, draws)).collect::<Option<Vec<_>>>()?)
        }
        Model::Tuple(items) => {
            json!(items.iter().map(|item| inner(item, draws)).collect::<Option<Vec<_>>>()?)
        }
        Model::Struct(fields) => Value::Object(write_fields(fields, definitions, draws, depth)?),
        Model::Map(value) => {
            let mut map = Map::new();
            for name in ["a", "b", "new", "7"] {
                if draws.flip() {
                    map.insert(name.to_owned(), inner(value, draws)?);
                }
            }
            Value::Object(map)
        }
        Model::NumberMap(value) => {
            let mut map = Map::new();
            if draws.flip() {
                map.insert(draws.of(&["0", "42"]).to_string(), inner(value, draws)?);
            }
            Value::Object(map)
        }
        Model::Optional(model) => {
            if draws.flip() {
                Value::Null
            } else {
                inner(model, draws)?
            }
        }
        Model::External(variants) => {
            let (name, model) = draws.of(variants).clone();
            json!({ name: inner(&model, draws)? })
        }
        Model::Internal(variants) => {
            let (name, fields) = draws.of(variants).clone();
            let mut map = write_fields(&fields, definitions, draws, depth)?;
            map.insert("kind".to_owned(), json!(name));
            Value::Object(map)
        }
        Model::Adjacent(variants) => {
            let (name, model) = draws.of(variants).clone();
            json!({ "t": name, "c": inner(&model, draws)? })
        }
        Model::Untagged(models) => {
            let model = draws.of(models).clone();
            inner(&model, draws)?
        }
        Model::OneOf(models) => {
            let variant = draws.of(models).clone();
            let value = inner(&variant, draws)?;
            // Branches may exclude each other's values.
            let document = Document { model: model.clone(), definitions: definitions.to_vec() };
            jsonschema::is_valid(&document.schema(), &value).then_some(value)?
        }
        Model::Flattened(fields, variants) => {
            let mut map = write_fields(fields, definitions, draws, depth)?;
            let (name, model) = draws.of(variants).clone();
            map.insert(name, inner(&model, draws)?);
            Value::Object(map)
        }
        // Each would refuse the fields of the other.
        Model::Both(a, b) if a.is_strict || b.is_strict => return None,
        Model::Both(a, b) => {
            let mut map = write_fields(a, definitions, draws, depth)?;
            map.extend(write_fields(b, definitions, draws, depth)?);
            Value::Object(map)
        }
        Model::Reference(at) => inner(&definitions[at % definitions.len()], draws)?,
    })
}

fn write_fields(
    fields: &Fields,
    definitions: &[Model],
    draws: &mut Draws,
    depth: usize,
) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    for (name, (model, is_required)) in &fields.fields {
        if *is_required || (depth < 6 && draws.flip()) {
            map.insert(name.clone(), write(model, definitions, draws, depth + 1)?);
        }
    }
    Some(map)
}
