//! The common interface of template languages: a file is read and converted to stacks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::model::Stack;

/// A parsed template from which stacks are built.
pub trait Source {
    /// Returns the stack for these values of parameters. Other parameters have their defaults.
    fn stack(&self, values: &BTreeMap<String, Value>) -> Stack;
}

/// The reason why a template could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not valid YAML or JSON, or is too deep or too large for a template.
    #[error("{file} is no template: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// The problem and its place.
        problem: String,
    },
}
