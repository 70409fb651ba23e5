//! The rule by which a schedule fires.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cron::CronRule;
use super::error::{Refused, ScheduleError};
use super::interval::Interval;

/// The first range of time that is searched for instants, backwards. It is doubled until enough are found.
const FIRST_STRETCH_SECS: i64 = 60;

/// The rule by which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// At the times of a cron expression in a time zone.
    Cron(CronRule),
    /// At the multiples of an interval since the Unix epoch.
    Every(Interval),
}

impl Rule {
    /// Reads a cron expression and the IANA name of its time zone.
    ///
    /// # Errors
    /// If the expression is invalid or never matches, or the time zone does not exist.
    pub fn cron(schedule: &str, expression: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        Self::parse_cron(expression, time_zone)
            .map_err(|(field, reason)| ScheduleError::new(schedule, field, reason))
    }

    /// Returns a rule for an interval.
    ///
    /// # Errors
    /// If the interval is not a number of whole seconds, or is longer than a year.
    pub fn every(schedule: &str, every: Duration) -> Result<Self, ScheduleError> {
        Interval::new(every)
            .map(Self::Every)
            .map_err(|(field, reason)| ScheduleError::new(schedule, field, reason))
    }

    pub(crate) fn parse_cron(expression: &str, time_zone: &str) -> Result<Self, Refused> {
        CronRule::parse(expression, time_zone).map(Self::Cron)
    }

    /// Returns the first instant after this one at which the rule fires.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next_after(after),
            Self::Every(interval) => interval.next_after(after),
        }
    }

    /// Returns the newest instants after `after` up to and including `until`, `limit` at most, in order.
    ///
    /// The cost does not depend on how long ago `after` is, so that a schedule of every second can be a year behind.
    pub(crate) fn newest(&self, after: Timestamp, until: Timestamp, limit: usize) -> VecDeque<Timestamp> {
        let mut stretch = FIRST_STRETCH_SECS;
        loop {
            let from = Timestamp::from_second(until.as_second().saturating_sub(stretch));
            let from = from.unwrap_or(after).max(after);
            let mut found = VecDeque::new();
            for instant in self.between(from, until) {
                if found.len() == limit {
                    found.pop_front();
                }
                found.push_back(instant);
            }
            if found.len() == limit || from == after {
                return found;
            }
            stretch = stretch.saturating_mul(2);
        }
    }

    /// Returns the instants after `after` up to and including `until`, in order.
    pub(crate) fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let next = move |instant: &Timestamp| self.next_after(*instant).filter(|next| *next <= until);
        std::iter::successors(next(&after), next)
    }
}

/// Writes the expression with its time zone, or the interval.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => cron.fmt(f),
            Self::Every(interval) => write!(f, "every {interval}"),
        }
    }
}

/// A rule in the form in which its schedule's state stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(crate) enum StoredRule {
    #[serde(rename_all = "camelCase")]
    Cron { cron: String, time_zone: String },
    #[serde(rename_all = "camelCase")]
    Every { every_secs: u64 },
}

impl From<&Rule> for StoredRule {
    fn from(rule: &Rule) -> Self {
        match rule {
            Rule::Cron(cron) => {
                Self::Cron { cron: cron.expression().to_owned(), time_zone: cron.zone_name().to_owned() }
            }
            Rule::Every(interval) => Self::Every { every_secs: interval.length().as_secs() },
        }
    }
}

impl StoredRule {
    /// Returns the rule. `None` if this version does not know such a rule.
    pub(crate) fn rule(&self) -> Option<Rule> {
        match self {
            Self::Cron { cron, time_zone } => Rule::parse_cron(cron, time_zone).ok(),
            Self::Every { every_secs } => {
                Interval::new(Duration::from_secs(*every_secs)).ok().map(Rule::Every)
            }
        }
    }
}
