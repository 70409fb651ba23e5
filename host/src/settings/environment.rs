//! The variables of a process, as read by the settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use drumline_store::{Store, set_value};

use super::kubernetes;
use super::names::{Names, PREFIX};
use super::problem::{Problem, Problems};
use super::process::Settings;
use super::reader::Reading;
use super::unknown::UnknownVariable;

/// The `DRUMLINE_` variables of a process. A blank variable counts as unset, and values are read without surrounding
/// whitespace.
#[derive(Clone, Default)]
pub struct Environment {
    /// The values; `None` stands for a value that is not Unicode.
    values: BTreeMap<String, Option<String>>,
    declared: Vec<&'static str>,
    /// The program's own store.
    store: Option<Arc<dyn Store>>,
}

/// Shows only names, because values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Environment {
    /// Returns the variables of this process.
    #[allow(clippy::disallowed_methods, reason = "the one place that asks for all variables")]
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os())
    }

    /// Makes an environment of these variables.
    pub fn of<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into().into_string().ok()?;
            let value = value.into().into_string().ok();
            let is_set = value.as_deref().is_none_or(|value| set_value(value).is_some());
            (name.starts_with(PREFIX) && is_set).then_some((name, value))
        });
        Self { values: ours.collect(), declared: Vec::new(), store: None }
    }

    /// Adds names that are read outside of the settings, such as by handlers, so that they do not count as misspelt settings.
    pub fn declare(mut self, names: &[&'static str]) -> Self {
        self.declared.extend(names);
        self
    }

    /// Sets the program's own store for all settings that are read. Setting `store_url` as well is a problem.
    pub fn with_store(self, store: Option<Arc<dyn Store>>) -> Self {
        Self { store, ..self }
    }

    /// Returns true if the program has its own store.
    pub fn has_store(&self) -> bool {
        self.store.is_some()
    }

    fn with_own_store(&self, settings: Settings) -> Result<Settings, Problems> {
        match &self.store {
            Some(store) => settings.with_store(Arc::clone(store)),
            None => Ok(settings),
        }
    }

    /// Returns an environment of these variables with the same declared names and store.
    pub fn with_values_of(&self, variables: &BTreeMap<String, String>) -> Self {
        Self { declared: self.declared.clone(), store: self.store.clone(), ..Self::of(variables) }
    }

    /// Reads the settings of a consumer from this environment, from the command line's flags (by key) and from a file.
    /// Misspelt names are problems.
    pub fn settings(
        &self,
        flags: &BTreeMap<String, String>,
        file: Option<&Path>,
    ) -> Result<Settings, Problems> {
        Settings::read_for(
            Reading::Consumer,
            flags,
            |name| self.value(name),
            |problems| self.unknown(problems),
            file,
        )
        .and_then(|settings| self.with_own_store(settings))
    }

    /// Reads the settings of a command that needs no queue.
    pub fn settings_of_tool(
        &self,
        flags: &BTreeMap<String, String>,
        file: Option<&Path>,
    ) -> Result<Settings, Problems> {
        Settings::read_for(
            Reading::Tool,
            flags,
            |name| self.value(name),
            |problems| self.unknown(problems),
            file,
        )
        .and_then(|settings| self.with_own_store(settings))
    }

    /// Reads the settings of a Lambda function. Misspelt names are no problems, so that none of them fails a batch: they are
    /// listed in [`Settings::unknown_variables`].
    pub fn settings_of_function(&self) -> Result<Settings, Problems> {
        Settings::read_for(
            Reading::Function,
            &BTreeMap::new(),
            |name| self.value(name),
            |problems| self.unknown(problems),
            None,
        )
        .and_then(|settings| self.with_own_store(settings))
    }

    /// Returns the value of a variable; `None` if it is not set.
    pub fn value(&self, name: &str) -> Option<String> {
        set_value(self.values.get(name)?.as_deref()?)
    }

    /// Finds variables that cannot be read. Returns those whose names are unknown.
    fn unknown(&self, problems: &mut Vec<Problem>) -> Vec<UnknownVariable> {
        let names = Names::of_variables().with(&self.declared);
        let mut unknown = Vec::new();
        for (name, value) in &self.values {
            let Some(value) = value else {
                problems.push(Problem::new(name.clone(), "is not Unicode".to_owned()));
                continue;
            };
            if names.contains(name) || kubernetes::injects(name, value.trim()) {
                continue;
            }
            unknown.push(UnknownVariable { name: name.clone(), meant: names.meant(name) });
        }
        unknown
    }
}
