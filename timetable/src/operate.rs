//! Operators' actions on schedules: list, pause, resume, and run now.

use std::fmt;

use drumline_store::StoreError;
use drumline_store::outbox::Outbox;
use jiff::Timestamp;

use crate::core::{CatchUp, Rule, Schedule, State, StateError, full_name};
use crate::states::{Kept, change, now, read_states};
use crate::timetable::Timetable;

/// The maximum number of retries of a change that schedulers overtook.
const MOST_TRIES: usize = 20;

/// A schedule as shown to operators.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// The schedule's name. For a schedule of another timetable it includes the timetable: `billing/daily-report`.
    pub name: String,
    /// The rule declared here, or else the rule that schedulers run. `None` if this program cannot use it.
    pub rule: Option<Rule>,
    /// The text of the rule.
    pub rule_text: String,
    /// The type of its jobs and the rule for missed firings, if it is declared here.
    pub declared: Option<(String, CatchUp)>,
    /// Its state; `None` if no scheduler has seen it.
    pub state: Option<State>,
    /// The next firing, if it is neither paused nor removed.
    pub next: Option<Timestamp>,
    /// The reason why its state cannot be used.
    pub problem: Option<StateError>,
}

/// The reason why an operator's request fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum OperateError {
    /// There is no such schedule.
    Unknown {
        /// The requested name.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// The schedule belongs to another timetable. Its job is not declared here.
    Elsewhere(String),
    /// The state cannot be used.
    State(StateError),
    /// Schedulers changed the state during each attempt.
    Busy(String),
    /// The outbox does not respond.
    Outbox(StoreError),
}

impl From<StoreError> for OperateError {
    fn from(error: StoreError) -> Self {
        Self::Outbox(error)
    }
}

impl fmt::Display for OperateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "there is no schedule {name:?}, and there are no other schedules")
            }
            Self::Unknown { name, known } => {
                write!(f, "there is no schedule {name:?}; there are {}", known.join(", "))
            }
            Self::Elsewhere(name) => write!(
                f,
                "the job of schedule {name:?} is not declared in these settings: run it with the settings that declare it, or by \
                 Timetable::run_now in the program that does"
            ),
            Self::State(error) => write!(f, "the state of the schedule {error}"),
            Self::Busy(name) => {
                write!(f, "the state of schedule {name:?} changed during each attempt: try again")
            }
            Self::Outbox(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OperateError {}

impl Timetable {
    /// Returns the schedules of this timetable, then the others with a state in the outbox, sorted by name.
    ///
    /// # Errors
    /// If the outbox does not respond.
    pub async fn list(&self, outbox: &dyn Outbox) -> Result<Vec<Listed>, StoreError> {
        let mut states = read_states(outbox).await?;
        let now = now(outbox).await?;
        let own = self.schedules().iter().map(|schedule| {
            let kept = states.remove(&(self.name().to_owned(), schedule.name().to_owned()));
            declared(self.name(), schedule, kept, now)
        });
        let mut all: Vec<Listed> = own.collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.extend(
            states
                .into_iter()
                .map(|((timetable, schedule), kept)| elsewhere(full_name(&timetable, &schedule), kept, now)),
        );
        Ok(all)
    }

    /// Pauses a schedule, which then fires nothing until it is resumed. Returns false if it was already paused.
    ///
    /// # Errors
    /// If there is no such schedule, or the outbox does not respond.
    pub async fn pause(&self, outbox: &dyn Outbox, name: &str) -> Result<bool, OperateError> {
        self.change_state(outbox, name, State::pause).await
    }

    /// Resumes a schedule. Firings during the pause are skipped. Returns false if it was not paused.
    ///
    /// # Errors
    /// If there is no such schedule, or the outbox does not respond.
    pub async fn resume(&self, outbox: &dyn Outbox, name: &str) -> Result<bool, OperateError> {
        self.change_state(outbox, name, State::resume).await
    }

    /// Adds a job of a schedule now, even if the schedule is paused. Its firings do not change. Returns the job's id.
    ///
    /// # Errors
    /// If this timetable has no such schedule, or the outbox does not respond.
    pub async fn run_now(&self, outbox: &dyn Outbox, name: &str) -> Result<String, OperateError> {
        let Some(schedule) = self.schedules().iter().find(|schedule| self.full_name(schedule) == name) else {
            return Err(match self.find(outbox, name).await? {
                Some(_) => OperateError::Elsewhere(name.to_owned()),
                None => self.unknown(outbox, name).await?,
            });
        };
        let job = schedule.job_now(self.name(), &format!("{:016x}", fastrand::u64(..)), now(outbox).await?);
        outbox.add(std::slice::from_ref(&job)).await?;
        Ok(job.id)
    }

    async fn change_state(
        &self,
        outbox: &dyn Outbox,
        name: &str,
        changed: impl Fn(State, Timestamp) -> State,
    ) -> Result<bool, OperateError> {
        for _ in 0..MOST_TRIES {
            let Some((timetable, schedule, kept)) = self.find(outbox, name).await? else {
                return Err(self.unknown(outbox, name).await?);
            };
            let now = now(outbox).await?;
            let before = match kept.as_ref().map(|kept| kept.state.clone()) {
                Some(state) => state.map_err(OperateError::State)?,
                // No scheduler has seen it yet: it is new, from now on.
                None => match self.schedule(&schedule) {
                    Some(schedule) => State::new(schedule.rule(), now),
                    None => return Err(self.unknown(outbox, name).await?),
                },
            };
            let after = changed(before.clone(), now);
            if after == before {
                return Ok(false);
            }
            if change(outbox, (&timetable, &schedule), kept.as_ref(), Some(&after), &[]).await? {
                return Ok(true);
            }
        }
        Err(OperateError::Busy(name.to_owned()))
    }

    /// Returns the timetable and the name of the schedule with this full name, and its state if it has one.
    async fn find(
        &self,
        outbox: &dyn Outbox,
        name: &str,
    ) -> Result<Option<(String, String, Option<Kept>)>, StoreError> {
        let states = read_states(outbox).await?;
        let state =
            states.into_iter().find(|((timetable, schedule), _)| full_name(timetable, schedule) == name);
        if let Some(((timetable, schedule), kept)) = state {
            return Ok(Some((timetable, schedule, Some(kept))));
        }
        let declared = self.schedules().iter().find(|schedule| self.full_name(schedule) == name);
        Ok(declared.map(|schedule| (self.name().to_owned(), schedule.name().to_owned(), None)))
    }

    async fn unknown(&self, outbox: &dyn Outbox, name: &str) -> Result<OperateError, StoreError> {
        let known = self.list(outbox).await?.into_iter().map(|listed| listed.name).collect();
        Ok(OperateError::Unknown { name: name.to_owned(), known })
    }

    fn full_name(&self, schedule: &Schedule) -> String {
        full_name(self.name(), schedule.name())
    }
}

fn declared(timetable: &str, schedule: &Schedule, kept: Option<Kept>, now: Timestamp) -> Listed {
    let (state, problem) = parts(kept);
    let rule = schedule.rule();
    // A scheduler that sees a changed rule starts from that moment.
    let seen = state.as_ref().filter(|state| state.runs_by(rule));
    let next = match (seen, &state, &problem) {
        (_, _, Some(_)) => None,
        (Some(seen), ..) => seen.next(rule, now),
        (None, Some(state), _) if state.paused.is_some() => None,
        (None, ..) => rule.next_after(now),
    };
    Listed {
        name: full_name(timetable, schedule.name()),
        rule: Some(rule.clone()),
        rule_text: rule.to_string(),
        declared: Some((schedule.job_type().to_owned(), schedule.catch_up())),
        state,
        next,
        problem,
    }
}

fn elsewhere(name: String, kept: Kept, now: Timestamp) -> Listed {
    let (state, problem) = parts(Some(kept));
    let rule = state.as_ref().and_then(State::rule);
    let runs = state.as_ref().filter(|state| state.removed.is_none());
    let next = runs.zip(rule.as_ref()).and_then(|(state, rule)| state.next(rule, now));
    let rule_text = state.as_ref().map(State::rule_text).unwrap_or_default();
    Listed { name, rule, rule_text, declared: None, state, next, problem }
}

fn parts(kept: Option<Kept>) -> (Option<State>, Option<StateError>) {
    match kept.map(|kept| kept.state) {
        None => (None, None),
        Some(Ok(state)) => (Some(state), None),
        Some(Err(error)) => (None, Some(error)),
    }
}
