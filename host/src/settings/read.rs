//! Reads the settings from every source, and reports all problems at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use drumline_store::set_value;

use super::names::CONFIG;
use super::problem::{Problem, Problems};
use super::process::Settings;
use super::reader::{Reader, Reading};
use super::sources::Sources;
use super::unknown::UnknownVariable;

impl Settings {
    /// Reads the settings from the command line's flags (by key), the environment (by variable) and a file.
    pub fn read(
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        Self::read_for(Reading::Consumer, flags, environment, |_| Vec::new(), file)
    }

    /// Reads the settings of a command that needs no queue, or none of the settings': the queues are those that are given.
    pub fn read_for_tool(
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        Self::read_for(Reading::Tool, flags, environment, |_| Vec::new(), file)
    }

    /// Reads the settings of a Lambda function, whose queues need not be known: from the environment, and the file that it
    /// names.
    pub fn read_for_function(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        Self::read_for(Reading::Function, &BTreeMap::new(), environment, |_| Vec::new(), None)
    }

    /// Reads the settings, with the unknown variables that `find_unknown` finds.
    pub(super) fn read_for(
        reading: Reading,
        flags: &BTreeMap<String, String>,
        variable: impl Fn(&str) -> Option<String>,
        find_unknown: impl FnOnce(&mut Vec<Problem>) -> Vec<UnknownVariable>,
        file: Option<&Path>,
    ) -> Result<Self, Problems> {
        let variable = |name: &str| set_value(&variable(name)?);
        let mut problems = Vec::new();
        let file = file.map(PathBuf::from).or_else(|| variable(CONFIG).map(PathBuf::from));
        let table = file.and_then(|path| read_file(&path, &mut problems));
        let unknown_variables = find_unknown(&mut problems);
        let sources = Sources::read(flags, variable, table, &mut problems);
        let mut reader = Reader { reading, sources: &sources, problems, effective: Vec::new() };
        let settings = reader.settings();
        let (mut problems, effective) = (reader.problems, reader.effective);
        // A function that starts with a misspelt name fails no batch; one that does not start reports all that is wrong.
        if reading != Reading::Function || !problems.is_empty() {
            problems.extend(unknown_variables.iter().filter_map(UnknownVariable::problem));
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(Self { effective, unknown_variables, ..settings }),
            _ => Err(Problems { list: problems, forwards: sources.forwards() }),
        }
    }
}

fn read_file(path: &Path, problems: &mut Vec<Problem>) -> Option<toml::Table> {
    let mut problem = |text: String| problems.push(Problem::new(path.display().to_string(), text));
    let text =
        std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}"))).ok()?;
    text.parse().map_err(|error: toml::de::Error| problem(not_toml(&text, &error))).ok()
}

/// The error's own text would quote the line, which may hold a password.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("is not TOML: line {}: {}", before.matches('\n').count() + 1, error.message())
}
