//! The languages of templates have this in common: they are read, and become stacks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::model::Stack;

/// What stacks are made of: a parsed template.
pub trait Source {
    /// The stack at these values of parameters; those not among them have their defaults.
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack;
}

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
