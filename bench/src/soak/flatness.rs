//! The verdict of a soak: compares the workers' resources at the end with those after the warm-up.

use std::fmt;

use super::sample::{Minute, Sample};

/// The smallest number of minutes: a verdict compares the minutes of two quarters.
const LEAST_MINUTES: usize = 8;
/// The growth that is explained by chance: the allocator, a burst of connections.
const RSS_KIB: u64 = 4096;
const RSS_PERCENT: u64 = 10;
const DESCRIPTORS: u64 = 8;
const THREADS: u64 = 4;
const TASKS: u64 = 16;

/// The change of one figure from the second quarter to the last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    name: &'static str,
    before: u64,
    after: u64,
    is_flat: bool,
}

#[derive(Debug)]
pub(super) enum Verdict {
    TooShort,
    Compared(Vec<Change>),
}

impl Verdict {
    pub(super) fn of(minutes: &[Minute]) -> Self {
        let samples: Vec<Sample> = minutes.iter().filter_map(|minute| minute.median).collect();
        if samples.len() < LEAST_MINUTES {
            return Self::TooShort;
        }
        let quarter = samples.len() / 4;
        let (before, after) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
        let change = |name, of: fn(&Sample) -> u64, allowed: fn(u64) -> u64| {
            let (before, after) = (mean(before, of), mean(after, of));
            Change { name, before, after, is_flat: after <= before + allowed(before) }
        };
        let mut changes = vec![
            change("RSS KiB", |sample| sample.rss_kib, |before| RSS_KIB.max(before * RSS_PERCENT / 100)),
            change("descriptors", |sample| sample.descriptors, |_| DESCRIPTORS),
            change("threads", |sample| sample.threads, |_| THREADS),
        ];
        if samples.iter().all(|sample| sample.tasks.is_some()) {
            changes.push(change("tasks", |sample| sample.tasks.unwrap_or_default(), |_| TASKS));
        }
        Self::Compared(changes)
    }

    pub(super) fn has_growth(&self) -> bool {
        matches!(self, Self::Compared(changes) if changes.iter().any(|change| !change.is_flat))
    }
}

fn mean(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    samples.iter().map(of).sum::<u64>() / u64::try_from(samples.len()).unwrap_or(1).max(1)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Compared(changes) = self else {
            return write!(f, "too short for a verdict of flatness: it takes {LEAST_MINUTES} minutes");
        };
        writeln!(f, "{}", if self.has_growth() { "NOT FLAT" } else { "flat" })?;
        for Change { name, before, after, is_flat } in changes {
            let word = if *is_flat { "flat" } else { "grows" };
            writeln!(f, "  {name}: {before} in the second quarter, {after} in the last: {word}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Counts;
    use super::*;

    fn verdict(rss_kib: impl Fn(u64) -> u64, minutes: u64) -> Verdict {
        let sample = |n| Sample { rss_kib: rss_kib(n), descriptors: 20, threads: 4, tasks: None };
        let minute = |n| Minute::of(60 * n, &[sample(n)], Counts::default());
        Verdict::of(&(0..minutes).map(minute).collect::<Vec<_>>())
    }

    #[test]
    fn growth_after_the_warm_up_is_found_and_noise_is_not() {
        let warming_up = |n| if n < 3 { 10_000 } else { 50_000 + n % 2 * 1000 };
        assert!(!verdict(warming_up, 20).has_growth());
        let leaking = verdict(|n| 50_000 + n * 1000, 20);
        assert!(leaking.has_growth());
        assert!(
            leaking.to_string().contains("RSS KiB: 57000 in the second quarter, 67000 in the last: grows")
        );
        assert!(verdict(|n| n * 100_000, 7).to_string().contains("too short"));
    }
}
