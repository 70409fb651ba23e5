//! Changes of items with their conditions.

use std::collections::HashMap;
use std::fmt::Write;

use aws_sdk_dynamodb::types::AttributeValue;

use super::items::{Id, Item, number, string};

/// A change of one item, and its conditions. All names are written as placeholders, because many are reserved.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) id: AttributeValue,
    pub(super) names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    sets: Vec<String>,
    removes: Vec<String>,
    adds: Vec<String>,
    deletes: Vec<String>,
    conditions: Vec<String>,
}

impl Change {
    pub(super) fn of(id: Id<'_>) -> Self {
        Self {
            id: id.attribute(),
            names: HashMap::new(),
            values: HashMap::new(),
            sets: Vec::new(),
            removes: Vec::new(),
            adds: Vec::new(),
            deletes: Vec::new(),
            conditions: Vec::new(),
        }
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(value));
        self.sets.push(format!("{name} = {value}"));
        self
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        let name = self.name(name);
        self.removes.push(name);
        self
    }

    pub(super) fn set_or_remove(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    pub(super) fn lower(mut self, name: &str, by: AttributeValue) -> Self {
        let (name, by) = (self.name(name), self.value(by));
        self.sets.push(format!("{name} = {name} - {by}"));
        self
    }

    /// Appends to a list, which is created if it is missing.
    pub(super) fn append(mut self, name: &str, list: AttributeValue) -> Self {
        let (name, list) = (self.name(name), self.value(list));
        let empty = self.value(AttributeValue::L(Vec::new()));
        self.sets.push(format!("{name} = list_append(if_not_exists({name}, {empty}), {list})"));
        self
    }

    /// Adds to a set, which is created if it is missing.
    pub(super) fn add(mut self, name: &str, set: AttributeValue) -> Self {
        let (name, set) = (self.name(name), self.value(set));
        self.adds.push(format!("{name} {set}"));
        self
    }

    /// Removes values from a set.
    pub(super) fn take_off(mut self, name: &str, set: AttributeValue) -> Self {
        let (name, set) = (self.name(name), self.value(set));
        self.deletes.push(format!("{name} {set}"));
        self
    }

    /// Removes the first elements of a list.
    pub(super) fn drop_first(mut self, name: &str, count: usize) -> Self {
        let name = self.name(name);
        self.removes.extend((0..count).map(|index| format!("{name}[{index}]")));
        self
    }

    pub(super) fn only_if(mut self, name: &str, is: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(value));
        self.conditions.push(format!("{name} {is} {value}"));
        self
    }

    pub(super) fn only_if_absent(mut self) -> Self {
        let id = self.name("id");
        self.conditions.push(format!("attribute_not_exists({id})"));
        self
    }

    /// Requires that the item is absent or has not expired.
    pub(super) fn only_if_alive(mut self, now_ms: u64) -> Self {
        let (id, expiration) = (self.name("id"), self.name("expiration"));
        let now = self.value(number(now_ms / 1000));
        self.conditions.push(format!("(attribute_not_exists({id}) OR {expiration} > {now})"));
        self
    }

    /// Requires that a set contains the value, or has fewer than `most` values.
    pub(super) fn only_if_room(mut self, name: &str, value: AttributeValue, most: usize) -> Self {
        let (name, value) = (self.name(name), self.value(value));
        let most = self.value(number(most as u64));
        self.conditions.push(format!(
            "(attribute_not_exists({name}) OR size({name}) < {most} OR contains({name}, {value}))"
        ));
        self
    }

    /// Requires that the text of an item that has not expired is `before` or already `after`; `None` means no such item.
    pub(super) fn only_if_text(mut self, name: &str, before: Option<&str>, after: &str, now_ms: u64) -> Self {
        let (name, expiration) = (self.name(name), self.name("expiration"));
        let (now, after) = (self.value(number(now_ms / 1000)), self.value(string(after)));
        let condition = match before {
            None => format!("(attribute_not_exists({name}) OR {expiration} <= {now} OR {name} = {after})"),
            Some(before) => {
                let before = self.value(string(before));
                format!("{expiration} > {now} AND ({name} = {before} OR {name} = {after})")
            }
        };
        self.conditions.push(condition);
        self
    }

    /// Requires that the item was not claimed, renewed, finished or released since it was read.
    pub(super) fn only_if_still(self, seen: &Item) -> Self {
        self.only_if("counter", "=", number(seen.fencing_token))
            .only_if("in_progress_expiration", "=", number(seen.until))
            .only_if("expiration", "=", number(seen.expiration))
    }

    pub(super) fn update(&self) -> String {
        let mut text = String::new();
        for (word, parts) in
            [("SET", &self.sets), ("REMOVE", &self.removes), ("ADD", &self.adds), ("DELETE", &self.deletes)]
        {
            if !parts.is_empty() {
                let _ = write!(text, "{word} {} ", parts.join(", "));
            }
        }
        text
    }

    pub(super) fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
