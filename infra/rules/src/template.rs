//! A template read from a file, in any supported language.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cloudformation::CloudFormation;
use crate::model::Stack;
use crate::source::{Source, TemplateError};

/// A template that was read.
pub struct Template(Box<dyn Source>);

impl Template {
    /// Reads a CloudFormation or SAM template, in YAML or JSON.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let text = fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Parses a CloudFormation or SAM template's text. `file` is its name in findings.
    pub fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        Ok(Self::from_source(CloudFormation::parse(file, text)?))
    }

    /// Returns a template of any language.
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Box::new(source))
    }

    /// Returns the stack for these values of parameters. Other parameters have their defaults.
    pub fn stack(&self, values: &BTreeMap<String, Value>) -> Stack {
        self.0.stack(values)
    }
}
