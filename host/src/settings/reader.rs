//! From the sources' texts to settings, with every problem on the way.

use std::collections::HashMap;
use std::fmt;

use super::by_name::{Entry, TableByName};
use super::effective::Effective;
use super::origin::Origin;
use super::problem::Problem;
use super::sources::{QueueSection, Sources};
use super::table::{SETTINGS, Setting};
use crate::shown::Shown;

/// The settings whose default is an attribute of the queue.
const DEFAULTS_OF_THE_QUEUE: [&str; 2] = ["visibility_timeout", "scope"];

/// The kind of process whose settings are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Consumer,
    Function,
    Tool,
}

/// A queue whose settings are read, with its `[[queue]]` table if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForQueue<'a> {
    pub(super) url: &'a str,
    pub(super) section: Option<&'a QueueSection>,
}

/// Parses texts one by one, and continues after a bad one.
pub(super) struct Reader<'a> {
    pub(super) reading: Reading,
    pub(super) sources: &'a Sources,
    pub(super) problems: Vec<Problem>,
    pub(super) effective: Vec<Effective>,
}

impl Reader<'_> {
    /// Returns a setting's value; `None` if it has none, or if a problem has been noted.
    pub(super) fn get<T, E: fmt::Display>(
        &mut self,
        key: &str,
        queue: Option<ForQueue<'_>>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let setting = setting(key);
        let given = self.sources.get(setting, queue.and_then(|queue| queue.section));
        let (value, origin) = match given {
            Some((text, origin)) => (Some(text), origin),
            None if DEFAULTS_OF_THE_QUEUE.contains(&key) => (None, Origin::Queue),
            None => (None, Origin::Default),
        };
        let result = value.as_deref().map(parse).transpose();
        let value = value.map(|value| setting.shown.of(&value));
        let place = place(setting, value.as_deref().unwrap_or_default(), &origin);
        let queue = queue.map(|queue| Shown::Urls.of(queue.url));
        self.effective.push(Effective { queue, key: key.to_owned(), value, origin });
        result.unwrap_or_else(|error| {
            self.note(place, &error);
            None
        })
    }

    /// Returns the values of a table that are in force for a queue, without those of which a problem has been noted.
    pub(super) fn by_name<T, E: fmt::Display>(
        &mut self,
        table: &TableByName,
        queue: Option<ForQueue<'_>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> HashMap<String, T> {
        let mut values = HashMap::new();
        for (name, Entry { text, origin, place }) in
            self.sources.table(table, queue.and_then(|queue| queue.section))
        {
            let key = format!("{}.{name}", table.key);
            match parse(&text) {
                Ok(value) => {
                    values.insert(name, value);
                }
                Err(error) => self.note(format!("{place} = {:?}", table.shown.of(&text)), &error),
            }
            let queue = queue.map(|queue| Shown::Urls.of(queue.url));
            self.effective.push(Effective { queue, key, value: Some(table.shown.of(&text)), origin });
        }
        values
    }

    /// Notes a problem once, although it is found again for each queue.
    fn note(&mut self, place: String, error: &dyn fmt::Display) {
        let problem = Problem::new(place, Shown::Text.of(&error.to_string()));
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Returns the setting with this key.
pub(super) fn setting(key: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("asked for by its key in the table")
}

/// The setting with its value, by the name that the operator has used.
pub(super) fn place(setting: &Setting, shown: &str, origin: &Origin) -> String {
    match origin {
        Origin::Environment => format!("{} = {shown:?}", setting.variable()),
        Origin::Flag => format!("--{} = {shown:?}", setting.flag()),
        _ => format!("{} = {shown:?} ({origin})", setting.key),
    }
}
