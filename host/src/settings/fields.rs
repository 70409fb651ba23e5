//! The fields of a table of the file that describes one subject, such as a schedule or the limits of a job type.

use toml::Table;

use super::file_text::text;
use super::names::Names;
use super::problem::Problem;

/// The fields of a table that were not read yet.
pub(super) struct Fields<'a> {
    pub(super) table: Table,
    /// The table's name in error texts.
    pub(super) place: String,
    /// The subject of the table, such as `a schedule`.
    pub(super) noun: &'static str,
    /// The keys that the table may have.
    pub(super) keys: &'static [&'static str],
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Fields<'_> {
    pub(super) fn required(&mut self, key: &'static str) -> Option<String> {
        let is_given = self.table.contains_key(key);
        let text = self.text(key);
        if text.is_none() && !is_given {
            self.note(key, "is missing".to_owned());
        }
        text
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.table.remove(key)?;
        let text = text(&value);
        if text.is_none() {
            self.note(key, "must be a text or a number".to_owned());
        }
        text
    }

    /// Parses a text; records the problem if it is invalid.
    pub(super) fn checked<T>(
        &mut self,
        key: &'static str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text).map_err(|error| self.note(&format!("{key} = {text:?}"), error)).ok()
    }

    pub(super) fn report_unknown(&mut self) {
        let names = Names::of(self.keys.iter().copied());
        let unknown: Vec<String> =
            self.table.keys().filter(|key| !self.keys.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            let meant = names.meant(&key).map(|meant| format!("did you mean {meant}? "));
            let text = format!(
                "is no part of {}; {}there are {}",
                self.noun,
                meant.unwrap_or_default(),
                self.keys.join(", ")
            );
            self.note(&key, text);
        }
    }

    pub(super) fn note(&mut self, key: &str, text: String) {
        self.problems.push(Problem::new(format!("{}: {key}", self.place), text));
    }
}
