//! Cron expressions in a time zone.
//!
//! An expression refers to local time, which daylight saving time shifts:
//!
//! - An expression that names hours fires once for each local time that it names. A local time that the clock skips fires at
//!   the end of the gap. A local time that occurs twice fires the first time.
//! - An expression for every hour (`*`) follows elapsed time: it fires nothing in a gap, and an hour that occurs twice is two
//!   hours.

use std::fmt;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::error::Refused;
use super::zone::time_zone;

/// From this date on, a calendar has all combinations of days, weekdays and leap years. An expression that does not match after
/// it never matches.
const REFERENCE: &str = "2000-01-01T00:00:00Z";

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct CronRule {
    expression: String,
    zone_name: String,
    zone: TimeZone,
    /// Boxed because it is large and moves with its schedule.
    cron: Box<Cron>,
    every_hour: bool,
}

impl CronRule {
    /// Reads an expression of five fields (minute, hour, day of the month, month, weekday), or six with seconds in front, and the IANA
    /// name of its time zone.
    pub(crate) fn parse(expression: &str, zone_name: &str) -> Result<Self, Refused> {
        let zone = time_zone(zone_name).map_err(|reason| ("time_zone", reason));
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = parse(&expression).map(Box::new).map_err(|reason| ("cron", reason))?;
        let zone = zone?;
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let rule = Self { expression, zone_name: zone_name.to_owned(), zone, cron, every_hour };
        let reference = REFERENCE.parse().expect("a constant instant");
        if rule.next_after(reference).is_none() {
            let reason =
                format!("{:?} never matches: none of its months has one of its days", rule.expression);
            return Err(("cron", reason));
        }
        Ok(rule)
    }

    /// Returns the expression, with single spaces.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Returns the name of the time zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// Returns the time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the first instant after this one at which the rule fires; `None` beyond the end of the calendar.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // Expressions have a resolution of one second.
        let after = Timestamp::from_second(after.as_millisecond().div_euclid(1000)).ok()?;
        if self.every_hour { self.next_by_elapsed_time(after) } else { self.next_by_wall_time(after) }
    }

    fn next_by_elapsed_time(&self, after: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&after.to_zoned(self.zone.clone()), false);
        found.ok().map(|found| found.timestamp())
    }

    fn next_by_wall_time(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = after.to_zoned(self.zone.clone()).datetime();
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            // If the first occurrence of a local time is over, its second occurrence is over too.
            let instant = self.instant_of(wall)?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    fn instant_of(&self, wall: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().ok(),
            AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
        }
    }
}

impl PartialEq for CronRule {
    fn eq(&self, other: &Self) -> bool {
        (&self.expression, &self.zone_name) == (&other.expression, &other.zone_name)
    }
}

impl Eq for CronRule {}

impl fmt::Display for CronRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone_name)
    }
}

fn parse(expression: &str) -> Result<Cron, String> {
    const FORM: &str = "write five fields (minute hour day month weekday), such as \"0 7 * * MON-FRI\", or six with seconds in front";
    let fields = expression.split(' ').count();
    let is_nickname = expression.starts_with('@');
    if expression.is_empty() || (!is_nickname && !(5..=6).contains(&fields)) {
        let has = if expression.is_empty() { 0 } else { fields };
        return Err(format!("{expression:?} has {has} field{}: {FORM}", if has == 1 { "" } else { "s" }));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| {
        let problem = match &error {
            _ if is_nickname => "there are @yearly, @monthly, @weekly, @daily and @hourly".to_owned(),
            CronError::InvalidPattern(text)
            | CronError::IllegalCharacters(text)
            | CronError::ComponentError(text) => text.trim_end_matches('.').to_owned(),
            other => other.to_string(),
        };
        format!("{expression:?} is not a cron expression: {problem}; {FORM}")
    })
}
