//! Finds the parts of a document by their names.

use serde_json::{Map, Value};

/// Returns a part of a template that maps names. Empty if the part is not a map.
pub(super) fn section<'a>(root: &'a Value, name: &str) -> &'a Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    root[name].as_object().unwrap_or(&EMPTY)
}

pub(super) fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
