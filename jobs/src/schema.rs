//! Schemas of older payloads.

use serde_json::Value;

/// Returns the schema of a payload that did not have this field yet.
pub(crate) fn without(mut schema: Value, field: &str) -> Value {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.remove(field);
    }
    schema
}
