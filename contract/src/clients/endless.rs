//! Finds schemas that refer to themselves for the same value: checking a value against them would not end, and no type can be
//! generated for them.

use std::collections::HashSet;

use serde_json::Value;

use super::objects::resolve;

/// Returns a reference in the schema that leads back to itself for the same value, if there is one. A field or an item that
/// refers to the schema around it does not count, because values end.
pub(super) fn reference(root: &Value) -> Option<String> {
    let mut search = Search { root, open: Vec::new(), ended: HashSet::new() };
    search.anywhere(root)
}

struct Search<'a> {
    root: &'a Value,
    /// The schemas that are applied to one value, in the order of their references.
    open: Vec<*const Value>,
    /// The schemas that are known to end.
    ended: HashSet<*const Value>,
}

impl<'a> Search<'a> {
    fn anywhere(&mut self, schema: &'a Value) -> Option<String> {
        if let Some(found) = self.follow(schema) {
            return Some(found);
        }
        match schema {
            Value::Object(keywords) => keywords.values().find_map(|inner| self.anywhere(inner)),
            Value::Array(items) => items.iter().find_map(|inner| self.anywhere(inner)),
            _ => None,
        }
    }

    /// Follows the schemas that apply to the same value as this schema.
    fn follow(&mut self, schema: &'a Value) -> Option<String> {
        let Value::Object(keywords) = schema else { return None };
        let place = std::ptr::from_ref(schema);
        if self.ended.contains(&place) {
            return None;
        }
        self.open.push(place);
        let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|list| keywords.get(list)?.as_array());
        let mut parts = lists.flatten().chain(keywords.get("not"));
        let mut found = parts.find_map(|part| self.follow(part));
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str)
            && let Some(target) = resolve(self.root, reference)
        {
            let is_open = self.open.contains(&std::ptr::from_ref(target));
            found = found.or_else(|| if is_open { Some(reference.to_owned()) } else { self.follow(target) });
        }
        self.open.pop();
        self.ended.insert(place);
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_refers_to_itself_for_the_same_value_is_endless() {
        let table = [
            (json!({ "$ref": "#" }), Some("#")),
            (json!({ "anyOf": [{ "$ref": "#" }, null] }), Some("#")),
            (json!({ "not": { "allOf": [{ "$ref": "#" }] } }), Some("#")),
            (
                json!({ "items": { "$ref": "#/$defs/A" }, "$defs": { "A": { "$ref": "#/$defs/B" }, "B": { "oneOf": [null, { "$ref": "#/$defs/A" }] } } }),
                Some("#/$defs/A"),
            ),
            (json!({ "type": "object", "properties": { "a": { "$ref": "#" } } }), None),
            (json!({ "anyOf": [{ "items": { "$ref": "#" } }, null] }), None),
            (json!({ "additionalProperties": { "$ref": "#" } }), None),
            (
                json!({ "anyOf": [{ "$ref": "#/$defs/A" }, { "$ref": "#/$defs/A" }], "$defs": { "A": true } }),
                None,
            ),
        ];
        for (schema, expected) in table {
            assert_eq!(reference(&schema).as_deref(), expected, "{schema}");
        }
    }
}
