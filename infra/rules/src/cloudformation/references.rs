//! The references in a template, in both branches of every condition.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::resolve::{attribute_path, is_intrinsic, sub_parts};
use super::yaml::escape;
use crate::model::{Parameter, Reference, Target};
use crate::value::texts;

/// The names that can be referred to.
pub(super) struct Names<'a> {
    pub(super) parameters: &'a BTreeMap<String, Parameter>,
    pub(super) resources: &'a Map<String, Value>,
    pub(super) made: Made,
}

/// Names that a template's transforms add to those in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Nothing,
    /// SAM's: named after the resources they belong to, or `Serverless…`.
    BySam,
    /// Those of a macro or a loop, which can have any name.
    Anything,
}

impl Made {
    pub(super) fn of(root: &Value) -> Self {
        let transforms = texts(&root["Transform"]);
        let is_loop = |key: &str| key.starts_with("Fn::");
        let loops = root["Resources"].as_object().into_iter().flatten().any(|(key, _)| is_loop(key));
        let known = |name: &&str| name.starts_with("AWS::Serverless-") || *name == "AWS::LanguageExtensions";
        if loops || !transforms.iter().all(known) {
            Self::Anything
        } else if transforms.iter().any(|name| name.starts_with("AWS::Serverless-")) {
            Self::BySam
        } else {
            Self::Nothing
        }
    }
}

impl Names<'_> {
    pub(super) fn references(&self, value: &Value) -> Vec<Reference> {
        let mut found = Vec::new();
        self.walk(value, "", &mut found);
        found
    }

    fn walk(&self, value: &Value, at: &str, found: &mut Vec<Reference>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{at}/{index}"), found);
                }
            }
            Value::Object(map) => match map.iter().next() {
                Some((key, argument)) if map.len() == 1 && is_intrinsic(key) => {
                    self.intrinsic(key, argument, at, found);
                }
                _ => {
                    for (key, item) in map {
                        self.walk(item, &format!("{at}/{}", escape(key)), found);
                    }
                }
            },
            _ => {}
        }
    }

    fn intrinsic(&self, key: &str, argument: &Value, at: &str, found: &mut Vec<Reference>) {
        let mut add = |to| found.push(Reference { at: at.to_owned(), to });
        match (key, argument) {
            ("Ref", Value::String(name)) => add(self.target(name, None)),
            ("Fn::GetAtt", argument) => {
                if let Some((resource, attribute)) = attribute_path(argument) {
                    add(self.target(&resource, attribute.as_deref()));
                }
                self.inner(argument, at, found);
            }
            ("Fn::Sub", Value::String(text)) => self.sub(text, &Map::new(), at, found),
            ("Fn::Sub", Value::Array(parts)) => {
                let own = parts.get(1).and_then(Value::as_object).cloned().unwrap_or_default();
                if let Some(text) = parts.first().and_then(Value::as_str) {
                    self.sub(text, &own, at, found);
                }
                own.values().for_each(|value| self.inner(value, at, found));
            }
            ("Fn::ImportValue", argument) => {
                add(Target::Import);
                self.inner(argument, at, found);
            }
            (_, argument) => self.inner(argument, at, found),
        }
    }

    /// References inside an intrinsic function have the place of the function.
    fn inner(&self, value: &Value, at: &str, found: &mut Vec<Reference>) {
        let from = found.len();
        self.walk(value, "", found);
        found[from..].iter_mut().for_each(|reference| at.clone_into(&mut reference.at));
    }

    fn sub(&self, text: &str, own: &Map<String, Value>, at: &str, found: &mut Vec<Reference>) {
        for name in sub_parts(text).filter_map(Result::err).filter(|name| !own.contains_key(*name)) {
            let (id, attribute) =
                name.split_once('.').map_or((name, None), |(id, attribute)| (id, Some(attribute)));
            found.push(Reference { at: at.to_owned(), to: self.target(id, attribute) });
        }
    }

    /// Returns true if a name that is not in the text may be added by a transform.
    fn is_made(&self, name: &str) -> bool {
        match self.made {
            Made::Nothing => false,
            Made::BySam => {
                name.starts_with("Serverless")
                    || self.resources.keys().any(|id| name.starts_with(id.as_str()))
            }
            Made::Anything => true,
        }
    }

    fn target(&self, name: &str, attribute: Option<&str>) -> Target {
        if name.starts_with("AWS::") {
            Target::Pseudo(name.to_owned())
        } else if attribute.is_none() && self.parameters.contains_key(name) {
            Target::Parameter(name.to_owned())
        } else if self.resources.contains_key(name) || self.is_made(name) {
            Target::Resource { id: name.to_owned(), attribute: attribute.map(str::to_owned) }
        } else {
            Target::Missing(
                attribute.map_or_else(|| name.to_owned(), |attribute| format!("{name}.{attribute}")),
            )
        }
    }
}
