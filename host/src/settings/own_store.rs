//! A store given in code instead of a setting.

use std::sync::Arc;

use drumline_store::{Location, Store};

use super::origin::Origin;
use super::problem::{Problem, Problems};
use super::process::Settings;
use super::reader::{place, setting};

/// The setting that a store given in code replaces.
const KEY: &str = "store_url";

const TWO_STORES: &str = "the program has a store of its own, given in code: unset this setting";

impl Settings {
    /// Uses a store that the program gives in code.
    ///
    /// # Errors
    /// If `store_url` is also set, because one of the two stores would not be used.
    pub fn with_store(mut self, store: Arc<dyn Store>) -> Result<Self, Problems> {
        self.store.location = Location::Own(store.into());
        if let Some(row) = self.effective.iter_mut().find(|row| row.key == KEY) {
            if row.origin != Origin::Default {
                let shown = row.value.as_deref().unwrap_or_default();
                let place = place(setting(KEY), shown, &row.origin);
                let list = vec![Problem::new(place, TWO_STORES.to_owned())];
                return Err(Problems { list, forwards: self.forward_to.is_some() });
            }
            row.value = Some(self.store.location.to_string());
            row.origin = Origin::Code;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{MemoryStore, Retention};

    use super::*;

    fn own() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new("one".into(), Retention::default()))
    }

    #[test]
    fn a_store_given_in_code_is_the_one_in_force() {
        let store = own();
        let settings = Settings::read_for_function(|_| None).unwrap().with_store(Arc::clone(&store)).unwrap();
        assert_eq!(settings.store.location, Location::Own(store.into()));
        let row = settings.effective.iter().find(|row| row.key == KEY).unwrap();
        assert_eq!((row.value.as_deref(), &row.origin), (Some("own (given in code)"), &Origin::Code));
    }

    #[test]
    fn two_stores_in_code_and_in_the_settings_are_a_problem() {
        let environment = |name: &str| (name == "DRUMLINE_STORE_URL").then(|| "memory:".to_owned());
        let problems = Settings::read_for_function(environment).unwrap().with_store(own()).unwrap_err();
        let text = problems.to_string();
        assert!(text.contains("DRUMLINE_STORE_URL") && text.contains("unset this setting"), "{text}");
    }
}
