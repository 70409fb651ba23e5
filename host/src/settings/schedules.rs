//! The `[[schedule]]` tables of the file: jobs at set times.
//!
//! The parts of a schedule are read and checked here; the expression and the time zone by the timetable, which knows calendars.

use std::fmt;
use std::time::Duration;

use drumline::message::MAX_TYPE_BYTES;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::fields::Fields;
use super::problem::Problem;
use super::values;

/// The keys of a table.
const KEYS: [&str; 10] =
    ["name", "cron", "time_zone", "every", "type", "version", "payload", "queue", "group", "catch_up"];

/// The time zone of a cron expression without one.
const DEFAULT_TIME_ZONE: &str = "UTC";

/// A `[[schedule]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleSettings {
    /// Its name.
    pub name: String,
    /// The times at which it fires.
    pub times: ScheduleTimes,
    /// The type of its jobs.
    pub job_type: String,
    /// The version of the payload's schema.
    pub version: u32,
    /// The payload.
    pub payload: Json,
    /// The URL, the ARN or the name of the queue; `None` for the queue of the type.
    pub queue: Option<String>,
    /// The message group.
    pub group: Option<String>,
    /// The treatment of missed firings, not checked yet.
    pub catch_up: Option<String>,
    /// Its place in error texts, such as `[[schedule]] 2 "daily-report"`.
    pub place: String,
}

/// The times at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleTimes {
    /// Those of a cron expression in a time zone, not checked yet.
    Cron {
        /// The expression.
        expression: String,
        /// The name of the time zone.
        time_zone: String,
    },
    /// The multiples of an interval.
    Every(Duration),
}

impl fmt::Display for ScheduleTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expression, time_zone } => write!(f, "{expression} {time_zone}"),
            Self::Every(every) => write!(f, "every {}", humantime::format_duration(*every)),
        }
    }
}

/// Reads the tables. Omits each bad one and reports all that is wrong with it.
pub(super) fn read_schedules(value: Option<Value>, problems: &mut Vec<Problem>) -> Vec<ScheduleSettings> {
    const FORM: &str = "write each schedule as a [[schedule]] table";
    let tables = match value {
        None => return Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            problems.push(Problem::new("schedule".to_owned(), FORM.to_owned()));
            return Vec::new();
        }
    };
    let mut schedules: Vec<ScheduleSettings> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let place = format!("[[schedule]] {}", index + 1);
        let Value::Table(table) = table else {
            problems.push(Problem::new(place, FORM.to_owned()));
            continue;
        };
        let Some(schedule) = fields(table, place, problems).schedule() else { continue };
        if schedules.iter().any(|other| other.name == schedule.name) {
            let text = format!("another schedule has the name {:?}", schedule.name);
            problems.push(Problem::new(format!("{}: name", schedule.place), text));
        }
        schedules.push(schedule);
    }
    schedules
}

/// Returns the fields of a `[[schedule]]` table.
fn fields(table: Table, place: String, problems: &mut Vec<Problem>) -> Fields<'_> {
    let place = match table.get("name").and_then(Value::as_str) {
        Some(name) => format!("{place} {name:?}"),
        None => place,
    };
    Fields { table, place, noun: "a schedule", keys: &KEYS, problems }
}

impl Fields<'_> {
    /// Returns `None` only if a problem has been noted.
    fn schedule(mut self) -> Option<ScheduleSettings> {
        self.report_unknown();
        let name = self.required("name");
        let times = self.times();
        let job_type = self.required("type");
        let job_type = job_type.and_then(|text| {
            self.checked("type", &text, |text| {
                values::short_text(text, MAX_TYPE_BYTES).map(|text| text.to_string())
            })
        });
        let version = match self.text("version") {
            Some(text) => self.checked("version", &text, values::schema_version),
            None => Some(1),
        };
        let payload = self.payload();
        let queue = self.text("queue");
        let is_queue =
            queue.as_ref().is_none_or(|queue| self.checked("queue", queue, values::queue_url).is_some());
        let group = self.text("group");
        let catch_up = self.text("catch_up");
        Some(ScheduleSettings {
            queue: if is_queue { queue } else { return None },
            name: name?,
            times: times?,
            job_type: job_type?,
            version: version?,
            payload: payload?,
            group,
            catch_up,
            place: self.place,
        })
    }

    fn times(&mut self) -> Option<ScheduleTimes> {
        let is_given = ["cron", "every"].iter().any(|key| self.table.contains_key(*key));
        let (cron, every, time_zone) = (self.text("cron"), self.text("every"), self.text("time_zone"));
        match (cron, every) {
            (Some(expression), None) => {
                let time_zone = time_zone.unwrap_or_else(|| DEFAULT_TIME_ZONE.to_owned());
                Some(ScheduleTimes::Cron { expression, time_zone })
            }
            (None, Some(text)) => {
                if time_zone.is_some() {
                    self.note(
                        "time_zone",
                        "is of cron expressions: an interval is the same in all zones".to_owned(),
                    );
                }
                self.checked("every", &text, values::duration).map(ScheduleTimes::Every)
            }
            (Some(_), Some(_)) => {
                self.note("cron", "a schedule has cron or every, and not both".to_owned());
                None
            }
            (None, None) if is_given => None,
            (None, None) => {
                let text =
                    "is missing: set it, such as cron = \"0 7 * * *\", or every, such as every = \"5m\"";
                self.note("cron", text.to_owned());
                None
            }
        }
    }

    /// Returns the payload as JSON; an empty object if there is none.
    fn payload(&mut self) -> Option<Json> {
        let Some(value) = self.table.remove("payload") else {
            return Some(Json::Object(serde_json::Map::new()));
        };
        let payload = json(value);
        if payload.is_none() {
            self.note("payload", "has a number that is none in JSON".to_owned());
        }
        payload
    }
}

/// Returns a value of the file as JSON: dates and times as texts. `None` if it has a number that JSON has not.
fn json(value: Value) -> Option<Json> {
    Some(match value {
        Value::String(text) => Json::String(text),
        Value::Integer(number) => Json::from(number),
        Value::Float(number) => Json::Number(serde_json::Number::from_f64(number)?),
        Value::Boolean(truth) => Json::Bool(truth),
        Value::Datetime(time) => Json::String(time.to_string()),
        Value::Array(items) => Json::Array(items.into_iter().map(json).collect::<Option<_>>()?),
        Value::Table(table) => {
            let fields = table.into_iter().map(|(name, value)| Some((name, json(value)?)));
            Json::Object(fields.collect::<Option<_>>()?)
        }
    })
}
