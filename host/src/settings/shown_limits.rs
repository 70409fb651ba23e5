//! The limits of job types among the settings in force.

use drumline::core::LimitRules;

use super::effective::Effective;
use super::origin::Origin;
use super::reader::Reader;

impl Reader<'_> {
    /// Returns the rules of the limits, and shows them among the settings in force.
    pub(super) fn limits(&mut self) -> LimitRules {
        let cores = std::thread::available_parallelism().unwrap_or(std::num::NonZeroUsize::MIN);
        let mut rules = LimitRules::none(cores);
        for (name, (text, of_type)) in self.sources.limits.clone() {
            let (key, value) = (format!("limits.{name}"), Some(text));
            self.effective.push(Effective { queue: None, key, value, origin: Origin::File });
            rules.types.insert(name, of_type);
        }
        rules
    }
}
