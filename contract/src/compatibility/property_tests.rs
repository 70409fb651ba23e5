//! What is called compatible is compatible: pairs of schemas, and values that the one writes, by the validator of another crate.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::mismatches;

/// The schema of a payload, as serde and `schemars` make them and as people write them.
#[derive(Debug, Clone)]
enum Model {
    Any,
    Null,
    Bool,
    /// A format and bounds.
    Integer(Option<&'static str>, Option<i64>, Option<i64>),
    /// Not zero.
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
struct Fields {
    /// By name, each with true if it is required.
    fields: BTreeMap<String, (Model, bool)>,
    is_strict: bool,
}

/// A model with the definitions that it refers to.
#[derive(Debug, Clone)]
struct Document {
    model: Model,
    definitions: Vec<Model>,
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
    fn schema(&self) -> Value {
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
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

/// Writes a value by a model, as a serializer does: with no field that it does not name. `None` if it nests too deep.
fn write(model: &Model, definitions: &[Model], draws: &mut Draws, depth: usize) -> Option<Value> {
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
        Model::Untagged(models) | Model::OneOf(models) => {
            let model = draws.of(models).clone();
            inner(&model, draws)?
        }
        Model::Flattened(fields, variants) => {
            let mut map = write_fields(fields, definitions, draws, depth)?;
            let (name, model) = draws.of(variants).clone();
            map.insert(name, inner(&model, draws)?);
            Value::Object(map)
        }
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

/// How many definitions a document has.
const DEFINITIONS: usize = 2;

fn leaf() -> impl Strategy<Value = Model> {
    let format = prop::sample::select(vec![
        None,
        Some("uint8"),
        Some("int8"),
        Some("uint32"),
        Some("int32"),
        Some("uint64"),
        Some("int64"),
    ]);
    let bound = || prop::option::weighted(0.3, prop::sample::select(vec![-1_i64, 0, 1, 200, 255, 300]));
    let values = prop::sample::subsequence(
        vec![json!("a"), json!("b"), json!("zz"), json!(1), json!(2.5), json!(null), json!(true), json!([1])],
        1..4,
    );
    prop_oneof![
        1 => Just(Model::Any),
        1 => Just(Model::Null),
        1 => Just(Model::Bool),
        4 => (format, bound(), bound()).prop_map(|(format, min, max)| integer(format, min, max)),
        1 => Just(Model::NonZero),
        1 => prop::option::of(prop::sample::select(vec![0.0, 1.0, 2.25])).prop_map(Model::Number),
        2 => (0..3_u64, prop::option::of(0..4_u64)).prop_map(|(min, more)| Model::Text(min, more.map(|more| min + more))),
        2 => values.prop_map(Model::Values),
        1 => (0..DEFINITIONS).prop_map(Model::Reference),
    ]
}

/// An integer of at least one value: bounds that the format does not reach are left out.
fn integer(format: Option<&'static str>, min: Option<i64>, max: Option<i64>) -> Model {
    let is_small = matches!(format, Some("uint8" | "int8"));
    let min = min.filter(|min| !is_small || *min <= 1);
    Model::Integer(format, min, max.filter(|max| *max >= min.unwrap_or(0)))
}

fn fields(model: impl Strategy<Value = Model> + Clone) -> impl Strategy<Value = Fields> {
    let name = prop::sample::select(vec!["a", "b", "7"]).prop_map(str::to_owned);
    (prop::collection::btree_map(name, (model, any::<bool>()), 0..3), prop::bool::weighted(0.3))
        .prop_map(|(fields, is_strict)| Fields { fields, is_strict })
}

fn variants<T: Clone + std::fmt::Debug>(
    of: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Vec<(String, T)>> {
    let name = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    prop::collection::btree_map(name, of, 1..3).prop_map(|variants| variants.into_iter().collect())
}

fn model() -> impl Strategy<Value = Model> {
    leaf().prop_recursive(3, 16, 3, |inner| {
        let inner = inner.boxed();
        let boxed = || inner.clone().prop_map(Box::new);
        let list = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            2 => (boxed(), 0..2_u64, prop::option::of(0..3_u64)).prop_map(|(item, min, more)| Model::List(item, min, more.map(|more| min + more))),
            1 => list().prop_map(Model::Tuple),
            4 => fields(inner.clone()).prop_map(Model::Struct),
            1 => boxed().prop_map(Model::Map),
            1 => boxed().prop_map(Model::NumberMap),
            2 => boxed().prop_map(Model::Optional),
            2 => variants(inner.clone()).prop_map(Model::External),
            2 => variants(fields(inner.clone()).boxed()).prop_map(Model::Internal),
            1 => variants(inner.clone()).prop_map(Model::Adjacent),
            1 => list().prop_map(Model::Untagged),
            1 => list().prop_map(Model::OneOf),
            1 => (fields(inner.clone()), variants(inner.clone())).prop_map(|(fields, variants)| {
                let variants = variants.into_iter().map(|(name, model)| (format!("v{name}"), model));
                Model::Flattened(fields, variants.collect())
            }),
            1 => (fields(inner.clone()), fields(inner.clone())).prop_map(|(a, b)| {
                let others = b.fields.into_iter().map(|(name, of)| (format!("o{name}"), of)).collect();
                let open = |fields| Fields { fields, is_strict: false };
                Model::Both(open(a.fields), open(others))
            }),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    (model(), prop::collection::vec(model(), DEFINITIONS))
        .prop_map(|(model, definitions)| Document { model, definitions })
}

/// Changes a model a little, as a release does.
fn change(model: &mut Model, draws: &mut Draws) {
    match model {
        Model::Struct(fields) | Model::Flattened(fields, _) | Model::Both(fields, _) if draws.flip() => {
            change_fields(fields, draws);
        }
        Model::Struct(fields) => {
            if let Some((model, _)) = fields.fields.values_mut().next() {
                change(model, draws);
            }
        }
        Model::List(inner, ..) | Model::Map(inner) | Model::NumberMap(inner) | Model::Optional(inner)
            if draws.flip() =>
        {
            change(inner, draws);
        }
        Model::List(_, min, _) => *min = 0,
        Model::Optional(inner) => *model = (**inner).clone(),
        Model::External(variants) | Model::Adjacent(variants) if draws.flip() => {
            variants.push(("new".to_owned(), Model::Bool));
        }
        Model::External(variants) | Model::Adjacent(variants) | Model::Flattened(_, variants) => {
            change(&mut variants[0].1, draws);
        }
        Model::Internal(variants) => change_fields(&mut variants[0].1, draws),
        Model::Untagged(models) | Model::OneOf(models) | Model::Tuple(models) => {
            change(&mut models[0], draws)
        }
        Model::Integer(format, min, max) => {
            let [new, old_min, old_max] = [draws.below(3), draws.below(2), draws.below(2)];
            let formats = [*format, Some("uint8"), Some(*draws.of(&["uint32", "uint64", "int64", "int32"]))];
            *model = integer(formats[new], min.filter(|_| old_min == 0), max.filter(|_| old_max == 0));
        }
        Model::Text(_, max) => *max = None,
        Model::Values(values) => values.push(json!("new")),
        other => *other = Model::Optional(Box::new(other.clone())),
    }
}

fn change_fields(fields: &mut Fields, draws: &mut Draws) {
    match draws.below(4) {
        0 => fields.is_strict = !fields.is_strict,
        1 => drop(fields.fields.insert("new".to_owned(), (Model::Bool, draws.flip()))),
        2 => drop(fields.fields.pop_first()),
        _ => {
            if let Some((_, is_required)) = fields.fields.values_mut().next() {
                *is_required = !*is_required;
            }
        }
    }
}

/// The second of a pair: a change of the first, or another one.
fn pair() -> impl Strategy<Value = (Document, Document, u64)> {
    (document(), document(), any::<u64>(), 0..4_u8).prop_map(|(one, other, seed, how)| {
        if how == 0 {
            return (one, other, seed);
        }
        let (mut changed, mut draws) = (one.clone(), Draws(seed));
        for _ in 0..how {
            let at = draws.below(DEFINITIONS + 1);
            change(changed.definitions.get_mut(at).unwrap_or(&mut changed.model), &mut draws);
        }
        if draws.flip() { (one, changed, seed) } else { (changed, one, seed) }
    })
}

/// Returns values that the writer writes and its own schema accepts.
fn written(document: &Document, schema: &Value, seed: u64) -> Vec<Value> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let mut draws = Draws(seed);
    let values = (0..40).filter_map(|_| write(&document.model, &document.definitions, &mut draws, 0));
    // Branches of `oneOf` may exclude each other's values.
    values.filter(|value| validator.is_valid(value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The claim that matters: without a mismatch, the reader accepts each value.
    #[test]
    fn what_is_compatible_is_accepted((writer, reader, seed) in pair()) {
        let (writes, reads) = (writer.schema(), reader.schema());
        if mismatches(&reads, &writes).is_empty() {
            let validator = jsonschema::validator_for(&reads).unwrap();
            for value in written(&writer, &writes, seed) {
                prop_assert!(validator.is_valid(&value), "writer {writes}\nreader {reads}\nvalue {value}");
            }
        }
    }

    #[test]
    fn every_schema_accepts_itself_in_other_words(document in document()) {
        let schema = document.schema();
        let mut other = schema.clone();
        if let Some(node) = other.as_object_mut() {
            node.insert("title".to_owned(), json!("Other"));
        }
        let found = mismatches(&other, &schema);
        prop_assert!(found.iter().all(|mismatch| mismatch.doubt.is_some()), "{schema}\n{found:?}");
    }
}

/// The check neither refuses everything nor is in doubt about everything, and what it refuses for certain is mostly refused by a value
/// that can be drawn.
#[test]
fn the_check_decides() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compatible, mut doubtful, mut refused, mut shown) = (0, 0, 0, 0);
    for _ in 0..2_000 {
        let (writer, reader, seed) = pair().new_tree(&mut runner).unwrap().current();
        let (writes, reads) = (writer.schema(), reader.schema());
        let found = mismatches(&reads, &writes);
        if found.is_empty() {
            compatible += 1;
        } else if found.iter().all(|mismatch| mismatch.doubt.is_some()) {
            doubtful += 1;
        } else {
            let values = written(&writer, &writes, seed);
            let validator = jsonschema::validator_for(&reads).unwrap();
            refused += usize::from(!values.is_empty());
            shown += usize::from(values.iter().any(|value| !validator.is_valid(value)));
        }
    }
    let figures =
        format!("{compatible} compatible, {doubtful} doubtful, {refused} refused, {shown} of them shown");
    println!("{figures}");
    assert!(compatible > 400 && doubtful < 300 && shown * 10 > refused * 7, "{figures}");
}
