#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn changed(body: &str, change: impl FnOnce(&mut Value)) -> Result<String, RepeatedKey> {
    let before = exact::read(json_in(body)).unwrap();
    let mut after = before.clone();
    change(&mut after);
    splice(body, &before, &after)
}

fn set(pointer: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |body| *body.pointer_mut(pointer).unwrap() = value
}

#[test]
fn only_what_differs_is_written_anew() {
    let numbers = r#"{"b":1.0,"a":12345678901234567890123,"e":1e400}"#;
    assert_eq!(changed(numbers, set("/b", json!(2))).unwrap(), numbers.replace("1.0", "2"));
    let marked = "\u{feff}\n { \"z\" : [ 1.50 , {\"k\":\"\\u00e9\"} ] ,\t\"a\": \"x\" }\r\n";
    assert_eq!(changed(marked, set("/a", json!("y"))).unwrap(), marked.replace("\"x\"", "\"y\""));
    assert_eq!(changed(marked, set("/z/1/k", json!(null))).unwrap(), marked.replace("\"\\u00e9\"", "null"));
    assert_eq!(changed(marked, set("", json!(7))).unwrap(), "\u{feff}\n 7\r\n");
}

#[test]
fn members_and_elements_are_added_and_removed_in_their_place() {
    let remove = |key: &'static str| {
        move |body: &mut Value| {
            body.as_object_mut().unwrap().remove(key);
        }
    };
    let add = |key: &'static str| {
        move |body: &mut Value| {
            body.as_object_mut().unwrap().insert(key.into(), json!([1]));
        }
    };
    let pretty = "{\n  \"a\": 1,\n  \"b\": 2\n}";
    assert_eq!(changed(pretty, remove("a")).unwrap(), "{\n  \"b\": 2\n}");
    assert_eq!(changed(pretty, remove("b")).unwrap(), "{\n  \"a\": 1\n}");
    assert_eq!(changed(pretty, add("A")).unwrap(), "{\n  \"a\": 1,\n  \"b\": 2,\n  \"A\": [1]\n}");
    assert_eq!(changed("{ }", add("k\"")).unwrap(), "{\"k\\\"\":[1] }");
    assert_eq!(changed("[1, 2, 3.0]", set("", json!([0, 2, 3.0]))).unwrap(), "[0, 2, 3.0]");
    assert_eq!(changed("[1, 2, 3.00]", set("", json!([1, 3.0]))).unwrap(), "[1, 3.00]");
    assert_eq!(changed("[1, 3.00]", set("", json!([1, 2, 2, 3.0]))).unwrap(), "[1,2,2, 3.00]");
    assert_eq!(changed("[]", set("", json!([1, 2]))).unwrap(), "[1,2]");
    assert_eq!(changed("[ 1 ]", set("", json!([]))).unwrap(), "[ ]");
}

#[test]
fn a_repeated_key_stays_or_is_refused() {
    let body = r#"{"a":{"k":1,"k":2},"b":1}"#;
    assert_eq!(changed(body, set("/b", json!(2))).unwrap(), body.replace("\"b\":1", "\"b\":2"));
    assert_eq!(changed(body, set("/a/k", json!(3))), Err(RepeatedKey("k".to_owned())));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c\\x00\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]{1,2}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_spliced_text_has_the_new_value_or_stays_if_it_is_equal(
        one in any_json(),
        other in any_json(),
        is_pretty in any::<bool>(),
    ) {
        let text = if is_pretty { serde_json::to_string_pretty(&one).unwrap() } else { one.to_string() };
        let before = exact::read(&text).unwrap();
        let after = exact::read(&other.to_string()).unwrap();
        prop_assert_eq!(splice(&text, &before, &before).unwrap(), text.clone());
        let spliced = splice(&text, &before, &after).unwrap();
        prop_assert_eq!(exact::read(&spliced), Some(after), "{} {}", text, spliced);
    }
}
