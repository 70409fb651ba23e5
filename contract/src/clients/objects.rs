//! Schemas of objects whose fields are described in several places, for example through `serde(flatten)`.

use serde_json::{Map, Value, json};

/// Returns the target of a local reference.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    match reference.strip_prefix('#')? {
        "" => Some(root),
        pointer => root.pointer(pointer),
    }
}

/// Returns a schema with the fields of both. For other keywords, the second schema wins.
fn merged(base: &Map<String, Value>, more: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = base.clone();
    for (keyword, value) in more {
        match (merged.get_mut(keyword), value) {
            (Some(Value::Object(fields)), Value::Object(own)) if keyword == "properties" => {
                fields.extend(own.iter().map(|(name, schema)| (name.clone(), schema.clone())));
            }
            (Some(Value::Array(names)), Value::Array(own)) if keyword == "required" => {
                names.extend(
                    own.iter()
                        .filter(|name| !base["required"].as_array().is_some_and(|all| all.contains(name)))
                        .cloned(),
                );
            }
            _ => {
                merged.insert(keyword.clone(), value.clone());
            }
        }
    }
    merged
}

/// Returns the alternatives of a schema that also has its own fields: each with these fields, and with a hint for its name.
pub(super) fn alternatives(
    root: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
) -> Vec<(Option<String>, Value)> {
    let mut base = schema.clone();
    let parts = base.remove(keyword);
    let parts = parts.as_ref().and_then(Value::as_array).into_iter().flatten();
    let has_fields = base.contains_key("properties");
    parts.map(|part| (hint(part), if has_fields { with(root, &base, part) } else { part.clone() })).collect()
}

/// Returns a schema that merges the parts of `allOf` into one object, or `None` if a part is not an object.
pub(super) fn united(root: &Value, schema: &Map<String, Value>) -> Option<Value> {
    let mut base = schema.clone();
    let Some(Value::Array(parts)) = base.remove("allOf") else { return None };
    if let ([only], false) = (parts.as_slice(), base.contains_key("properties")) {
        return Some(only.clone());
    }
    let is_object = |part: &&Value| target(root, part, 0).get("properties").is_some();
    if parts.iter().filter(is_object).count() < parts.len() {
        return None;
    }
    Some(parts.iter().fold(Value::Object(base), |base, part| match base {
        Value::Object(base) => with(root, &base, part),
        other => other,
    }))
}

fn with(root: &Value, base: &Map<String, Value>, part: &Value) -> Value {
    match target(root, part, 0) {
        Value::Object(own) => Value::Object(merged(base, own)),
        _ => Value::Object(base.clone()),
    }
}

/// The largest number of consecutive references. A longer chain is a cycle.
const MOST_REFERENCES: usize = 32;

/// Follows references without other keywords.
fn target<'a>(root: &'a Value, schema: &'a Value, depth: usize) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    match reference.and_then(|reference| resolve(root, reference)) {
        Some(found) if depth < MOST_REFERENCES => target(root, found, depth + 1),
        _ => schema,
    }
}

/// Returns a hint for the name of an alternative: its title, the constant that distinguishes it, or its only field.
fn hint(alternative: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(title) = alternative.get("title").and_then(text) {
        return Some(title);
    }
    let fields = alternative.get("properties")?.as_object()?;
    let constants = fields.values().filter_map(|field| field.get("const").and_then(text));
    constants.reduce(|first, _| first).or_else(|| {
        match alternative.get("required").unwrap_or(&json!([])).as_array()?.as_slice() {
            [only] => text(only),
            _ => None,
        }
    })
}
