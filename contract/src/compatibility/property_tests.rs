//! Checks with another crate's validator that schemas found compatible are compatible, for pairs of schemas and values that one
//! of them writes.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::mismatches;
use super::models::{Document, Draws, Fields, Model, write};

/// The number of definitions in a document.
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
        1 => Just(Model::Object),
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

/// Returns an integer model with at least one value: bounds outside the format are left out.
fn integer(format: Option<&'static str>, min: Option<i64>, max: Option<i64>) -> Model {
    let is_small = matches!(format, Some("uint8" | "int8"));
    let min = min.filter(|min| !is_small || *min <= 1);
    Model::Integer(format, min, max.filter(|max| *max >= min.unwrap_or(0).max(0)))
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

/// Changes a model slightly, as a release does.
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
            change(&mut models[0], draws);
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

/// Returns a pair of documents: the second one is a change of the first, or an independent one.
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
    values.filter(|value| validator.is_valid(value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The main property: without a mismatch, the reader accepts each value.
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

/// The check neither refuses everything nor is in doubt about everything, and for most certain mismatches a value can be
/// generated that the reader refuses.
#[test]
fn the_check_decides() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compatible, mut doubtful, mut refused, mut shown) = (0, 0, 0, 0);
    for _ in 0..2_000 {
        let (writer, reader, seed) = pair().new_tree(&mut runner).unwrap().current();
        let (written_by, read_by) = (writer.schema(), reader.schema());
        let found = mismatches(&read_by, &written_by);
        if found.is_empty() {
            compatible += 1;
        } else if found.iter().all(|mismatch| mismatch.doubt.is_some()) {
            doubtful += 1;
        } else {
            let values = written(&writer, &written_by, seed);
            let validator = jsonschema::validator_for(&read_by).unwrap();
            refused += usize::from(!values.is_empty());
            shown += usize::from(values.iter().any(|value| !validator.is_valid(value)));
        }
    }
    let figures =
        format!("{compatible} compatible, {doubtful} doubtful, {refused} refused, {shown} of them shown");
    assert!(compatible > 400 && doubtful < 300 && shown * 10 > refused * 7, "{figures}");
}
