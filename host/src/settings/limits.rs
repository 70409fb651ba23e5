//! The `[limits."TYPE"]` tables of the file, with the limits for the jobs of a type.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use drumline::core::{BreakerRule, JobKind, Percent, Rate, RateKey, RateRule, TypeRules};
use drumline::message::MAX_TYPE_BYTES;
use toml::{Table, Value};

use super::fields::Fields;
use super::names::LIMITS;
use super::problem::Problem;
use super::values;

/// The keys of a table.
const KEYS: [&str; 10] = [
    "concurrency",
    "kind",
    "rate",
    "burst",
    "key",
    "breaker_failures",
    "breaker_share",
    "breaker_window",
    "breaker_runs",
    "breaker_pause",
];

/// The time over which the share of failures is computed.
const BREAKER_WINDOW: Duration = Duration::from_secs(60);

/// The minimum number of runs for their share of failures to count: with fewer, two failures are too large a share.
const BREAKER_RUNS: NonZeroU32 = NonZeroU32::new(20).expect("20 is not 0");

/// The first pause of a breaker.
const BREAKER_PAUSE: Duration = Duration::from_secs(30);

/// The text of a table, for `drumline config`, and its rules.
pub(super) type Limited = BTreeMap<String, (String, TypeRules)>;

/// Reads the tables. Omits each invalid one and reports all of its problems.
pub(super) fn read_limits(value: Option<Value>, problems: &mut Vec<Problem>) -> Limited {
    const FORM: &str = "write the limits of each job type as a table, such as [limits.\"email.send\"]";
    let tables = match value {
        None => return Limited::new(),
        Some(Value::Table(tables)) => tables,
        Some(_) => {
            problems.push(Problem::new(LIMITS.to_owned(), FORM.to_owned()));
            return Limited::new();
        }
    };
    let mut limits = Limited::new();
    for (name, table) in tables {
        let place = format!("[limits.{name:?}]");
        let Value::Table(table) = table else {
            problems.push(Problem::new(place, FORM.to_owned()));
            continue;
        };
        if let Some((inner, _)) = table.iter().find(|(_, value)| value.is_table()) {
            let text = format!("a job type with dots needs quotes: write [limits.\"{name}.{inner}\"]");
            problems.push(Problem::new(place, text));
            continue;
        }
        if table.is_empty() {
            problems.push(Problem::new(place, format!("limits nothing; there are {}", KEYS.join(", "))));
            continue;
        }
        if let Err(text) = values::short_text(&name, MAX_TYPE_BYTES) {
            problems.push(Problem::new(place, text));
            continue;
        }
        let shown = shown(&table);
        let fields = Fields { table, place, noun: "the limits of a type", keys: &KEYS, problems };
        if let Some(rules) = fields.limits() {
            limits.insert(name, (shown, rules));
        }
    }
    limits
}

fn shown(table: &Table) -> String {
    let parts = table.iter().map(|(key, value)| format!("{key} = {value}"));
    parts.collect::<Vec<_>>().join(", ")
}

impl Fields<'_> {
    /// Returns `None` only after recording a problem.
    fn limits(mut self) -> Option<TypeRules> {
        self.report_unknown();
        let before = self.problems.len();
        let concurrency = self.parsed("concurrency", values::concurrency);
        let kind = self.parsed("kind", |text| match text {
            "io" => Ok(JobKind::Io),
            "cpu" => Ok(JobKind::Cpu),
            _ => Err("must be io or cpu".to_owned()),
        });
        let rate = self.rate();
        let rules = TypeRules { concurrency, kind: kind.unwrap_or_default(), rate, breaker: self.breaker() };
        (self.problems.len() == before).then_some(rules)
    }

    fn rate(&mut self) -> Option<RateRule> {
        let is_given = self.table.contains_key("rate");
        let rate = self.parsed("rate", |text| text.parse::<Rate>().map_err(|error| error.to_string()));
        let burst = self.parsed("burst", whole_number);
        let key = self.parsed("key", |text| match text {
            "group" => Ok(RateKey::Group),
            pointer if pointer.starts_with('/') => Ok(RateKey::Pointer(pointer.to_owned())),
            _ => Err("must be group, or a JSON pointer into the payload, such as /customerId".to_owned()),
        });
        if !is_given && (burst.is_some() || key.is_some()) {
            self.note("rate", "is missing: burst and key are parts of a rate".to_owned());
        }
        let rate = rate?;
        if let Some(burst) = burst.filter(|burst| *burst > rate.most_burst()) {
            self.note(
                "burst",
                format!("is {burst}: it is at most what the rate gives in 30 days, {}", rate.most_burst()),
            );
        }
        Some(RateRule { rate, burst: burst.unwrap_or(rate.default_burst()), key })
    }

    fn breaker(&mut self) -> Option<BreakerRule> {
        let is_given = |fields: &Self, keys: &[&str]| keys.iter().any(|key| fields.table.contains_key(*key));
        let is_on = is_given(self, &["breaker_failures", "breaker_share"]);
        let has_share = is_given(self, &["breaker_share"]);
        if !is_on && is_given(self, &["breaker_window", "breaker_runs", "breaker_pause"]) {
            self.note(
                "breaker_failures",
                "is missing, or breaker_share: one of them pauses the type".to_owned(),
            );
        } else if !has_share && is_given(self, &["breaker_window", "breaker_runs"]) {
            self.note(
                "breaker_share",
                "is missing: breaker_window and breaker_runs are parts of it".to_owned(),
            );
        }
        let failures = self.parsed("breaker_failures", whole_number);
        let share =
            self.parsed("breaker_share", |text| text.parse::<Percent>().map_err(|error| error.to_string()));
        let window = self.parsed("breaker_window", values::up_to_an_hour);
        let min_runs = self.parsed("breaker_runs", whole_number);
        let pause = self.parsed("breaker_pause", values::up_to_an_hour);
        is_on.then(|| BreakerRule {
            failures,
            share,
            window: window.unwrap_or(BREAKER_WINDOW),
            min_runs: min_runs.unwrap_or(BREAKER_RUNS),
            pause: pause.unwrap_or(BREAKER_PAUSE),
        })
    }

    /// Parses the text of a key, if there is one.
    fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        self.checked(key, &text, parse)
    }
}

fn whole_number(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "must be a whole number from 1".to_owned())
}
