//! The text of each keyword, and the values and documents that are never shown or fetched.
#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

#[test]
#[allow(clippy::too_many_lines, reason = "one table of all keywords")]
fn each_keyword_has_its_words() {
    let person = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let table = [
        (json!({"required": ["a"]}), json!({}), "/a", "required", "payload.a is missing"),
        (json!({"type": "integer"}), json!("x"), "", "type", "payload is a string, and must be an integer"),
        (
            json!({"type": ["string", "null"]}),
            json!(7),
            "",
            "type",
            "payload is a number, and must be null or a string",
        ),
        (json!({"type": "integer"}), json!(7.5), "", "type", "payload is a number, and must be an integer"),
        (json!({"enum": ["a", "b", 3]}), json!("c"), "", "enum", "payload must be one of \"a\", \"b\" or 3"),
        (
            json!({"type": "integer", "format": "uint8"}),
            json!(256),
            "",
            "maximum",
            "payload must be at most 255",
        ),
        (json!({"const": "a"}), json!("c"), "", "const", "payload must be \"a\""),
        (json!({"minimum": 3}), json!(1), "", "minimum", "payload must be at least 3"),
        (json!({"maximum": 3}), json!(4), "", "maximum", "payload must be at most 3"),
        (json!({"exclusiveMinimum": 3}), json!(3), "", "exclusiveMinimum", "payload must be more than 3"),
        (json!({"exclusiveMaximum": 3}), json!(3), "", "exclusiveMaximum", "payload must be less than 3"),
        (json!({"multipleOf": 3}), json!(4), "", "multipleOf", "payload must be a multiple of 3"),
        (json!({"minLength": 1}), json!(""), "", "minLength", "payload must have at least 1 character"),
        (json!({"maxLength": 2}), json!("secret"), "", "maxLength", "payload must have at most 2 characters"),
        (json!({"pattern": "^a+$"}), json!("secret"), "", "pattern", "payload must match the pattern ^a+$"),
        (json!({"minItems": 1}), json!([]), "", "minItems", "payload must have at least 1 item"),
        (json!({"maxItems": 1}), json!([1, 2]), "", "maxItems", "payload must have at most 1 item"),
        (json!({"uniqueItems": true}), json!(["s", "s"]), "", "uniqueItems", "payload has an item twice"),
        (
            json!({"contains": {"const": 1}}),
            json!([2]),
            "",
            "contains",
            "payload has no item that the schema requires",
        ),
        (json!({"minProperties": 1}), json!({}), "", "minProperties", "payload must have at least 1 field"),
        (
            json!({"maxProperties": 0}),
            json!({"a": 1}),
            "",
            "maxProperties",
            "payload must have at most 0 fields",
        ),
        (
            json!({"additionalProperties": false, "properties": {"a": {}}}),
            json!({"a": 1, "b": 2, "c": 3}),
            "",
            "additionalProperties",
            "payload has fields that the schema does not know: \"b\" and \"c\"",
        ),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"long": 1}),
            "",
            "propertyNames",
            "payload has a field whose name the schema does not allow",
        ),
        (
            json!({"not": {"type": "string"}}),
            json!("x"),
            "",
            "not",
            "payload has a form that the schema excludes",
        ),
        (
            json!({"properties": {"a": false}}),
            json!({"a": 1}),
            "/a",
            "falseSchema",
            "payload.a must not be there",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!(7),
            "",
            "anyOf",
            "payload has none of the forms that the schema allows",
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
            json!("x"),
            "",
            "oneOf",
            "payload has several of the forms of which the schema allows one",
        ),
        (
            json!({"properties": {"to": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]}}, "$defs": {"Person": person}}),
            json!({"to": {"name": 7}}),
            "/to/name",
            "type",
            "payload.to.name is a number, and must be a string",
        ),
        (
            json!({"items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Person"}]}, "$defs": {"Person": person}}),
            json!([null, {}]),
            "/1/name",
            "required",
            "payload[1].name is missing",
        ),
    ];
    for (schema, payload, pointer, keyword, text) in table {
        let problems = SchemaGuard::new(&schema).unwrap().check(&payload).unwrap_err();
        assert_eq!(problems.len(), 1, "{schema}: {problems:?}");
        let problem = &problems[0];
        assert_eq!(
            (&*problem.pointer, &*problem.keyword, &*problem.to_string()),
            (pointer, keyword, text),
            "{schema}"
        );
    }
}

#[test]
fn no_reference_leaves_the_schema_and_values_are_hidden() {
    for outside in ["https://example.com/schema.json", "file:///etc/passwd", "other.json#/a"] {
        let error = SchemaGuard::new(&json!({"$ref": outside})).unwrap_err().to_string();
        assert!(error.starts_with("the schema cannot be used: "), "{error}");
    }
    assert!(SchemaGuard::new(&json!({"type": "text"})).is_err());
    let numbers = SchemaGuard::new(&json!({"additionalProperties": {"type": "integer"}})).unwrap();
    let problems = numbers.check(&json!({"ada@example.com": "x"})).unwrap_err();
    assert_eq!(problems[0].to_string(), "payload.* is a string, and must be an integer");
    let none = SchemaGuard::new(&json!({"additionalProperties": false})).unwrap();
    let problems = none.check(&json!({"ada@example.com": "x"})).unwrap_err();
    assert_eq!(problems[0].to_string(), "payload has fields that the schema does not know");
    let none = SchemaGuard::new(&json!({"additionalProperties": false, "properties": {"a": {}}})).unwrap();
    let problems = none.check(&json!({"ada@example.com": "x"})).unwrap_err();
    assert_eq!(problems[0].to_string(), "payload has fields that the schema does not know: \"*\"");
}

#[test]
fn problems_are_bounded() {
    let schema = SchemaGuard::new(&json!({"items": {"type": "integer"}})).unwrap();
    assert_eq!(schema.check(&json!(vec!["x"; 1_000])).unwrap_err().len(), MAX_PROBLEMS);
}

#[test]
fn no_text_has_the_value() {
    const VALUE: &str = "hunter2-hunter2";
    let schemas = [
        json!({"type": "integer"}),
        json!({"type": ["integer", "null"]}),
        json!({"enum": ["a"]}),
        json!({"const": "a"}),
        json!({"maxLength": 1}),
        json!({"minLength": 100}),
        json!({"pattern": "^a$"}),
        json!({"not": {"type": "string"}}),
        json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
        json!(false),
    ];
    for schema in schemas {
        let inner = SchemaGuard::new(&schema).unwrap();
        let outer = json!({
            "properties": {"a": schema},
            "items": schema,
            "uniqueItems": true,
            "maxItems": 0,
            "maxProperties": 0,
            "contains": {"const": 1},
            "unevaluatedProperties": {"const": 1},
        });
        let outer = SchemaGuard::new(&outer).unwrap();
        let mut problems = inner.check(&json!(VALUE)).unwrap_err();
        problems.extend(outer.check(&json!({"a": VALUE, "b": VALUE})).unwrap_err());
        problems.extend(outer.check(&json!([VALUE, VALUE])).unwrap_err());
        assert!(
            problems.iter().all(|problem| !format!("{problem} {problem:?}").contains(VALUE)),
            "{problems:?}"
        );
    }
}
