//! What a rule has found.

use std::fmt;

use serde::Serialize;

use crate::model::{Parameter, Resource};

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
    pub found: String,
    /// Why it matters.
    pub reason: &'static str,
    /// What to do about it.
    pub mend: &'static str,
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
        write!(f, ": {}\n    {}\n    Mend: {}", self.found, self.reason, self.mend)
    }
}

/// What the check of one rule has found.
#[derive(Default)]
pub(crate) struct Report(pub(crate) Vec<(Place, String)>);

impl Report {
    /// At a property of a resource, by JSON pointer; the empty pointer is the resource.
    pub(crate) fn at(&mut self, id: &str, resource: &Resource, pointer: &str, found: impl Into<String>) {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        self.0.push((Place { name: Some(id.to_owned()), path, line: resource.line(pointer) }, found.into()));
    }

    /// At a parameter.
    pub(crate) fn parameter(&mut self, name: &str, parameter: &Parameter, found: impl Into<String>) {
        self.0.push((
            Place { name: Some(name.to_owned()), line: parameter.line, ..Place::default() },
            found.into(),
        ));
    }

    /// In the template as a whole.
    pub(crate) fn whole(&mut self, line: Option<usize>, found: impl Into<String>) {
        self.0.push((Place { line, ..Place::default() }, found.into()));
    }
}
