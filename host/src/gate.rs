//! The gate in front of producers: open, slow, or shed, by a queue's depth and the age of its oldest message.
//!
//! The decision uses neither I/O nor a clock: [`Decider::step`] takes a reading and returns the state. A state is entered at
//! its threshold and left below 80 % of it, so that a reading near a threshold does not make the gate flap, and a constant
//! reading never changes the state again.

mod limits;

use std::sync::Arc;
use std::time::Duration;

pub use limits::GateLimits;
use limits::{Level, age_text};

/// The delay at the `slow` threshold. It grows up to the longest delay at the `shed` threshold.
pub const SHORTEST_DELAY: Duration = Duration::from_millis(100);

/// The delay just below the `shed` threshold: a request to a web application can wait this long without a time-out.
pub const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The time after which a producer that was refused should ask again.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A measurement of a queue. Unknown values have no effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateReading {
    /// The number of waiting messages: visible and delayed ones.
    pub depth: Option<u64>,
    /// The age of the oldest message.
    pub oldest: Option<Duration>,
}

/// The advice to a producer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GateState {
    /// Send.
    #[default]
    Open,
    /// Send after this delay.
    Slow(Duration),
    /// Do not send, for this reason.
    Shed(Arc<str>),
}

impl GateState {
    /// Returns the name of the state: `open`, `slow` or `shed`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Slow(_) => "slow",
            Self::Shed(_) => "shed",
        }
    }

    /// Returns the stricter one of two states, or the first one if they are equally strict.
    pub fn or_stricter(self, other: Self) -> Self {
        let rank = |state: &Self| match state {
            Self::Open => (0, Duration::ZERO),
            Self::Slow(delay) => (1, *delay),
            Self::Shed(_) => (2, Duration::ZERO),
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// Decides from reading to reading.
///
/// ```
/// use std::time::Duration;
/// use drumline_runtime::gate::{Decider, GateLimits, GateReading, GateState};
///
/// let limits = GateLimits::default().depth(1_000, 10_000)?;
/// let mut decider = Decider::new(limits);
/// let mut state = |depth| decider.step(&GateReading { depth: Some(depth), oldest: None }).label();
/// assert_eq!(state(999), "open");
/// assert_eq!(state(1_000), "slow");
/// assert_eq!(state(801), "slow", "left below 80 %");
/// assert_eq!(state(799), "open");
/// assert_eq!(state(10_000), "shed");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decider {
    limits: GateLimits,
    longest_delay: Duration,
    depth: Level,
    age: Level,
}

impl Decider {
    /// Makes a gate with these limits, open at first.
    pub fn new(limits: GateLimits) -> Self {
        Self { limits, longest_delay: LONGEST_DELAY, depth: Level::Open, age: Level::Open }
    }

    /// Sets the delay just below the `shed` threshold.
    pub fn longest_delay(self, longest_delay: Duration) -> Self {
        Self { longest_delay, ..self }
    }

    /// Returns the state after a reading: the stricter one of depth and age.
    pub fn step(&mut self, reading: &GateReading) -> GateState {
        // An empty queue has no oldest message, because ages are measured later.
        let oldest = reading.oldest.filter(|_| reading.depth != Some(0));
        let oldest_ms = oldest.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let depth = self.measure(self.limits.depth, reading.depth, self.depth, |depth, from, below| {
            let messages = if depth == 1 { "message is" } else { "messages are" };
            format!("{depth} {messages} waiting: refused from {from} on, until there are fewer than {below}")
        });
        let age = self.measure(self.limits.age, oldest_ms, self.age, |age, from, below| {
            let [age, from, below] = [age, from, below].map(age_text);
            format!(
                "the oldest message is {age} old: refused from {from} on, until it is younger than {below}"
            )
        });
        (self.depth, self.age) = (depth.0, age.0);
        depth.1.or_stricter(age.1)
    }

    fn measure(
        &self,
        limit: Option<limits::Limit>,
        value: Option<u64>,
        before: Level,
        reason: impl Fn(u64, u64, u64) -> String,
    ) -> (Level, GateState) {
        let (Some(limit), Some(value)) = (limit, value) else { return (Level::Open, GateState::Open) };
        let level = limit.level(before, value);
        let state = match level {
            Level::Open => GateState::Open,
            Level::Slow => GateState::Slow(self.delay(limit.part(value))),
            Level::Shed => {
                GateState::Shed(reason(value, limit.shed(), limits::left_below(limit.shed())).into())
            }
        };
        (level, state)
    }

    fn delay(&self, part: u32) -> Duration {
        let shortest = SHORTEST_DELAY.min(self.longest_delay);
        shortest + self.longest_delay.saturating_sub(shortest) * part / limits::WHOLE
    }
}

#[cfg(test)]
mod tests;
