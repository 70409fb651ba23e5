//! Selects the branches of `Fn::If` by the parameters' values. Afterwards, pointers into a part of the template, such as the
//! place of a reference or a line, point into its resolved value: an item that is `AWS::NoValue` has no position in a list.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::resolve::{Resolver, is_intrinsic};
use super::yaml::escape;

/// A part of a template with its branches selected.
#[derive(Default)]
pub(super) struct Taken {
    /// It can still contain functions other than `Fn::If`, and an `Fn::If` whose condition is known only after the deployment.
    /// `None` for `AWS::NoValue`.
    pub(super) value: Option<Value>,
    /// Lines, by pointer into the value.
    pub(super) lines: BTreeMap<String, usize>,
    /// The branches that are not selected.
    pub(super) left_out: Vec<Value>,
}

/// Selects the branches of a part of a template. `lines` has the template's lines by pointer, and `from` is the part's pointer.
pub(super) fn take(
    value: &Value,
    resolver: &Resolver<'_>,
    lines: &BTreeMap<String, usize>,
    from: &str,
) -> Taken {
    let mut taken = Taken::default();
    taken.value = Walk { resolver, lines, taken: &mut taken }.value(value, from, "");
    taken
}

struct Walk<'a, 'r> {
    resolver: &'a Resolver<'r>,
    lines: &'a BTreeMap<String, usize>,
    taken: &'a mut Taken,
}

impl Walk<'_, '_> {
    /// `from` is the value's pointer in the template, and `to` its pointer in the result.
    fn value(&mut self, value: &Value, from: &str, to: &str) -> Option<Value> {
        if let Some(line) = self.lines.get(from) {
            self.taken.lines.insert(to.to_owned(), *line);
        }
        match value {
            Value::Array(items) => {
                let mut kept = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    kept.extend(self.value(
                        item,
                        &format!("{from}/{index}"),
                        &format!("{to}/{}", kept.len()),
                    ));
                }
                Some(Value::Array(kept))
            }
            Value::Object(map) => match map.iter().next() {
                Some((key, argument)) if map.len() == 1 && is_intrinsic(key) => {
                    self.intrinsic(key, argument, value, (from, to))
                }
                _ => Some(self.object(map, from, to)),
            },
            _ => Some(value.clone()),
        }
    }

    fn object(&mut self, map: &Map<String, Value>, from: &str, to: &str) -> Value {
        let mut kept = Map::new();
        for (key, item) in map {
            let below = escape(key);
            if let Some(item) = self.value(item, &format!("{from}/{below}"), &format!("{to}/{below}")) {
                kept.insert(key.clone(), item);
            }
        }
        Value::Object(kept)
    }

    fn intrinsic(
        &mut self,
        key: &str,
        argument: &Value,
        whole: &Value,
        (from, to): (&str, &str),
    ) -> Option<Value> {
        if key == "Ref" && argument == "AWS::NoValue" {
            return None;
        }
        if key == "Fn::If"
            && let Some([name, then, otherwise]) = argument.as_array().map(Vec::as_slice)
        {
            let holds = name.as_str().and_then(|name| self.resolver.condition(name));
            let Some(holds) = holds else { return Some(whole.clone()) };
            let (index, branch, other) = if holds { (1, then, otherwise) } else { (2, otherwise, then) };
            self.taken.left_out.push(other.clone());
            // A short tag has no key among the pointers.
            let (short, long) = (format!("{from}/{index}"), format!("{from}/Fn::If/{index}"));
            let from = if self.lines.contains_key(&long) { long } else { short };
            return self.value(branch, &from, to);
        }
        let argument = self.value(argument, &format!("{from}/{key}"), &format!("{to}/{key}"))?;
        Some(Value::Object(Map::from_iter([(key.to_owned(), argument)])))
    }
}
