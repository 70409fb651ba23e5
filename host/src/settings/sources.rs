//! The source of a setting's text: flags over environment over file over default.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::by_name::{Entries, TABLES, TableByName};
use super::file_text::{text, text_of};
use super::limits::{Limited, read_limits};
use super::names::{LIMITS, Names};
use super::origin::Origin;
use super::problem::Problem;
use super::schedules::{ScheduleSettings, read_schedules};
use super::table::{SETTINGS, Setting, variable};

/// All texts that were given, before any is parsed.
#[derive(Debug, Default)]
pub(super) struct Sources {
    flags: BTreeMap<&'static str, String>,
    environment: BTreeMap<&'static str, String>,
    file: Section,
    pub(super) queues: Vec<QueueSection>,
    pub(super) schedules: Vec<ScheduleSettings>,
    pub(super) limits: Limited,
}

/// One level of the file.
#[derive(Debug, Default)]
struct Section {
    values: BTreeMap<&'static str, String>,
    tables: BTreeMap<&'static str, Entries>,
}

/// A `[[queue]]` table.
#[derive(Debug)]
pub(super) struct QueueSection {
    pub(super) url: String,
    section: Section,
}

impl Sources {
    pub(super) fn read(
        flags: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<Table>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut sources = Self::default();
        let environment = |key: &str| environment(&variable(key));
        for setting in SETTINGS {
            if let Some(text) = flags.get(setting.key) {
                sources.flags.insert(setting.key, text.trim().to_owned());
            }
            if let Some(text) = environment(setting.key) {
                sources.environment.insert(setting.key, text);
            }
        }
        for table in TABLES.iter().filter(|table| environment(table.key).is_some()) {
            let text = format!("a table cannot be a variable; write [{}] in the file", table.key);
            problems.push(Problem::new(variable(table.key), text));
        }
        if environment(LIMITS).is_some() {
            let text = "a table cannot be a variable; write [limits.\"TYPE\"] in the file".to_owned();
            problems.push(Problem::new(variable(LIMITS), text));
        }
        if let Some(mut file) = file {
            let queues = file.remove("queue");
            let schedules = file.remove("schedule");
            let limits = file.remove(LIMITS);
            sources.file = Section::read(file, &Origin::File, "", problems);
            sources.queues = read_queues(queues, problems);
            sources.schedules = read_schedules(schedules, problems);
            sources.limits = read_limits(limits, problems);
        }
        sources
    }

    /// Returns a setting's text and its origin. The value in a `[[queue]]` table is more specific than any value for all
    /// queues, so it comes first.
    pub(super) fn get(&self, setting: &Setting, queue: Option<&QueueSection>) -> Option<(String, Origin)> {
        let own = queue.and_then(|queue| queue.section.values.get(setting.key));
        let layers = [
            (own.filter(|_| setting.per_queue), Origin::QueueTable),
            (self.flags.get(setting.key), Origin::Flag),
            (self.environment.get(setting.key), Origin::Environment),
            (self.file.values.get(setting.key), Origin::File),
        ];
        let given = layers.into_iter().find_map(|(text, origin)| Some((text?.clone(), origin)));
        given.or_else(|| Some((setting.default?.to_owned(), Origin::Default)))
    }

    /// Returns true if a target of forward mode is given, usable or not.
    pub(super) fn forwards(&self) -> bool {
        let maps = [&self.flags, &self.environment, &self.file.values];
        maps.into_iter().any(|values| values.contains_key("forward_to"))
    }

    /// Returns the entries of a table that are in force for a queue: its own over those of the top level.
    pub(super) fn table(&self, table: &TableByName, queue: Option<&QueueSection>) -> Entries {
        let sections = [Some(&self.file), queue.map(|queue| &queue.section)];
        let entries = sections.into_iter().flatten().filter_map(|section| section.tables.get(table.key));
        entries.flatten().map(|(name, entry)| (name.clone(), entry.clone())).collect()
    }
}

impl Section {
    /// Reads the level that `origin` stands for; `prefix` is its place in error texts.
    fn read(table: Table, origin: &Origin, prefix: &str, problems: &mut Vec<Problem>) -> Self {
        let mut section = Self::default();
        let allowed = |setting: &&Setting| *origin == Origin::File || setting.per_queue;
        let tables: Vec<&TableByName> =
            TABLES.into_iter().filter(|table| *origin == Origin::File || table.per_queue).collect();
        let keys = tables.iter().map(|table| table.key);
        // The tables of the top level that are read apart.
        let own: &[&str] = if *origin == Origin::File { &["queue", "schedule", LIMITS] } else { &[] };
        let keys = keys.chain(own.iter().copied());
        let names = Names::of(SETTINGS.iter().filter(allowed).map(|setting| setting.key).chain(keys));
        for (key, value) in table {
            if let Some(table) = tables.iter().find(|table| table.key == key) {
                section.tables.insert(table.key, table.read(value, origin, prefix, problems));
                continue;
            }
            let at = format!("{prefix}{key}");
            if key == LIMITS {
                let text =
                    "limits are those of a job type on all queues: write [limits.\"TYPE\"] at the top level";
                problems.push(Problem::new(at, text.to_owned()));
                continue;
            }
            let Some(setting) = SETTINGS.iter().filter(allowed).find(|setting| setting.key == key) else {
                let settings = SETTINGS.iter().filter(allowed).map(|setting| setting.key.to_owned());
                let tables = tables.iter().map(|table| table.key).chain(own.iter().copied());
                let tables = tables.map(|key| format!("[{key}]"));
                let known: Vec<String> = settings.chain(tables).collect();
                let meant = names.meant(&key).map(|meant| format!("did you mean {meant}? "));
                let text =
                    format!("no such setting; {}there are {}", meant.unwrap_or_default(), known.join(", "));
                problems.push(Problem::new(at, text));
                continue;
            };
            match text_of(&value, setting.lists) {
                Ok(text) => {
                    section.values.insert(setting.key, text);
                }
                Err(text) => problems.push(Problem::new(at, not_a_text(setting, text))),
            }
        }
        section
    }
}

/// An error text for a value that is not one, with the table that was perhaps meant.
fn not_a_text(setting: &Setting, text: &str) -> String {
    let by_type = format!("{}_by_type", setting.key);
    match TABLES.iter().find(|table| table.key == by_type) {
        Some(table) => format!("{text}; values of single job types go under [{}]", table.key),
        None => text.to_owned(),
    }
}

fn read_queues(queues: Option<Value>, problems: &mut Vec<Problem>) -> Vec<QueueSection> {
    let tables = match queues {
        None => return Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            problems
                .push(Problem::new("queue".to_owned(), "write each queue as a [[queue]] table".to_owned()));
            return Vec::new();
        }
    };
    let mut sections = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let place = format!("[[queue]] {}: ", index + 1);
        let Value::Table(mut table) = table else {
            problems.push(Problem::new(place, "write each queue as a [[queue]] table".to_owned()));
            continue;
        };
        let url = table.remove("url").as_ref().and_then(text);
        let section = Section::read(table, &Origin::QueueTable, &place, problems);
        match url {
            Some(url) => sections.push(QueueSection { url, section }),
            None => problems.push(Problem::new(format!("{place}url"), "is missing".to_owned())),
        }
    }
    sections
}
