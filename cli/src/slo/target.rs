//! A service-level target in its notation: `99% of email.send within 2m over 30d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use drumline_consumer::Metrics;

use super::burn::{self, Burn};

const DAY: Duration = Duration::from_secs(86_400);

/// The allowed periods. Shorter ones have no room for windows that raise an alert before the budget is spent.
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(7 * 86_400)..=Duration::from_secs(90 * 86_400);

const SHAPE: &str = r#"must be like "99% of email.send within 2m over 30d""#;

/// The share of a type's jobs that must succeed in time.
///
/// Invariants: there is a bucket bound at or above the time, and each burn rate can be reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    percent: String,
    /// The share of jobs that may miss the target.
    pub(super) budget: f64,
    pub(super) job_type: String,
    within: Duration,
    pub(super) over: Duration,
    /// The histogram's bucket bound in seconds that is used for the time.
    pub(super) bound: f64,
}

impl Target {
    /// Returns the burn rates that raise alerts.
    pub(super) fn burns(&self) -> Vec<Burn> {
        burn::rates(self.budget, self.over)
    }

    /// Returns a sentence about the bound if it differs from the target's time.
    pub(super) fn note(&self) -> Option<String> {
        let bound = Duration::from_secs_f64(self.bound);
        (bound != self.within).then(|| {
            format!(
                "\"{self}\": no bucket ends at {}; jobs are counted as in time up to the next bound, {}",
                short(self.within),
                short(bound)
            )
        })
    }

    /// Returns the period, such as `30d`.
    pub(super) fn period(&self) -> String {
        short(self.over)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { percent, job_type, within, over, .. } = self;
        write!(f, "{percent}% of {job_type} within {} over {}", short(*within), short(*over))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (percent, rest) = text.trim().split_once(" of ")?;
            let (rest, over) = rest.rsplit_once(" over ")?;
            let (job_type, within) = rest.rsplit_once(" within ")?;
            let percent = percent.strip_suffix('%')?.trim();
            Some((percent, job_type.trim(), within.trim(), over.trim()))
        };
        let (percent, job_type, within, over) = parts().ok_or(SHAPE)?;
        // Annotations of alerts are templates, so `{{` is not allowed.
        if job_type.is_empty() || job_type.contains(char::is_control) || job_type.contains("{{") {
            return Err(format!("{SHAPE}: {job_type:?} is no job type"));
        }
        let share: f64 = percent.parse().map_err(|_| format!("{SHAPE}: {percent:?} is no number"))?;
        if !(share > 0.0 && share < 100.0) {
            return Err(format!("the share must be between 0% and 100%, and is {percent}%"));
        }
        let (within, over) = (duration(within)?, duration(over)?);
        if !PERIODS.contains(&over) || over.as_secs() % DAY.as_secs() != 0 {
            return Err(format!("the period must be whole days from 7d to 90d, and is {}", short(over)));
        }
        let bounds = Metrics::dwell_bounds();
        let Some(bound) = bounds.iter().copied().find(|bound| *bound >= within.as_secs_f64()) else {
            let last = bounds.last().copied().unwrap_or_default();
            let last = short(Duration::from_secs_f64(last));
            return Err(format!(
                "the time is {}, and dwell times are counted up to {last}: set a time up to {last}",
                short(within)
            ));
        };
        let budget = (100.0 - share) / 100.0;
        if let Some(burn) = burn::rates(budget, over).iter().find(|burn| burn.limit >= 1.0) {
            // With a share of 100 % missed, the burn rate cannot exceed the inverse of the budget.
            let least = 100.0 - 100.0 / burn.factor;
            return Err(format!(
                "the alert for a burn rate of {} can never ring at {percent}%: set a share above {least:.1}%, or a shorter period",
                burn::number(burn.factor)
            ));
        }
        let (percent, job_type) = (percent.to_owned(), job_type.to_owned());
        Ok(Self { percent, budget, job_type, within, over, bound })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(format!("{text:?} is no time: it must be more than 0")),
        Err(error) => Err(format!("{text:?} is no time such as 2m or 30d: {error}")),
    }
}

/// Formats a duration in units up to days: `1d12h`, `2m`, `250ms`.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts = parts.into_iter().chain([(u64::from(duration.subsec_millis()), "ms")]);
    let shown = parts.filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}"));
    shown.collect::<Vec<_>>().concat()
}
