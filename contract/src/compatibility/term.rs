//! The schemas that apply to one place.

use serde_json::Value;

/// The schemas that all apply to one place. Without a schema, every value fits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Term<'a>(Vec<&'a Value>);

impl<'a> Term<'a> {
    pub(super) fn one(schema: &'a Value) -> Self {
        Self(vec![schema])
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        for schema in &other.0 {
            if !self.0.iter().any(|known| std::ptr::eq(*known, *schema)) {
                self.0.push(schema);
            }
        }
        self
    }

    pub(super) fn schemas(&self) -> &[&'a Value] {
        &self.0
    }

    /// Returns true if every value fits, as far as that is clear without following references.
    pub(super) fn is_any(&self) -> bool {
        self.0.iter().all(|schema| **schema == Value::Bool(true))
    }

    /// Returns true if no value fits, as far as that is clear without following references.
    pub(super) fn is_never(&self) -> bool {
        self.0.iter().any(|schema| **schema == Value::Bool(false))
    }

    /// Identifies the term among those of its document.
    pub(super) fn key(&self) -> Vec<usize> {
        let mut key: Vec<usize> = self.0.iter().map(|schema| std::ptr::from_ref(*schema).addr()).collect();
        key.sort_unstable();
        key
    }
}
