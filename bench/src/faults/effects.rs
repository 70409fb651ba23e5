//! The file to which jobs append a line when they start, and another one after their effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Deserialize;

/// One line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    pub(crate) event: Event,
    pub(crate) job: String,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Start,
    /// The effect has happened.
    End,
}

/// Returns the milliseconds since 1970, as jobs write them.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The file.
pub(crate) struct Effects {
    path: PathBuf,
}

impl Effects {
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all lines so far.
    pub(crate) fn read(&self) -> Result<Lines> {
        let text = fs::read_to_string(&self.path)?;
        // A line that is being written has no end yet.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = complete.lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<_>>()?;
        Ok(Lines(lines))
    }
}

/// Lines of the file.
#[derive(Debug, Default)]
pub(crate) struct Lines(pub(crate) Vec<Line>);

impl Lines {
    fn of(&self, event: Event) -> impl Iterator<Item = &Line> {
        self.0.iter().filter(move |line| line.event == event)
    }

    /// Counts the runs that have started.
    pub(crate) fn started(&self) -> usize {
        self.of(Event::Start).count()
    }

    /// Returns the jobs whose effect has happened.
    pub(crate) fn done(&self) -> BTreeSet<&str> {
        self.of(Event::End).map(|line| &*line.job).collect()
    }

    /// Counts the jobs whose effect happened more than once.
    pub(crate) fn twice(&self) -> usize {
        let mut counts = BTreeMap::new();
        for line in self.of(Event::End) {
            *counts.entry(&*line.job).or_insert(0) += 1;
        }
        counts.into_values().filter(|count| *count > 1).count()
    }

    /// Counts the jobs that started again after a kill although their effect had happened at least `before_ms` earlier.
    pub(crate) fn rerun_after(&self, kills_ms: &[u64], before_ms: u64) -> usize {
        let mut first_ends = BTreeMap::new();
        for line in self.of(Event::End) {
            first_ends.entry(&*line.job).or_insert(line.at_ms);
        }
        let rerun = self.of(Event::Start).filter(|start| {
            let end = first_ends.get(&*start.job).copied();
            end.is_some_and(|end| kills_ms.iter().any(|kill| end + before_ms <= *kill && *kill < start.at_ms))
        });
        rerun.map(|line| &*line.job).collect::<BTreeSet<_>>().len()
    }

    /// Returns the time of the first start from `since_ms` on.
    pub(crate) fn first_start(&self, since_ms: u64) -> Option<u64> {
        self.of(Event::Start).map(|line| line.at_ms).filter(|at_ms| *at_ms >= since_ms).min()
    }

    /// Returns the time at which the last job was done for the first time.
    pub(crate) fn last_done(&self) -> Option<u64> {
        let mut first_ends = BTreeMap::new();
        for line in self.of(Event::End) {
            first_ends.entry(&*line.job).or_insert(line.at_ms);
        }
        first_ends.into_values().max()
    }

    /// Counts the effects that happened in a span of time.
    pub(crate) fn ended_between(&self, from_ms: u64, to_ms: u64) -> usize {
        self.of(Event::End).filter(|line| (from_ms..to_ms).contains(&line.at_ms)).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn effects_are_counted_by_job() {
        let folder = tempfile::tempdir().unwrap();
        let effects = Effects::at(folder.path().join("effects")).unwrap();
        let lines =
            [("start", "a", 1), ("start", "b", 2), ("end", "a", 3), ("start", "a", 4), ("end", "a", 9)];
        let text = lines.map(|(event, job, at)| {
            format!("{{\"event\":\"{event}\",\"job\":\"{job}\",\"pid\":1,\"at_ms\":{at}}}\n")
        });
        fs::write(effects.path(), text.concat() + "{\"event\":\"en").unwrap();
        let lines = effects.read().unwrap();
        assert_eq!((lines.started(), lines.twice()), (3, 1));
        assert_eq!(lines.rerun_after(&[3], 0), 1);
        assert_eq!(lines.rerun_after(&[3], 1), 0, "the kill came too soon after the end");
        assert_eq!(lines.rerun_after(&[4], 0), 0, "it had started before the kill");
        assert_eq!(lines.done(), BTreeSet::from(["a"]));
        assert_eq!((lines.first_start(2), lines.last_done()), (Some(2), Some(3)));
        assert_eq!(lines.ended_between(3, 9), 1);
    }
}
