//! Modules that another module uses.

use std::collections::BTreeMap;

use super::evaluate::Evaluator;
use super::variables::parameters;

impl<'a> Evaluator<'a> {
    /// Returns the evaluator of a module that this one uses, if that module is known.
    pub(super) fn used(&'a self, name: &str) -> Option<Self> {
        let used = self.module.uses.get(name)?;
        let module = used.module.as_ref()?;
        Some(self.inside(name, used, module, parameters(module, &BTreeMap::new())))
    }
}
