//! The state of a schedule: a short text in the outbox, changed in one transaction with the jobs of firings.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rule::{Rule, StoredRule};

/// The version of the text. A program that reads a higher version does not run the schedule.
const VERSION: u32 = 1;

/// The state of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct State {
    pub(crate) version: u32,
    /// The rule in force. A changed rule takes effect when a scheduler first sees it.
    pub(crate) rule: StoredRule,
    /// The time at which a scheduler first saw the schedule.
    pub created: Timestamp,
    /// All instants up to this one have fired or were skipped. It never decreases, so no instant fires twice.
    pub decided: Timestamp,
    /// The last instant that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The time at which an operator paused the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// The time at which a scheduler saw that the schedule was no longer in its timetable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
}

/// The reason why the text of a state cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateError(String);

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StateError {}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl State {
    /// Returns the state of a schedule that a scheduler sees for the first time.
    pub(crate) fn new(rule: &Rule, now: Timestamp) -> Self {
        Self {
            version: VERSION,
            rule: rule.into(),
            created: now,
            decided: now,
            last: None,
            paused: None,
            removed: None,
        }
    }

    /// Reads a state.
    ///
    /// # Errors
    /// If the text is not a state, or has a newer version.
    pub fn parse(text: &str) -> Result<Self, StateError> {
        let not_one =
            |error: serde_json::Error| StateError(format!("is not the state of a schedule: {error}"));
        let Versioned { version } = serde_json::from_str(text).map_err(not_one)?;
        if version > VERSION {
            return Err(StateError(format!(
                "is of version {version}, and this program knows {VERSION}: update it, or stop it"
            )));
        }
        serde_json::from_str(text).map_err(not_one)
    }

    /// Returns the text that the outbox keeps.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and times are JSON")
    }

    /// Returns true if schedulers run the schedule by this rule.
    pub fn runs_by(&self, rule: &Rule) -> bool {
        self.removed.is_none() && self.rule == StoredRule::from(rule)
    }

    /// Returns the next firing by a rule, after `now` and after the instants already decided. `None` for a paused schedule.
    pub(crate) fn next(&self, rule: &Rule, now: Timestamp) -> Option<Timestamp> {
        if self.paused.is_some() { None } else { rule.next_after(now.max(self.decided)) }
    }

    /// Returns the rule in force. `None` if this program cannot use it, for example because its time zone is unknown here.
    pub fn rule(&self) -> Option<Rule> {
        self.rule.rule()
    }

    /// Returns the text of the rule in force.
    pub fn rule_text(&self) -> String {
        match (&self.rule, self.rule.rule()) {
            (_, Some(rule)) => rule.to_string(),
            (StoredRule::Cron { cron, time_zone }, None) => format!("{cron} {time_zone}"),
            (StoredRule::Every { every_secs }, None) => format!("every {every_secs}s"),
        }
    }

    /// Returns the state after an operator pauses the schedule. The state of a paused schedule does not change.
    #[must_use]
    pub fn pause(self, now: Timestamp) -> Self {
        let paused = self.paused.or(Some(now));
        Self { paused, ..self }
    }

    /// Returns the state after an operator resumes the schedule. Firings during the pause are skipped.
    #[must_use]
    pub fn resume(self, now: Timestamp) -> Self {
        let decided = if self.paused.is_some() { self.decided.max(now) } else { self.decided };
        Self { paused: None, decided, ..self }
    }

    /// Returns the state after a scheduler sees that the schedule is no longer in its timetable.
    #[must_use]
    pub fn remove(self, now: Timestamp) -> Self {
        let removed = self.removed.or(Some(now));
        Self { removed, ..self }
    }
}
