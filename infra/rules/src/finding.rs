//! What a rule has found.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::model::{Parameter, Resource, Stack};
use crate::value::{is_unclear, token_name};

/// A place in a template that breaks a rule.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule's id, such as `Q04`.
    pub rule: &'static str,
    /// What a template passes by.
    pub title: &'static str,
    /// The file, or the module's folder.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is there.
    #[serde(rename = "found")]
    pub problem: String,
    /// Why it matters.
    pub reason: &'static str,
    /// What to do about it.
    #[serde(rename = "mend")]
    pub fix: &'static str,
}

/// Where something is in a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The resource's logical id, or the parameter's or output's name; `None` for the template as a whole.
    pub name: Option<String>,
    /// The property, with dots; empty for the resource as a whole.
    pub path: String,
    /// The line, where it is known.
    pub line: Option<usize>,
}

impl Place {
    /// Returns true if two places are one in the file: a position in a list may differ with the list's optional items.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && (self.path == other.path || self.line.is_some() && self.line == other.line)
    }
}

impl fmt::Display for Finding {
    /// One paragraph: place, finding, reason, mend.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.place.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.rule)?;
        if let Some(name) = &self.place.name {
            write!(f, " {name}")?;
        }
        if !self.place.path.is_empty() {
            write!(f, ".{}", self.place.path)?;
        }
        write!(f, ": {}\n    {}\n    Fix: {}", self.problem, self.reason, self.fix)
    }
}

/// What the check of one rule has found in a stack. What hangs on a value that only the deployment knows is left out.
pub(crate) struct Report<'a> {
    stack: &'a Stack,
    pub(crate) found: Vec<(Place, String)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(stack: &'a Stack) -> Self {
        Self { stack, found: Vec::new() }
    }

    /// At a property of a resource, by JSON pointer; the empty pointer is the resource.
    pub(crate) fn at(&mut self, id: &str, resource: &Resource, pointer: &str, found: impl Into<String>) {
        if !self.hangs_on_deployment(resource, pointer) {
            self.certainly_at(id, resource, pointer, found);
        }
    }

    /// The same, for what is so whatever the deployment brings.
    pub(crate) fn certainly_at(
        &mut self,
        id: &str,
        resource: &Resource,
        pointer: &str,
        found: impl Into<String>,
    ) {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        let place = Place { name: Some(id.to_owned()), path, line: resource.line(pointer) };
        self.found.push((place, found.into()));
    }

    /// At a parameter.
    pub(crate) fn parameter(&mut self, name: &str, parameter: &Parameter, found: impl Into<String>) {
        let place = Place { name: Some(name.to_owned()), line: parameter.line, ..Place::default() };
        self.found.push((place, found.into()));
    }

    /// In the template as a whole.
    pub(crate) fn whole(&mut self, line: Option<usize>, found: impl Into<String>) {
        self.found.push((Place { line, ..Place::default() }, found.into()));
    }

    /// Whether a property, or what it is a part of, is the deployment's; or a part of it that cannot be worked out.
    fn hangs_on_deployment(&self, resource: &Resource, pointer: &str) -> bool {
        let is_parameter = |text: &str| {
            let parameter = token_name(text).and_then(|name| self.stack.parameters.get(name));
            parameter.is_some_and(|parameter| parameter.value.is_none())
        };
        let is_open =
            |value: &Value| value.as_str().is_some_and(|text| is_parameter(text) || is_unclear(value));
        let around = pointer.match_indices('/').map(|(end, _)| &pointer[..end]).chain([pointer]);
        let mut around = around.filter_map(|pointer| resource.get(pointer));
        around.any(is_open) || !pointer.is_empty() && resource.get(pointer).is_some_and(is_unclear)
    }
}
