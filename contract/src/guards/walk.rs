//! Walks over a payload without recursion: a payload that a program builds may be nested more deeply than a parser allows.

use std::iter::Enumerate;
use std::slice;

use serde_json::Value;
use serde_json::map;

use super::pointer::{ANY, push_name};

/// A visited field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a, 'p> {
    /// Its pointer.
    pub(super) pointer: &'p str,
    /// Its name, or the name of the nearest list around it that has one.
    pub(super) name: &'a str,
    /// Its value, which is not an object or a list.
    pub(super) value: &'a Value,
}

/// The callbacks of a walk.
pub(super) trait Visitor {
    /// Visits a name in the object at the pointer. Returns false if the name must be hidden.
    fn name(&mut self, object: &str, name: &str) -> bool;
    /// Visits a field.
    fn field(&mut self, field: Field<'_, '_>);
}

enum Children<'a> {
    Fields(map::Iter<'a>),
    Items(Enumerate<slice::Iter<'a, Value>>, &'a str),
}

struct Level<'a> {
    children: Children<'a>,
    /// The length of its pointer.
    pointer: usize,
}

pub(super) fn walk(payload: &Value, visitor: &mut impl Visitor) {
    let mut pointer = String::new();
    let mut levels = Vec::new();
    enter(payload, "", &pointer, &mut levels, visitor);
    while let Some(level) = levels.last_mut() {
        pointer.truncate(level.pointer);
        let child = match &mut level.children {
            Children::Fields(fields) => fields.next().map(|(name, value)| {
                let is_shown = visitor.name(&pointer, name);
                push_name(&mut pointer, if is_shown { name } else { ANY });
                (name.as_str(), value)
            }),
            Children::Items(items, name) => items.next().map(|(index, value)| {
                push_name(&mut pointer, &index.to_string());
                (*name, value)
            }),
        };
        match child {
            Some((name, value)) => enter(value, name, &pointer, &mut levels, visitor),
            None => drop(levels.pop()),
        }
    }
}

fn enter<'a>(
    value: &'a Value,
    name: &'a str,
    pointer: &str,
    levels: &mut Vec<Level<'a>>,
    visitor: &mut impl Visitor,
) {
    let children = match value {
        Value::Object(fields) => Children::Fields(fields.iter()),
        Value::Array(items) => Children::Items(items.iter().enumerate(), name),
        Value::String(_) | Value::Number(_) => return visitor.field(Field { pointer, name, value }),
        Value::Null | Value::Bool(_) => return,
    };
    levels.push(Level { children, pointer: pointer.len() });
}
