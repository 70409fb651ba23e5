//! The resources of workers: memory, descriptors, threads, and tasks if they expose them.

use std::fmt;
use std::fs;
use std::ops::Add;

use anyhow::{Context, Result};
use rustix::process::Pid;

use super::tally::Counts;

/// The resources at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) rss_kib: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    /// The tasks of the async runtimes; `None` if there is no such metric.
    pub(super) tasks: Option<u64>,
}

impl Add for Sample {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let tasks = [self.tasks, other.tasks].into_iter().flatten();
        Self {
            rss_kib: self.rss_kib + other.rss_kib,
            descriptors: self.descriptors + other.descriptors,
            threads: self.threads + other.threads,
            tasks: tasks.reduce(Add::add),
        }
    }
}

impl Sample {
    pub(super) fn of(process: Pid, address: &str) -> Result<Self> {
        let folder = format!("/proc/{}", process.as_raw_nonzero());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let field = |name| field(&status, name).with_context(|| format!("no {name} in {folder}/status"));
        Ok(Self {
            rss_kib: field("VmRSS:")?,
            descriptors: u64::try_from(fs::read_dir(format!("{folder}/fd"))?.count())?,
            threads: field("Threads:")?,
            // An endpoint that does not respond during a fault does not spoil a sample.
            tasks: ureq::get(format!("http://{address}/metrics"))
                .call()
                .ok()
                .and_then(|answer| answer.into_body().read_to_string().ok())
                .and_then(|text| tasks(&text)),
        })
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Returns the sum of the samples of a task metric, such as `drumline_tasks`.
fn tasks(metrics: &str) -> Option<u64> {
    let values = metrics.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("drumline_")?.rsplit_once(' ')?;
        let name = name.split('{').next()?;
        if name.ends_with("tasks") { value.parse::<u64>().ok() } else { None }
    });
    values.reduce(Add::add)
}

/// One minute: the medians of its samples, and the counts at its end.
#[derive(Debug)]
pub(super) struct Minute {
    ends_at_secs: u64,
    /// `None` if the minute was too short for a sample.
    pub(super) median: Option<Sample>,
    counts: Counts,
}

impl Minute {
    pub(super) const HEADER: &'static str =
        " seconds  RSS MiB      fds  threads    tasks     sent     done     lost    twice";

    pub(super) fn of(ends_at_secs: u64, samples: &[Sample], counts: Counts) -> Self {
        let median = |of: fn(&Sample) -> u64| {
            let mut values: Vec<u64> = samples.iter().map(of).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied()
        };
        let exposed: Vec<u64> = samples.iter().filter_map(|sample| sample.tasks).collect();
        let sample = median(|sample| sample.rss_kib).map(|rss_kib| Sample {
            rss_kib,
            descriptors: median(|sample| sample.descriptors).unwrap_or_default(),
            threads: median(|sample| sample.threads).unwrap_or_default(),
            tasks: exposed.get(exposed.len() / 2).copied(),
        });
        Self { ends_at_secs, median: sample, counts }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |value: fn(Sample) -> Option<u64>| {
            self.median.and_then(value).map_or_else(|| "-".to_owned(), |value| value.to_string())
        };
        let rss = self.median.map_or_else(
            || "-".to_owned(),
            |sample| format!("{}.{}", sample.rss_kib / 1024, sample.rss_kib % 1024 * 10 / 1024),
        );
        let (descriptors, threads) =
            (of(|sample| Some(sample.descriptors)), of(|sample| Some(sample.threads)));
        let Counts { sent, done, overdue, twice } = self.counts;
        let (at, tasks) = (self.ends_at_secs, of(|sample| sample.tasks));
        write!(
            f,
            "{at:8} {rss:>8} {descriptors:>8} {threads:>8} {tasks:>8} {sent:8} {done:8} {overdue:8} {twice:8}"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tasks_are_summed_where_they_are_exposed() {
        assert_eq!(tasks("drumline_jobs_total{queue=\"q\"} 3\ndrumline_taskset 1\n"), None);
        assert_eq!(tasks("drumline_tasks{runtime=\"a\"} 3\ndrumline_tasks{runtime=\"b\"} 4\n"), Some(7));
    }

    #[test]
    fn a_minute_has_its_samples_medians() {
        let sample = |rss_kib| Sample { rss_kib, descriptors: 20, threads: 3, tasks: None };
        let minute = Minute::of(60, &[3072, 9999, 1536].map(sample), Counts::default());
        assert_eq!(minute.median.unwrap().rss_kib, 3072);
        let line = minute.to_string();
        assert_eq!(line.split_whitespace().take(5).collect::<Vec<_>>(), ["60", "3.0", "20", "3", "-"]);
        assert_eq!(line.len(), Minute::HEADER.len());
        assert_eq!(Minute::of(2, &[], Counts::default()).median, None);
    }

    #[test]
    fn this_process_can_be_sampled() {
        let sample = Sample::of(rustix::process::getpid(), "127.0.0.1:1").unwrap();
        assert!(sample.rss_kib > 100 && sample.descriptors > 2 && sample.threads > 0, "{sample:?}");
    }
}
