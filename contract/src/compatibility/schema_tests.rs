#![allow(clippy::unwrap_used, dead_code, reason = "the types are there for their schemas")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroI32, NonZeroU8};

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

/// Returns each mismatch as `/pointer kind`, with `?` before it if it is a doubt.
fn found(reader: &Value, writer: &Value) -> Vec<String> {
    let text = |mismatch: Mismatch| {
        let kind = match mismatch.kind {
            MismatchKind::MissingField => "missing",
            MismatchKind::UnknownField => "unknown-field",
            MismatchKind::UnknownValue(_) => "unknown-value",
            MismatchKind::Narrower { .. } => "narrower",
            MismatchKind::NotCompared => "not-compared",
        };
        format!("{}{} {kind}", if mismatch.doubt.is_some() { "?" } else { "" }, mismatch.pointer)
    };
    mismatches(reader, writer).into_iter().map(text).collect()
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

macro_rules! types {
    ($($(#[$attribute:meta])* $kind:ident $name:ident $body:tt)*) => {
        $(
            #[derive(Serialize, Deserialize, JsonSchema)]
            $(#[$attribute])*
            $kind $name $body
        )*
    };
}

types! {
    struct Plain { name: String }
    #[serde(deny_unknown_fields)] struct Strict { name: String }
    struct Both { name: String, size: u32 }
    #[serde(deny_unknown_fields)] struct StrictBoth { name: String, size: u32 }
    struct Maybe { name: String, size: Option<u32> }
    struct Defaulted { name: String, #[serde(default)] size: u32 }
    struct Renamed { title: String }
    struct Nothing {}
    #[schemars(extend("properties" = {}))] struct NoFields {}
    struct Nested { inner: Plain, list: Vec<Plain>, map: BTreeMap<String, Plain> }
    struct NestedBoth { inner: Both, list: Vec<Both>, map: BTreeMap<String, Both> }
    enum Unit { A, B }
    enum UnitMore { A, B, C }
    /// If variants have documentation, `schemars` lists them one by one.
    enum Documented {
        /// One.
        A,
        /// Two.
        B
    }
    enum External { A, B(u32), C { x: u8 } }
    enum ExternalMore { A, B(u32), C { x: u8 }, D(String) }
    enum ExternalWide { A, B(u64), C { x: u16 } }
    #[serde(tag = "kind")] enum Internal { A, B { x: u8 } }
    #[serde(tag = "kind")] enum InternalMore { A, B { x: u8 }, C { y: u8 } }
    #[serde(tag = "kind")] enum InternalField { A, B { x: u8, y: u8 } }
    #[serde(tag = "kind")] enum InternalOf { P(Plain), S(Strict) }
    #[serde(tag = "type")] enum InternalTag { A, B { x: u8 } }
    #[serde(tag = "t", content = "c")] enum Adjacent { A, B(u8), C { x: u8 } }
    #[serde(tag = "t", content = "c")] enum AdjacentMore { A, B(u8), C { x: u8 }, D(u8) }
    #[serde(untagged)] enum Untagged { Text(String), Number(u32) }
    #[serde(untagged)] enum UntaggedMore { Text(String), Number(u32), List(Vec<u32>) }
    struct Tree { value: u8, children: Vec<Tree> }
    struct WideTree { value: u16, children: Vec<WideTree> }
    struct DeepTree { value: u8, children: Vec<DeepTree>, mark: Option<String> }
    struct Flat { a: u8, #[serde(flatten)] b: Plain }
    struct Unflat { a: u8, name: String }
    struct FlatEnum { a: u8, #[serde(flatten)] e: Internal }
    #[serde(deny_unknown_fields)] struct StrictFlat { a: u8, #[serde(flatten)] e: External }
    struct FlatMap { a: u8, #[serde(flatten)] rest: BTreeMap<String, u8> }
    struct Any { value: Value }
    struct AnyMap { value: serde_json::Map<String, Value> }
    struct IntegerMap { value: std::collections::HashMap<String, u32> }
    struct Old { value: u32 }
    enum ExternalOther { A, B(String), C { x: u8 } }
    enum List { Nil, Cons(u8, Box<List>) }
    enum WideList { Nil, Cons(u16, Box<WideList>) }
}

/// A change, and its effects on new workers with messages of old producers, and on running workers with messages of new ones.
struct Case {
    change: &'static str,
    old: Value,
    new: Value,
    waiting: &'static [&'static str],
    running: &'static [&'static str],
}

fn case<Old: JsonSchema, New: JsonSchema>(
    change: &'static str,
    waiting: &'static [&'static str],
    running: &'static [&'static str],
) -> Case {
    Case { change, old: schema::<Old>(), new: schema::<New>(), waiting, running }
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    vec![
        case::<Plain, Plain>("nothing", &[], &[]),
        case::<Plain, Both>("a required field is added", &["/size missing"], &[]),
        case::<Plain, Maybe>("an optional field is added", &[], &[]),
        case::<Plain, Defaulted>("a field with a default is added", &[], &[]),
        case::<Strict, StrictBoth>(
            "a field is added to a strict struct",
            &["/size missing"],
            &["/size unknown-field"],
        ),
        case::<Strict, Maybe>(
            "a strict struct accepts unknown fields and has one more",
            &[],
            &["/size unknown-field"],
        ),
        case::<Plain, Strict>("unknown fields are refused", &[], &[]),
        case::<Both, Plain>("a required field is removed", &[], &["/size missing"]),
        case::<Both, Strict>(
            "a required field is removed and refused",
            &["/size unknown-field"],
            &["/size missing"],
        ),
        case::<Maybe, Plain>("an optional field is removed", &[], &[]),
        case::<Plain, Renamed>("a field is renamed", &["/title missing"], &["/name missing"]),
        case::<Maybe, Both>("an optional field is required", &["/size missing", "/size narrower"], &[]),
        case::<Both, Maybe>("a required field is optional", &[], &["/size missing", "/size narrower"]),
        case::<Nothing, Nothing>("nothing, in an empty struct", &[], &[]),
        case::<Nothing, Maybe>(
            "an empty struct gets an optional field",
            &["/name missing", "?/size narrower"],
            &[],
        ),
        case::<NoFields, Defaulted>(
            "a struct that says that it is empty gets fields",
            &["/name missing"],
            &[],
        ),
        case::<Nothing, AnyMap>("an empty struct gets a map", &["/value missing"], &[]),
        case::<AnyMap, IntegerMap>(
            "a map of any values becomes one of integers",
            &["/value/* narrower"],
            &[],
        ),
        case::<Nothing, Plain>("an empty struct gets a field", &["/name missing"], &[]),
        case::<Nested, NestedBoth>(
            "a field is added inside",
            &["/inner/size missing", "/list/*/size missing", "/map/*/size missing"],
            &[],
        ),
        case::<u8, u32>("an integer is widened", &[], &["/ narrower"]),
        case::<u64, u32>("an integer is narrowed", &["/ narrower"], &[]),
        case::<u32, i64>("an integer gets a sign", &[], &["/ narrower", "/ narrower"]),
        case::<i32, u32>("an integer loses its sign", &["/ narrower"], &["/ narrower"]),
        case::<u8, NonZeroU8>("zero is refused", &["/ narrower"], &[]),
        case::<i32, NonZeroI32>("zero is refused among signed numbers", &["/ unknown-value"], &[]),
        case::<u32, f64>("an integer becomes a float", &[], &["/ narrower", "/ narrower", "/ narrower"]),
        case::<f64, f32>("a float loses precision", &["?/ not-compared"], &[]),
        case::<u32, String>("a number becomes a text", &["/ narrower"], &["/ narrower"]),
        case::<String, Option<String>>("null is accepted", &[], &["/ narrower"]),
        case::<Option<Plain>, Plain>("null is refused", &["/ narrower"], &[]),
        case::<String, char>("a text becomes a character", &["/ narrower", "/ narrower"], &[]),
        case::<Unit, UnitMore>("a unit variant is added", &[], &["/ unknown-value"]),
        case::<Unit, Documented>("variants get a text", &[], &[]),
        case::<Documented, UnitMore>("a documented enum gets a variant", &[], &["/ unknown-value"]),
        case::<Unit, String>("an enum becomes a text", &[], &["/ narrower"]),
        case::<External, ExternalMore>("an externally tagged variant is added", &[], &["/ unknown-value"]),
        case::<External, ExternalWide>("variants are widened", &[], &["/B narrower", "/C/x narrower"]),
        case::<External, ExternalOther>("a variant gets another content", &["/B narrower"], &["/B narrower"]),
        case::<Unit, External>("unit variants get contents", &["/ unknown-value"], &["/ narrower"]),
        case::<Internal, InternalMore>("an internally tagged variant is added", &[], &["/ unknown-value"]),
        case::<Internal, InternalField>("a variant gets a field", &["/y missing"], &[]),
        case::<Internal, InternalTag>(
            "the tag is renamed",
            &["/ unknown-value", "/ unknown-value"],
            &["/ unknown-value", "/ unknown-value"],
        ),
        case::<Adjacent, AdjacentMore>("an adjacently tagged variant is added", &[], &["/ unknown-value"]),
        case::<Untagged, UntaggedMore>("an untagged variant is added", &[], &["/ narrower"]),
        case::<String, Untagged>("a text becomes an untagged enum", &[], &["/ narrower"]),
        case::<Tree, WideTree>("a recursive type is widened", &[], &["/value narrower"]),
        case::<Tree, DeepTree>("a recursive type gets an optional field", &[], &[]),
        case::<List, WideList>("a recursive enum is widened", &[], &["/Cons/0 narrower"]),
        case::<Unflat, Flat>("a field moves into a flattened struct", &[], &[]),
        case::<Flat, FlatMap>(
            "a flattened struct becomes a map",
            &["/name narrower"],
            &["/name missing", "/name narrower"],
        ),
        case::<Vec<u8>, BTreeSet<u8>>("a list becomes a set", &["?/ not-compared"], &[]),
        case::<(u8, u8), (u8, u16)>("an item of a tuple is widened", &[], &["/1 narrower"]),
        case::<(u8, u8), Vec<u8>>("a tuple becomes a list", &[], &["/ narrower", "/ narrower"]),
        case::<BTreeMap<String, u8>, BTreeMap<String, u16>>(
            "the values of a map are widened",
            &[],
            &["/* narrower"],
        ),
        case::<BTreeMap<u32, u8>, BTreeMap<u32, u16>>("a map from numbers is widened", &[], &["/* narrower"]),
        case::<Old, Any>("a field takes any value", &[], &["/value narrower"]),
        case::<InternalOf, InternalOf>("nothing, in a tagged enum of structs", &[], &[]),
        case::<StrictFlat, StrictFlat>("nothing, in a strict struct with a flattened enum", &[], &[]),
    ]
}

#[test]
fn a_change_breaks_what_it_breaks() {
    let mut wrong = Vec::new();
    let root = |text: String| {
        text.replacen(' ', if text.starts_with(' ') || text.starts_with("? ") { "/ " } else { " " }, 1)
    };
    for Case { change, old, new, waiting, running } in cases() {
        for (direction, reader, writer, expected) in
            [("waiting", &new, &old, waiting), ("running", &old, &new, running)]
        {
            let found: Vec<String> = found(reader, writer).into_iter().map(root).collect();
            if found != expected {
                let texts = format!("{:?}\n  reader {reader}\n  writer {writer}", mismatches(reader, writer));
                wrong.push(format!("{change}, {direction}: {found:?}, expected {expected:?}\n  {texts}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_type_accepts_what_it_writes_even_if_its_text_differs() {
    for Case { change, old, new, .. } in cases() {
        for mut schema in [old, new] {
            let written = schema.clone();
            // Makes the texts differ at the root and in every definition.
            let Some(root) = schema.as_object_mut() else { continue };
            root.insert("title".to_owned(), json!("Other"));
            for definition in root.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
                definition.1["description"] = json!("Other");
            }
            assert_eq!(found(&schema, &written), [""; 0], "{change}: {written}");
        }
    }
}

#[test]
fn what_is_not_understood_is_a_doubt() {
    let object = |more: Value| {
        let mut schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let plain = object(json!({}));
    let table = [
        (object(json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] } })), "?  not-compared"),
        (object(json!({ "not": { "required": ["a"] } })), "? not-compared"),
        (object(json!({ "dependentRequired": { "a": ["b"] } })), "? not-compared"),
        (object(json!({ "$ref": "https://example.com/other.json" })), "? not-compared"),
        (object(json!({ "$ref": "#anchor" })), "? not-compared"),
        (object(json!({ "type": "elephant" })), "? not-compared"),
        (object(json!({ "$schema": "http://json-schema.org/draft-04/schema#" })), "? not-compared"),
        (object(json!({ "oneOf": [{ "required": [] }, { "title": "any" }] })), "? not-compared"),
        (object(json!({ "patternProperties": { "^a": { "type": "string" } } })), "?/a narrower"),
        (
            object(json!({ "properties": { "a": { "type": "integer", "multipleOf": 2 } } })),
            "?/a not-compared",
        ),
    ];
    for (reader, expected) in table {
        let found = found(&reader, &plain);
        assert_eq!(found, [expected.replace("?  ", "? ")], "{reader}");
    }
    // If a writer's schema has such a keyword, a mismatch is in doubt.
    let writer = object(json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] } }));
    assert_eq!(found(&object(json!({ "required": ["a"] })), &writer), ["?/a missing"]);
}

/// `{"type":"object"}` may have any fields, as `{"type":"array"}` may have any items.
#[test]
fn a_bare_object_may_have_any_fields() {
    let bare = json!({ "type": "object" });
    let integers = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let optional = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let required = json!({ "type": "object", "properties": { "a": {} }, "required": ["a"] });
    let without = json!({ "type": "object", "properties": {} });
    let strict = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let few = json!({ "type": "object", "maxProperties": 2 });
    let titled = json!({ "type": "object", "title": "Other" });
    let nested =
        |schema: &Value| json!({ "type": "array", "items": { "oneOf": [{ "type": "null" }, schema] } });
    let branches = json!({ "oneOf": [required, { "type": "object", "required": ["b"] }] });
    // Reader and writer.
    let table = [
        (&titled, &bare, vec![]),
        (&bare, &integers, vec![]),
        (&integers, &bare, vec!["?/* narrower"]),
        (&optional, &bare, vec!["?/a narrower"]),
        (&required, &bare, vec!["/a missing"]),
        (&strict, &bare, vec!["?/* unknown-field"]),
        (&few, &bare, vec!["? narrower"]),
        (&branches, &bare, vec![" unknown-value"]),
        (&optional, &without, vec![]),
        (&strict, &without, vec![]),
        (&few, &without, vec![]),
        // A required field does not exclude others.
        (&optional, &json!({ "type": "object", "required": ["b"] }), vec!["?/a narrower"]),
        (&optional, &json!({ "type": "object", "allOf": [without] }), vec![]),
        (&nested(&optional), &nested(&bare), vec!["?/*/a narrower"]),
        (&nested(&optional), &nested(&without), vec![]),
    ];
    for (reader, writer, expected) in table {
        assert_eq!(found(reader, writer), expected, "reader {reader}\nwriter {writer}");
    }
    // With a field of a branch, the object may fit both branches.
    let either = json!({ "oneOf": [required, { "type": "object", "properties": { "b": true } }] });
    assert_eq!(found(&either, &bare), ["? not-compared"]);
}

/// A worker whose type is an integer does not read `1.0`.
#[test]
fn a_decimal_point_is_no_integer() {
    let integer = || json!({ "type": "integer" });
    // Reader, writer, and what is found.
    let table = [
        (json!({ "const": 1.0 }), json!({ "const": 1 }), vec!["? not-compared"]),
        (json!({ "const": 1 }), json!({ "const": 1.0 }), vec!["? not-compared"]),
        (json!({ "enum": [1, 1.0] }), json!({ "const": 1.0 }), vec![]),
        (integer(), json!({ "const": 1.0 }), vec![" narrower"]),
        (json!({ "type": "integer", "const": 1 }), json!({ "enum": [1.0] }), vec![" narrower"]),
        (integer(), json!({ "type": "integer", "const": 1.0 }), vec![]),
        (integer(), json!({ "const": 1.5 }), vec![" unknown-value"]),
        (json!({ "type": "number" }), json!({ "const": 1.0 }), vec![]),
    ];
    for (reader, writer, expected) in table {
        assert_eq!(found(&reader, &writer), expected, "reader {reader}\nwriter {writer}");
    }
}

#[test]
fn drafts_and_other_generators_are_read() {
    let old = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": { "p": { "$ref": "#/definitions/P", "type": "string" }, "t": { "type": "array", "items": [{ "type": "string" }], "additionalItems": false } },
        "definitions": { "P": { "type": "integer", "minimum": 0 } } });
    let new = json!({ "type": "object", "properties": {
        "p": { "type": "integer" }, "t": { "type": "array", "prefixItems": [{ "type": ["string", "null"] }], "items": false } } });
    assert_eq!(found(&new, &old), [""; 0]);
    assert_eq!(found(&old, &new), ["/p narrower", "/t/0 narrower"]);
    let nullable = json!({ "type": "string", "nullable": true });
    assert_eq!(found(&json!({ "type": ["string", "null"] }), &nullable), [""; 0]);
}

#[test]
fn schemas_without_an_end_are_given_up() {
    let endless = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/A" } } });
    assert_eq!(found(&endless, &json!({ "type": "string" })), ["? not-compared"]);
    // 2^40 alternatives.
    let branch =
        |n: usize| json!({ "anyOf": [{ "required": [format!("a{n}")] }, { "required": [format!("b{n}")] }] });
    let wide = json!({ "type": "object", "allOf": (0..40).map(branch).collect::<Vec<_>>() });
    assert_eq!(found(&wide, &json!({ "type": "object" })), ["? not-compared"]);
}
