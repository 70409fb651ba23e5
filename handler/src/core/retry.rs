//! The wait before the next attempt.
//!
//! Invariants: a delay is never longer than the policy's longest, for any attempt and jitter; without jitter it never shrinks
//! from one attempt to the next within an exponential policy; nothing overflows.

mod auto;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use auto::{AutoBackoff, spread};
pub use auto::{ReceiveLimit, RetryLimits, SPAN};

/// The longest visibility of SQS, and so the longest delay: 12 hours. See [Visibility
/// timeout](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The maximum number of steps of a schedule: no DLQ is configured for more attempts.
const MAX_STEPS: usize = 100;

/// One random draw, made by the host for the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(u32);

impl Jitter {
    /// Makes a draw from any uniformly distributed number.
    pub const fn new(uniform: u32) -> Self {
        Self(uniform)
    }

    /// Returns this draw's part of `whole`: from zero to all of it.
    pub(crate) fn of(self, whole: Duration) -> Duration {
        let nanos = whole.as_nanos() * u128::from(self.0) / u128::from(u32::MAX);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns this draw's whole number from 0 to `most`, each equally likely.
    fn up_to(self, most: u64) -> u64 {
        u64::try_from((u128::from(self.0) * (u128::from(most) + 1)) >> u32::BITS).unwrap_or(most)
    }
}

/// The spread of a delay, so that messages that failed together are not redelivered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JitterMode {
    /// Any value from zero to the delay.
    #[default]
    Full,
    /// Any value from half the delay to the delay.
    Equal,
    /// The delay itself.
    None,
    /// The delay and up to a quarter more, in whole seconds for delays from a second; then at least a second more is possible.
    /// Never less than the delay.
    Added,
}

impl JitterMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Full, Self::Equal, Self::None, Self::Added];

    /// Returns the value of the setting `retry_jitter` for this mode.
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Equal => "equal",
            Self::None => "none",
            Self::Added => "added",
        }
    }
}

/// The backoff of a queue or of a job type. Checked when made; see [`RetryPolicy::auto`], [`RetryPolicy::exponential`]
/// and [`RetryPolicy::schedule`] for the invariants.
///
/// ```
/// use drumline::core::JitterMode;
/// use drumline::RetryPolicy;
/// assert_eq!("auto".parse::<RetryPolicy>()?, RetryPolicy::auto());
/// let policy: RetryPolicy = "exponential(1s,2,5m)".parse()?;
/// assert_eq!(policy, RetryPolicy::default());
/// let policy: RetryPolicy = "schedule(1m,5m,30m)".parse()?;
/// assert_eq!(policy.with_jitter(JitterMode::None).to_string(), "schedule(1m,5m,30m)");
/// # Ok::<(), drumline::core::InvalidRetryPolicy>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    shape: Shape,
    jitter: JitterMode,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Exponential { first: Duration, factor: f64, longest: Duration },
    Schedule(Vec<Duration>),
    Auto(AutoBackoff),
}

/// The reason why a text or a set of numbers is not a retry policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRetryPolicy(String);

impl fmt::Display for InvalidRetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRetryPolicy {}

/// `exponential(1s,2,5m)` with full jitter, which needs no knowledge of a queue. Hosts take [`RetryPolicy::auto`] unless their
/// settings name another policy.
impl Default for RetryPolicy {
    fn default() -> Self {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        Self { shape: Shape::Exponential { first, factor: 2.0, longest }, jitter: JitterMode::Full }
    }
}

impl RetryPolicy {
    /// Waits from 1 s on that grow so that the receives of the redrive policy span at least 10 minutes ([`SPAN`]) in every
    /// draw of its jitter, [`JitterMode::Added`]. Its delays depend on the number of the receive, which is what the redrive
    /// policy counts, and not on the number of the attempt.
    ///
    /// It has to be [`fitted`](Self::fitted) to the queue; before that, five receives are assumed.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use drumline::core::{ReceiveLimit, RetryLimits};
    /// use drumline::RetryPolicy;
    /// let limits = RetryLimits { receives: ReceiveLimit::AtMost(NonZeroU32::new(5).unwrap()), ..Default::default() };
    /// let waits = RetryPolicy::auto().fitted(&limits).waits(4);
    /// assert_eq!(waits.iter().map(|wait| wait.as_secs()).collect::<Vec<_>>(), [1, 7, 42, 550]);
    /// ```
    pub fn auto() -> Self {
        Self { shape: Shape::Auto(AutoBackoff::new(&RetryLimits::default())), jitter: JitterMode::Added }
    }

    /// Fits the waits of [`auto`](Self::auto) to a queue's limits; any other policy is unchanged.
    pub fn fitted(self, limits: &RetryLimits) -> Self {
        match self.shape {
            Shape::Auto(_) => Self { shape: Shape::Auto(AutoBackoff::new(limits)), ..self },
            Shape::Exponential { .. } | Shape::Schedule(_) => self,
        }
    }

    /// Returns the policies of the job types with a separate policy or number of attempts, [fitted](Self::fitted) to these
    /// limits. A type without a separate policy has this one.
    pub fn fitted_by_type(
        &self,
        limits: &RetryLimits,
        retry_by_type: &HashMap<String, Self>,
        max_attempts_by_type: &HashMap<String, NonZeroU32>,
    ) -> HashMap<String, Self> {
        let names = retry_by_type.keys().chain(max_attempts_by_type.keys());
        let fitted = |name: &String| {
            let retry = retry_by_type.get(name).unwrap_or(self);
            let max_attempts = max_attempts_by_type.get(name).copied().or(limits.max_attempts);
            retry.clone().fitted(&RetryLimits { max_attempts, ..*limits })
        };
        names.map(|name| (name.clone(), fitted(name))).collect()
    }

    /// Returns true for [`auto`](Self::auto), whose delays depend on the number of the receive.
    pub fn is_auto(&self) -> bool {
        matches!(self.shape, Shape::Auto(_))
    }

    /// `first` after the first attempt, `factor` times as much after each further one, at most `longest`.
    ///
    /// `factor` is a finite number from 1; `first` is at most `longest`, `longest` at most [`MAX_VISIBILITY`].
    pub fn exponential(first: Duration, factor: f64, longest: Duration) -> Result<Self, InvalidRetryPolicy> {
        let error = |text: &str| Err(InvalidRetryPolicy(text.to_owned()));
        if !factor.is_finite() || factor < 1.0 {
            return error("the factor must be a number from 1");
        }
        if first > longest {
            return error("the first delay must not be longer than the longest");
        }
        if longest > MAX_VISIBILITY {
            return error("SQS hides a message for 12h at most, so no delay can be longer");
        }
        Ok(Self { shape: Shape::Exponential { first, factor, longest }, jitter: JitterMode::Full })
    }

    /// One delay after each attempt; the last one also after all further attempts. From 1 to 100 steps, each at most
    /// [`MAX_VISIBILITY`]. Its steps are chosen times, so its jitter is [`JitterMode::Added`] and never makes a
    /// wait shorter; [`with_jitter`](Self::with_jitter) takes any other mode at its word.
    pub fn schedule(steps: Vec<Duration>) -> Result<Self, InvalidRetryPolicy> {
        if steps.is_empty() || steps.len() > MAX_STEPS {
            return Err(InvalidRetryPolicy(format!("a schedule has 1 to {MAX_STEPS} steps")));
        }
        if steps.iter().any(|step| *step > MAX_VISIBILITY) {
            return Err(InvalidRetryPolicy(
                "SQS hides a message for 12h at most, so no step can be longer".to_owned(),
            ));
        }
        Ok(Self { shape: Shape::Schedule(steps), jitter: JitterMode::Added })
    }

    /// The same delays, spread in another way.
    pub fn with_jitter(self, jitter: JitterMode) -> Self {
        Self { jitter, ..self }
    }

    /// Returns the spread of the delays.
    pub fn jitter(&self) -> JitterMode {
        self.jitter
    }

    /// The longest delay this policy can give.
    pub fn longest(&self) -> Duration {
        self.longest_of(match &self.shape {
            Shape::Exponential { longest, .. } => *longest,
            Shape::Schedule(steps) => steps.iter().copied().max().unwrap_or_default(),
            Shape::Auto(backoff) => backoff.longest(),
        })
    }

    /// Returns the first `count` waits, without jitter.
    pub fn waits(&self, count: u32) -> Vec<Duration> {
        (1..=count).filter_map(NonZeroU32::new).map(|attempt| self.whole_delay(attempt)).collect()
    }

    /// Returns the number of delays of a schedule; `None` for any other policy.
    pub fn steps(&self) -> Option<usize> {
        match &self.shape {
            Shape::Exponential { .. } | Shape::Auto(_) => None,
            Shape::Schedule(steps) => Some(steps.len()),
        }
    }

    /// Returns the maximum sum of the waits after the first `attempts` failed attempts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use drumline::RetryPolicy;
    /// let policy = RetryPolicy::default();
    /// assert_eq!(policy.longest_wait(4), Duration::from_secs(1 + 2 + 4 + 8));
    /// ```
    pub fn longest_wait(&self, attempts: u32) -> Duration {
        let attempts = (1..=attempts).filter_map(NonZeroU32::new);
        let longest = attempts.map(|attempt| self.longest_of(self.whole_delay(attempt)));
        longest.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The longest delay that jitter makes of `whole`.
    fn longest_of(&self, whole: Duration) -> Duration {
        match self.jitter {
            JitterMode::Full | JitterMode::Equal | JitterMode::None => whole,
            JitterMode::Added => added(whole, |most| most),
        }
    }

    /// Returns the wait after `attempt` has failed; for [`auto`](Self::auto), after this receive.
    pub fn delay(&self, attempt: NonZeroU32, jitter: Jitter) -> Duration {
        let whole = self.whole_delay(attempt);
        match self.jitter {
            JitterMode::Full => jitter.of(whole),
            JitterMode::Equal => whole / 2 + jitter.of(whole / 2),
            JitterMode::None => whole,
            JitterMode::Added => added(whole, |most| jitter.up_to(most)),
        }
    }

    fn whole_delay(&self, attempt: NonZeroU32) -> Duration {
        match &self.shape {
            Shape::Exponential { first, factor, longest } => {
                let exponent = i32::try_from(attempt.get() - 1).unwrap_or(i32::MAX);
                // Capped as a float first: powers reach infinity, and zero times infinity is not a number.
                let secs = first.as_secs_f64() * factor.powi(exponent);
                if secs.is_nan() || secs >= longest.as_secs_f64() {
                    return if first.is_zero() { Duration::ZERO } else { *longest };
                }
                Duration::try_from_secs_f64(secs).unwrap_or(*longest).min(*longest)
            }
            Shape::Schedule(steps) => {
                let index = usize::try_from(attempt.get() - 1).unwrap_or(usize::MAX);
                steps.get(index).or(steps.last()).copied().unwrap_or_default()
            }
            Shape::Auto(backoff) => backoff.after_receive(attempt),
        }
    }
}

/// Adds a part of the spread, which `draw` selects. Waits below a second are those of a step inside one attempt
/// ([`Context::retry`](crate::Context::retry)), so they are not spread over whole seconds. A delay of zero stays zero.
fn added(whole: Duration, draw: impl Fn(u64) -> u64) -> Duration {
    let more = match whole.as_secs() {
        0 => Duration::from_nanos(draw(u64::from(whole.subsec_nanos()) / 4)),
        secs => Duration::from_secs(draw(spread(secs))),
    };
    (whole + more).min(MAX_VISIBILITY)
}

impl FromStr for RetryPolicy {
    type Err = InvalidRetryPolicy;

    /// Reads `auto`, `exponential(first,factor,longest)`, `schedule(step,…)`, or the steps of a schedule alone.
    fn from_str(text: &str) -> Result<Self, InvalidRetryPolicy> {
        let text = text.trim();
        if text == "auto" {
            return Ok(Self::auto());
        }
        let arguments = |name: &str| text.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')');
        if let Some(arguments) = arguments("exponential") {
            let parts: Vec<&str> = arguments.split(',').map(str::trim).collect();
            let [first, factor, longest] = parts[..] else {
                return Err(InvalidRetryPolicy(format!(
                    "{text:?}: write exponential(first,factor,longest), such as exponential(1s,2,5m)"
                )));
            };
            let factor =
                factor.parse().map_err(|_| InvalidRetryPolicy(format!("{factor:?} is not a number")))?;
            return Self::exponential(duration(first)?, factor, duration(longest)?);
        }
        let schedule = arguments("schedule");
        let steps = schedule.unwrap_or(text);
        // A word or another function is not meant as a duration.
        let is_bare_word = schedule.is_none() && !text.starts_with(|first: char| first.is_ascii_digit());
        if is_bare_word || steps.contains(['(', ')']) {
            return Err(InvalidRetryPolicy(format!(
                "{text:?}: write auto, exponential(1s,2,5m) or schedule(1m,5m,30m)"
            )));
        }
        Self::schedule(steps.split(',').map(|step| duration(step.trim())).collect::<Result<_, _>>()?)
    }
}

fn duration(text: &str) -> Result<Duration, InvalidRetryPolicy> {
    humantime::parse_duration(text).map_err(|_| {
        InvalidRetryPolicy(format!("{text:?} is not a duration; write it like 30s, 5m or 1h 30m"))
    })
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |d: &Duration| humantime::format_duration(*d).to_string().replace(' ', "");
        match &self.shape {
            Shape::Exponential { first, factor, longest } => {
                write!(f, "exponential({},{factor},{})", time(first), time(longest))
            }
            Shape::Schedule(steps) => {
                write!(f, "schedule({})", steps.iter().map(time).collect::<Vec<_>>().join(","))
            }
            Shape::Auto(_) => f.write_str("auto"),
        }
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
