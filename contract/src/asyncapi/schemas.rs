//! Converts JSON Schemas to AsyncAPI's Schema Objects: draft 7, with their definitions among the document's components.

use serde_json::{Map, Value, json};

use super::names::key;

/// Keywords whose value is a schema.
const OF_SCHEMA: [&str; 12] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];

/// Keywords whose value is a list of schemas.
const OF_SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is a map from names to schemas.
const OF_NAMED_SCHEMAS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];

/// Keywords whose value is a map from names to definitions.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Adds a schema to the components, and its definitions as `NAME.DEFINITION`. A missing schema accepts every value.
pub(super) fn add_schema(schemas: &mut Map<String, Value>, name: &str, schema: Option<&Value>) {
    for definitions in DEFINITIONS {
        let entries = schema.and_then(|schema| schema.get(definitions)).and_then(Value::as_object);
        for (definition, schema) in entries.into_iter().flatten() {
            schemas.insert(definition_key(name, definition), converted(schema, name));
        }
    }
    schemas.insert(name.to_owned(), schema.map_or(json!(true), |schema| converted(schema, name)));
}

fn definition_key(name: &str, definition: &str) -> String {
    format!("{name}.{}", key(definition))
}

/// Converts a schema of the document `name`.
fn converted(schema: &Value, name: &str) -> Value {
    let Value::Object(node) = schema else { return schema.clone() };
    let of = |schema: &Value| converted(schema, name);
    let all = |schemas: &[Value]| Value::Array(schemas.iter().map(of).collect());
    let mut new = Map::new();
    for (keyword, value) in node {
        let converted = match (keyword.as_str(), value) {
            ("$schema" | "$id", _) => continue,
            (keyword, _) if DEFINITIONS.contains(&keyword) => continue,
            ("$ref", Value::String(reference)) => json!(target(reference, name)),
            (keyword, Value::Array(schemas)) if OF_SCHEMAS.contains(&keyword) || keyword == "items" => {
                all(schemas)
            }
            (keyword, value) if OF_SCHEMA.contains(&keyword) => of(value),
            (keyword, Value::Object(named)) if OF_NAMED_SCHEMAS.contains(&keyword) => {
                named.iter().map(|(name, schema)| (name.clone(), of(schema))).collect()
            }
            _ => value.clone(),
        };
        new.insert(keyword.clone(), converted);
    }
    // Draft 7 has the schemas of the first items in `items`.
    if let Some(first) = new.remove("prefixItems")
        && let Some(rest) = new.insert("items".to_owned(), first)
    {
        new.insert("additionalItems".to_owned(), rest);
    }
    // Draft 7 ignores keywords beside a reference.
    if new.len() > 1
        && let Some(reference) = new.remove("$ref")
        && let Value::Array(all) = new.entry("allOf").or_insert_with(|| json!([]))
    {
        all.insert(0, json!({ "$ref": reference }));
    }
    Value::Object(new)
}

/// Returns the reference within the whole document.
fn target(reference: &str, name: &str) -> String {
    let Some(pointer) = reference.strip_prefix('#') else { return reference.to_owned() };
    for definitions in DEFINITIONS {
        let Some(rest) = pointer.strip_prefix(&format!("/{definitions}/")) else { continue };
        let (definition, below) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
        let definition = definition.replace("~1", "/").replace("~0", "~");
        return format!("#/components/schemas/{}{below}", definition_key(name, &definition));
    }
    format!("#/components/schemas/{name}{pointer}")
}
