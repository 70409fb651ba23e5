//! Changes of a letter on its way back: values, patches, another type.

use std::collections::BTreeMap;

use drumline::message::Attribute;

/// A letter as it is after its fixes: what they changed of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// The new body, if it differs.
    pub body: Option<String>,
    /// The new attributes, if they differ.
    pub attributes: Option<BTreeMap<String, Attribute>>,
}

impl Fixed {
    /// Returns true if anything differs from the letter as it was received.
    pub fn is_changed(&self) -> bool {
        self.body.is_some() || self.attributes.is_some()
    }
}
