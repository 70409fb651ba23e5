//! The views of a schedule for people and programs.

use drumline_timetable::{Listed, Rule};
use jiff::Timestamp;
use serde::Serialize;

use crate::format::{rfc3339, shortest};

/// A schedule in the format of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleView {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    next: Option<Timestamp>,
    last: Option<Timestamp>,
    created: Option<Timestamp>,
    paused: Option<Timestamp>,
    #[serde(rename = "type")]
    job_type: Option<String>,
    catch_up: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<&Listed> for ScheduleView {
    fn from(listed: &Listed) -> Self {
        let (cron, time_zone, every) = match &listed.rule {
            Some(Rule::Cron(cron)) => {
                (Some(cron.expression().to_owned()), Some(cron.zone_name().to_owned()), None)
            }
            Some(Rule::Every(interval)) => (None, None, Some(interval.to_string())),
            // A rule that this program cannot use, with its text from the state.
            _ => (Some(listed.rule_text.clone()).filter(|text| !text.is_empty()), None, None),
        };
        let state = listed.state.as_ref();
        Self {
            name: listed.name.clone(),
            state: label(listed),
            cron,
            time_zone,
            every,
            next: listed.next,
            last: state.and_then(|state| state.last),
            created: state.map(|state| state.created),
            paused: state.and_then(|state| state.paused),
            job_type: listed.declared.as_ref().map(|(job_type, _)| job_type.clone()),
            catch_up: listed.declared.as_ref().map(|(_, catch_up)| catch_up.to_string()),
            problem: listed.problem.as_ref().map(ToString::to_string),
        }
    }
}

fn label(listed: &Listed) -> &'static str {
    let Some(state) = &listed.state else {
        return if listed.problem.is_some() { "unusable" } else { "new" };
    };
    let is_declared = listed.declared.is_some();
    match listed.rule.as_ref().map(|rule| state.runs_by(rule)) {
        _ if state.paused.is_some() => "paused",
        _ if state.removed.is_some() && !is_declared => "removed",
        Some(false) if is_declared => "changed",
        _ => "active",
    }
}

impl ScheduleView {
    pub(super) fn narrow(&self, now_ms: u64) -> [String; 6] {
        let next = match self.next.map(millis) {
            Some(next) if next > now_ms => format!("in {}", shortest(next - now_ms)),
            Some(_) => "now".to_owned(),
            None => dash(),
        };
        let last = self.last.map(|last| format!("{} ago", shortest(now_ms.saturating_sub(millis(last)))));
        let (name, state) = (self.name.clone(), self.state.to_owned());
        [name, self.zone(), self.when(), next, last.unwrap_or_else(dash), state]
    }

    pub(super) fn wide(&self) -> [String; 9] {
        let at = |instant: Option<Timestamp>| instant.map_or_else(dash, |instant| rfc3339(millis(instant)));
        let text = |text: &Option<String>| text.clone().unwrap_or_else(dash);
        let state = match &self.problem {
            Some(problem) => format!("{}: {problem}", self.state),
            None => self.state.to_owned(),
        };
        [
            self.name.clone(),
            self.when(),
            self.zone(),
            at(self.next),
            at(self.last),
            state,
            text(&self.job_type),
            text(&self.catch_up),
            at(self.created),
        ]
    }

    fn when(&self) -> String {
        let every = self.every.as_ref().map(|every| format!("every {every}"));
        every.or_else(|| self.cron.clone()).unwrap_or_else(dash)
    }

    fn zone(&self) -> String {
        self.time_zone.clone().unwrap_or_else(dash)
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn millis(instant: Timestamp) -> u64 {
    u64::try_from(instant.as_millisecond()).unwrap_or_default()
}
