//! A type of which too many jobs fail: no job starts during a pause, and then one runs as a probe. Off unless a rule requires
//! it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::half_open::{HalfOpen, ProbeOf, Shows};
use super::percent::Percent;
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// The longest pause, unless the rule's own is longer: the end of an outage is found within ten minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The parts of the window: a run leaves the window with its part, so it counts for at most a tenth less than the window.
const PARTS: u32 = 10;

/// The failures that pause a type. Only transient failures count: a requested retry, a panic, a timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerRule {
    /// This many of them in a row pause the type.
    pub failures: Option<NonZeroU32>,
    /// This share of the runs of the window pauses the type.
    pub share: Option<Percent>,
    /// The window of the share.
    pub window: Duration,
    /// The minimum number of runs in the window for the share to count.
    pub min_runs: NonZeroU32,
    /// The first pause. It doubles with each probe that fails.
    pub pause: Duration,
}

/// The state of one type.
#[derive(Debug)]
pub(super) struct Breaker {
    rule: BreakerRule,
    half_open: HalfOpen,
    /// The last pause without jitter, since jobs last started freely.
    pause: Option<Duration>,
    in_a_row: u32,
    window: Window,
}

impl Breaker {
    pub(super) fn new(rule: &BreakerRule) -> Self {
        Self {
            rule: rule.clone(),
            half_open: HalfOpen::default(),
            pause: None,
            in_a_row: 0,
            window: Window::new(rule.window),
        }
    }

    /// Takes the ending of a run: a failure may pause the type, and a probe decides if the pause ends.
    pub(super) fn ended(&mut self, now: Instant, ending: &Ending, probe: Option<ProbeOf>, jitter: Jitter) {
        let has_failed = match Shows::of(ending) {
            Shows::Nothing => return,
            Shows::Success => false,
            Shows::TransientFailure => true,
        };
        let reason = ending.reason().unwrap_or_default();
        if self.half_open.until().is_some() {
            // The runs that started before are no evidence.
            match has_failed {
                _ if !self.half_open.is_current(probe) => {}
                true => self.pause(now, &format!("the probe failed: {reason}"), jitter),
                false => self.resume(),
            }
            return;
        }
        self.in_a_row = if has_failed { self.in_a_row.saturating_add(1) } else { 0 };
        self.window.add(now, has_failed);
        if has_failed && let Some(cause) = self.cause() {
            self.pause(now, &format!("{cause}: {reason}"), jitter);
        }
    }

    /// Returns the broken rule as a text, if the failures so far break one.
    fn cause(&self) -> Option<String> {
        let BreakerRule { failures, share, window, min_runs, .. } = &self.rule;
        if let Some(failures) = failures.filter(|failures| self.in_a_row >= failures.get()) {
            return Some(format!("{failures} failures in a row"));
        }
        let (failed, runs) = self.window.counts();
        let is_reached =
            |share: &Percent| runs >= u64::from(min_runs.get()) && share.is_reached(failed, runs);
        share.filter(is_reached)?;
        Some(format!("{failed} of {runs} runs failed in {}", humantime::format_duration(*window)))
    }

    fn pause(&mut self, now: Instant, why: &str, jitter: Jitter) {
        let longest = LONGEST_PAUSE.max(self.rule.pause);
        let pause = self.pause.map_or(self.rule.pause, |last| (last * 2).min(longest));
        self.pause = Some(pause);
        self.half_open.close(now, now + pause + jitter.of(pause / 4), why);
    }

    fn resume(&mut self) {
        self.half_open.open();
        (self.pause, self.in_a_row) = (None, 0);
        self.window = Window::new(self.rule.window);
    }

    /// The pauses of the type.
    pub(super) fn half_open(&self) -> &HalfOpen {
        &self.half_open
    }

    pub(super) fn half_open_mut(&mut self) -> &mut HalfOpen {
        &mut self.half_open
    }
}

/// The most recent runs.
#[derive(Debug)]
struct Window {
    part: Duration,
    /// The beginning of the first part.
    since: Option<Instant>,
    /// The number of each part in which runs ended, its failures, and its runs.
    parts: VecDeque<(u64, u64, u64)>,
}

impl Window {
    fn new(length: Duration) -> Self {
        let part = (length / PARTS).max(Duration::from_millis(1));
        Self { part, since: None, parts: VecDeque::new() }
    }

    fn add(&mut self, now: Instant, has_failed: bool) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since).as_millis() / self.part.as_millis();
        let number = u64::try_from(elapsed).unwrap_or(u64::MAX);
        while self.parts.front().is_some_and(|(first, ..)| first + u64::from(PARTS) <= number) {
            self.parts.pop_front();
        }
        if self.parts.back().is_none_or(|(last, ..)| *last < number) {
            self.parts.push_back((number, 0, 0));
        }
        if let Some((_, failed, runs)) = self.parts.back_mut() {
            *failed += u64::from(has_failed);
            *runs += 1;
        }
    }

    /// The failures and the runs, as of the last run.
    fn counts(&self) -> (u64, u64) {
        let failed = self.parts.iter().map(|(_, failed, _)| failed).sum();
        (failed, self.parts.iter().map(|(.., runs)| runs).sum())
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
