//! A service-level target in its notation: `99% of email.send within 2m over 30d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use drumline::message::MAX_TYPE_BYTES;
use drumline_consumer::Metrics;

use super::burn::{self, Burn};

const DAY: Duration = Duration::from_secs(86_400);

/// The allowed periods. Shorter ones have no room for windows that raise an alert before the budget is spent.
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(7 * 86_400)..=Duration::from_secs(90 * 86_400);

/// The largest share. Limits of alerts have nine decimals, and no histogram has enough jobs for a smaller budget.
const MOST_PERCENT: f64 = 99.9999;

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

    /// Returns sentences about what the reader of a document may not expect: a bound that differs from the target's time, and
    /// a job type with spaces.
    pub(super) fn notes(&self) -> Vec<String> {
        let bound = Duration::from_secs_f64(self.bound);
        let (within, next) = (short(self.within), short(bound));
        let of_bound = (bound != self.within).then(|| {
            format!(
                "\"{self}\": no bucket ends at {within}; jobs are counted as in time up to the next bound, {next}"
            )
        });
        let of_type = self
            .job_type
            .contains(' ')
            .then(|| format!("\"{self}\": the job type is \"{}\", with its spaces", self.job_type));
        of_bound.into_iter().chain(of_type).collect()
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
        let [percent, job_type, within, over] = parts(text)?;
        let (budget, percent) = (budget(percent)?, percent.to_owned());
        if job_type.is_empty() {
            return Err(format!("{SHAPE}: the job type is missing"));
        }
        // Annotations of alerts are templates, so `{{` is not allowed.
        if job_type.len() > MAX_TYPE_BYTES || job_type.contains(char::is_control) || job_type.contains("{{") {
            return Err(format!(
                "{job_type:?} is no job type: it must have at most {MAX_TYPE_BYTES} bytes, no control characters and no {{{{"
            ));
        }
        let (within, over) = (duration("time", within)?, duration("period", over)?);
        if within.subsec_nanos() % 1_000_000 != 0 {
            return Err("the time must be whole milliseconds".to_owned());
        }
        if !PERIODS.contains(&over) || over.as_secs() % DAY.as_secs() != 0 {
            return Err(format!(
                "the period must be whole days from 7d to 90d, such as 30d, and is {}",
                short(over)
            ));
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
        if let Some(burn) = burn::rates(budget, over).iter().find(|burn| burn.limit >= 1.0) {
            // With a share of 100 % missed, the burn rate cannot exceed the inverse of the budget.
            let least = 100.0 - 100.0 / burn.factor;
            return Err(format!(
                "the alert for a burn rate of {} can never ring at {percent}%: set a share above {least:.1}%, or a shorter period",
                burn::number(burn.factor)
            ));
        }
        Ok(Self { percent, budget, job_type: job_type.to_owned(), within, over, bound })
    }
}

/// Splits a target into share, job type, time and period. The error names the missing part.
fn parts(text: &str) -> Result<[&str; 4], String> {
    let missing = |part: &str| format!("{SHAPE}: {part} is missing");
    let text = text.trim();
    let (share, rest) = text.split_once(" of ").ok_or_else(|| missing("\" of JOB TYPE\""))?;
    let (rest, over) =
        rest.rsplit_once(" over ").ok_or_else(|| missing("\" over PERIOD\", such as \" over 30d\","))?;
    let without_type = || Some(("", rest.strip_prefix("within ")?));
    let (job_type, within) = rest
        .rsplit_once(" within ")
        .or_else(without_type)
        .ok_or_else(|| missing("\" within TIME\", such as \" within 2m\","))?;
    let percent = share.trim().strip_suffix('%').ok_or_else(|| missing("the % of the share"))?;
    Ok([percent, job_type, within, over].map(str::trim))
}

/// Returns the share of jobs that may miss a target of this percentage.
fn budget(percent: &str) -> Result<f64, String> {
    let is_decimal = percent.chars().all(|c| c.is_ascii_digit() || c == '.');
    let share = percent.parse::<f64>().ok().filter(|_| is_decimal);
    let share = share.ok_or_else(|| format!("{SHAPE}: {percent:?} is no decimal number such as 99.9"))?;
    if share >= 100.0 {
        return Err(format!(
            "a share of {percent}% leaves no job that may miss the target, so the first late job spends all of it: set a share up to {MOST_PERCENT}%"
        ));
    }
    if share <= 0.0 {
        return Err("a share of 0% is always met: set one such as 99%".to_owned());
    }
    if share > MOST_PERCENT {
        return Err(format!("the share must be {MOST_PERCENT}% at most, and is {percent}%"));
    }
    Ok((100.0 - share) / 100.0)
}

/// Parses a part of a target that is a duration.
fn duration(part: &str, text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(format!("the {part} must be more than 0, and is {text:?}")),
        Err(error) => Err(format!("the {part} {text:?} is no duration such as 2m or 30d: {error}")),
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
