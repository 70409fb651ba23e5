#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn the_notation_does_not_matter() {
    let one = r#"{"a":1,"b":[1.5,true,null,"é\n"],"c":{"x":"","y":-2}}"#;
    let same = "{ \"c\" : {\"y\":-2.0,\"x\":\"\"}, \"b\":[15e-1,true,null,\"\\u00e9\\u000a\"], \"a\":1.0 }";
    assert_eq!(payload_hash("t", one), payload_hash("t", same));
}

#[test]
fn whatever_differs_matters() {
    let payloads = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "1.5",
        "18446744073709551615",
        "1e300",
        "\"\"",
        "\"1\"",
        "\"null\"",
        "[]",
        "[1]",
        "[1,2]",
        "[2,1]",
        "[[1],2]",
        "[1,[2]]",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a":2,"b":1}"#,
        r#"{"a":{"b":1}}"#,
        r#"[{"a":1},{"b":2}]"#,
        "no json",
        "",
    ];
    let mut seen = std::collections::HashMap::new();
    for payload in payloads {
        for job_type in ["t", "u"] {
            let before = seen.insert(payload_hash(job_type, payload), (job_type, payload));
            assert_eq!(before, None, "as {job_type} {payload}");
        }
    }
}

#[test]
fn stores_keep_it_so_it_never_changes() {
    let hash = payload_hash("email.send", r#"{"to":["a","b"],"n":1.5}"#);
    assert_eq!(format!("{hash:032x}"), "5a1b15101c8561b0f2157d736ebc5ca0");
    // Long texts are hashed in another way than short ones.
    let hash = payload_hash("email.send", &format!("\"{}\"", "long ".repeat(100)));
    assert_eq!(format!("{hash:032x}"), "6510f674cd996fb8e6ce454b5e8887ae");
}

/// The same hash by a parser of all values.
mod reference {
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

    use super::super::{Kind, float, integer, leaf, pair};

    pub(super) fn payload_hash(job_type: &str, payload: &str) -> u128 {
        let value = match serde_json::from_str::<Hashed>(payload) {
            Ok(Hashed(value)) => value,
            Err(_) => leaf(Kind::Raw, payload.as_bytes()),
        };
        pair(Kind::Whole, leaf(Kind::Text, job_type.as_bytes()), value)
    }

    struct Hashed(u128);

    impl<'de> Deserialize<'de> for Hashed {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Values).map(Self)
        }
    }

    struct Values;

    impl<'de> Visitor<'de> for Values {
        type Value = u128;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E>(self) -> Result<u128, E> {
            Ok(leaf(Kind::Null, &[]))
        }

        fn visit_bool<E>(self, value: bool) -> Result<u128, E> {
            Ok(leaf(Kind::Bool, &[u8::from(value)]))
        }

        fn visit_i64<E>(self, value: i64) -> Result<u128, E> {
            Ok(integer(value.into()))
        }

        fn visit_u64<E>(self, value: u64) -> Result<u128, E> {
            Ok(integer(value.into()))
        }

        fn visit_f64<E>(self, value: f64) -> Result<u128, E> {
            Ok(float(value))
        }

        fn visit_str<E>(self, value: &str) -> Result<u128, E> {
            Ok(leaf(Kind::Text, value.as_bytes()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u128, A::Error> {
            let mut array = leaf(Kind::Array, &[]);
            while let Some(Hashed(item)) = items.next_element()? {
                array = pair(Kind::Array, array, item);
            }
            Ok(array)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u128, A::Error> {
            let mut sum = 0_u128;
            while let Some((Hashed(key), Hashed(value))) = entries.next_entry()? {
                sum = sum.wrapping_add(pair(Kind::Object, key, value));
            }
            Ok(leaf(Kind::Object, &sum.to_le_bytes()))
        }
    }
}

fn assert_same(payload: &str) {
    assert_eq!(payload_hash("t", payload), reference::payload_hash("t", payload), "{payload}");
}

#[test]
fn the_hash_is_that_of_a_parser() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep_objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for depth in [1, 126, 127, 128, 129, 300] {
        assert_same(&deep(depth));
        assert_same(&deep_objects(depth));
    }
    let payloads = [
        "-0",
        "0.0",
        "-0.0",
        "1e2",
        "1E+2",
        "1.5e-7",
        "9007199254740993",
        "9007199254740993.0",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1e999",
        "[1e999]",
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#"{"\ud83d":1}"#,
        r#"{"a\"b":"c\\","\u0061":2,"d":"e"}"#,
        " {\t\"a\" :\r\n[ ] , \"b\": { } , \"a\":[ 1 ,2 ] } ",
        r#"{"a":1,}"#,
        "[1,]",
        "[1 2]",
        "[1,2",
        r#""open"#,
        "nul",
        "01",
        "1 2",
        "\u{b}1",
        "\"\u{1}\"",
    ];
    for payload in payloads {
        assert_same(payload);
    }
}

proptest! {
    #[test]
    fn the_hash_of_any_value_is_that_of_a_parser(
        value in any_json(),
        pretty in any::<bool>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        assert_same(&text.unwrap());
    }

    #[test]
    fn the_hash_of_any_text_is_that_of_a_parser(text in r#"[\[\]{}:,"\\u0-9dD8.eE+\- nultrefas]{0,12}"#) {
        assert_same(&text);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
