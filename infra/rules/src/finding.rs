//! The finding of a rule.

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
    /// The requirement that the place does not meet.
    pub title: &'static str,
    /// The file, or the module's folder.
    pub file: String,
    /// The place in the file.
    pub place: Place,
    /// The problem at this place.
    #[serde(rename = "found")]
    pub problem: String,
    /// The reason why it matters.
    pub reason: &'static str,
    /// The advice how to fix it.
    #[serde(rename = "mend")]
    pub fix: &'static str,
}

/// A place in a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The resource's logical ID, or the name of the parameter or output. `None` for the template as a whole.
    pub name: Option<String>,
    /// The property, with dots. Empty for the resource as a whole.
    pub path: String,
    /// The line, if it is known.
    pub line: Option<usize>,
}

impl Place {
    /// Returns true if two places are the same in the file. A position in a list can differ with the list's optional items.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && (self.path == other.path || self.line.is_some() && self.line == other.line)
    }
}

impl fmt::Display for Finding {
    /// Writes one paragraph: place, problem, reason, fix.
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

/// The findings of one rule in a stack. Findings that depend on a value known only after the deployment are left out.
pub(crate) struct Report<'a> {
    stack: &'a Stack,
    pub(crate) found: Vec<(Place, String)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(stack: &'a Stack) -> Self {
        Self { stack, found: Vec::new() }
    }

    /// Reports a problem at a property of a resource, by JSON pointer. The empty pointer is the resource.
    pub(crate) fn at(&mut self, id: &str, resource: &Resource, pointer: &str, found: impl Into<String>) {
        if !self.hangs_on_deployment(resource, pointer) {
            self.certainly_at(id, resource, pointer, found);
        }
    }

    /// Reports a problem that does not depend on the deployment's values.
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

    /// Reports a problem of a parameter.
    pub(crate) fn parameter(&mut self, name: &str, parameter: &Parameter, found: impl Into<String>) {
        let place = Place { name: Some(name.to_owned()), line: parameter.line, ..Place::default() };
        self.found.push((place, found.into()));
    }

    /// Reports a problem of the template as a whole.
    pub(crate) fn whole(&mut self, line: Option<usize>, found: impl Into<String>) {
        self.found.push((Place { line, ..Place::default() }, found.into()));
    }

    /// Returns true if a property, or a value around it, is known only after the deployment, or if a part of it cannot be
    /// evaluated.
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
