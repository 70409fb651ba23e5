//! Where a setting's text comes from: flags over environment over file over default.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::Problem;
use super::table::{SETTINGS, Setting};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Environment,
    /// The file's top level.
    File,
    /// A `[[queue]]` table of the file.
    QueueTable,
    /// Nobody set it.
    Default,
    /// The queue's own attribute, known once the queue is asked.
    Queue,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::QueueTable => "file, [[queue]]",
            Self::Default => "default",
            Self::Queue => "the queue",
        })
    }
}

/// The table of single job types' backoffs.
const RETRY_BY_TYPE: &str = "retry_by_type";

/// All texts that were given, before any is understood.
#[derive(Debug, Default)]
pub(super) struct Sources {
    flags: BTreeMap<&'static str, String>,
    environment: BTreeMap<&'static str, String>,
    file: Section,
    pub(super) queues: Vec<QueueSection>,
}

/// One level of the file.
#[derive(Debug, Default)]
pub(super) struct Section {
    values: BTreeMap<&'static str, String>,
    pub(super) retry_by_type: BTreeMap<String, String>,
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
        for setting in SETTINGS {
            if let Some(text) = flags.get(setting.key) {
                sources.flags.insert(setting.key, text.clone());
            }
            // An empty variable is how many tools unset one.
            if let Some(text) = environment(&setting.variable()).filter(|text| !text.is_empty()) {
                sources.environment.insert(setting.key, text);
            }
        }
        if let Some(mut file) = file {
            let queues = file.remove("queue");
            sources.file = Section::read(file, |_| true, "", problems);
            sources.queues = read_queues(queues, problems);
        }
        sources
    }

    /// A setting's text and its origin. What a `[[queue]]` table says of its queue is more particular than anything
    /// that is said of all queues.
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

    pub(super) fn retry_by_type(&self, queue: Option<&QueueSection>) -> BTreeMap<String, String> {
        let mut all = self.file.retry_by_type.clone();
        if let Some(queue) = queue {
            all.extend(queue.section.retry_by_type.clone());
        }
        all
    }
}

impl Section {
    fn read(
        table: Table,
        allowed: impl Fn(&Setting) -> bool,
        place: &str,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut section = Self::default();
        for (key, value) in table {
            if key == RETRY_BY_TYPE {
                section.retry_by_type = read_retry_by_type(value, place, problems);
                continue;
            }
            let at = format!("{place}{key}");
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key && allowed(setting)) else {
                let known: Vec<&str> = SETTINGS.iter().filter(|s| allowed(s)).map(|s| s.key).collect();
                problems.push(Problem::new(at, format!("no such setting; there are {}", known.join(", "))));
                continue;
            };
            match text(&value) {
                Some(text) => {
                    section.values.insert(setting.key, text);
                }
                None => problems.push(Problem::new(at, "must be a text or a number".to_owned())),
            }
        }
        section
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
        let section = Section::read(table, |setting| setting.per_queue, &place, problems);
        match url {
            Some(url) => sections.push(QueueSection { url, section }),
            None => problems.push(Problem::new(format!("{place}url"), "is missing".to_owned())),
        }
    }
    sections
}

fn read_retry_by_type(value: Value, place: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let at = format!("{place}{RETRY_BY_TYPE}");
    let Value::Table(table) = value else {
        problems.push(Problem::new(at, "must be a table of job types and their retry policies".to_owned()));
        return BTreeMap::new();
    };
    let policies = table.into_iter().filter_map(|(job_type, policy)| {
        let policy = text(&policy);
        if policy.is_none() {
            problems.push(Problem::new(format!("{at}.{job_type}"), "must be a text".to_owned()));
        }
        Some((job_type, policy?))
    });
    policies.collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
