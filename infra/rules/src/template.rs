//! A template as a file, whatever its language.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cloudformation::CloudFormation;
use crate::model::Stack;

/// What stacks are made of: a parsed template.
pub trait Source {
    /// The stack at these values of parameters; those not among them have their defaults.
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack;
}

/// A template that was read.
pub struct Template(Box<dyn Source>);

/// Why a template could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is neither YAML nor JSON, or too deep or too large to be a template.
    #[error("{file} is no template: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it, and where.
        problem: String,
    },
}

impl Template {
    /// Reads a CloudFormation or SAM template, in YAML or JSON.
    pub fn load(path: &Path) -> Result<Self, TemplateError> {
        let text = fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Understands a CloudFormation or SAM template's text. `file` is what findings call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        Ok(Self::from_source(CloudFormation::parse(file, text)?))
    }

    /// A template of any language.
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Box::new(source))
    }

    /// The stack at these values of parameters; those not among them have their defaults.
    pub fn stack(&self, values: &BTreeMap<String, Value>) -> Stack {
        self.0.stack(values)
    }
}
