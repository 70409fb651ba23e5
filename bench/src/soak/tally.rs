//! The count of all jobs, from the lines that they append.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::faults::effects::{Effects, Event, Line};

/// The time after which an unfinished job counts as lost until it is done: longer than any lease, outage and pause.
const OVERDUE: Duration = Duration::from_secs(180);

/// Counts of jobs since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: usize,
    pub(super) done: usize,
    /// The number of jobs that are not done although they were sent long ago.
    pub(super) overdue: usize,
    /// Jobs whose effect happened more than once.
    pub(super) twice: usize,
}

/// The number of times that each job's effect has happened, by the job's number.
pub(super) struct Tally {
    lines: BufReader<File>,
    /// A line that was incomplete when it was read.
    partial: String,
    effects: Vec<u8>,
    /// The number of jobs sent by each time, oldest first.
    sent: Vec<(Instant, usize)>,
}

impl Tally {
    pub(super) fn new(effects: &Effects) -> Result<Self> {
        let lines = BufReader::new(File::open(effects.path())?);
        Ok(Self { lines, partial: String::new(), effects: Vec::new(), sent: Vec::new() })
    }

    /// Returns the numbers of the next jobs to send.
    pub(super) fn next_ids(&mut self, count: u32) -> std::ops::Range<usize> {
        let first = self.effects.len();
        self.effects.resize(first + count as usize, 0);
        self.sent.push((Instant::now(), self.effects.len()));
        first..self.effects.len()
    }

    /// Reads the lines that were appended since the last call.
    pub(super) fn read(&mut self) -> Result<()> {
        while self.lines.read_line(&mut self.partial)? > 0 {
            if !self.partial.ends_with('\n') {
                break;
            }
            let line: Line = serde_json::from_str(&self.partial)?;
            self.partial.clear();
            let job: usize = line.job.parse()?;
            if let (Event::End, Some(times)) = (line.event, self.effects.get_mut(job)) {
                *times = times.saturating_add(1);
            }
        }
        Ok(())
    }

    pub(super) fn counts(&self) -> Counts {
        let old = self.sent.iter().rev().find(|(at, _)| at.elapsed() >= OVERDUE).map_or(0, |(_, sent)| *sent);
        let count =
            |effects: &[u8], counts: fn(u8) -> bool| effects.iter().filter(|times| counts(**times)).count();
        Counts {
            sent: self.effects.len(),
            done: count(&self.effects, |times| times > 0),
            overdue: count(&self.effects[..old], |times| times == 0),
            twice: count(&self.effects, |times| times > 1),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_counted_once_even_if_read_in_halves() {
        let folder = tempfile::tempdir().unwrap();
        let effects = Effects::at(folder.path().join("effects")).unwrap();
        let mut tally = Tally::new(&effects).unwrap();
        assert_eq!(tally.next_ids(3), 0..3);
        let mut file = OpenOptions::new().append(true).open(effects.path()).unwrap();
        let line = |job| format!("{{\"event\":\"end\",\"job\":\"{job}\",\"pid\":1,\"at_ms\":1}}\n");
        let text = [line(0), line(1), line(0)].concat();
        for half in [&text[..text.len() / 2], &text[text.len() / 2..]] {
            file.write_all(half.as_bytes()).unwrap();
            tally.read().unwrap();
        }
        assert_eq!(tally.counts(), Counts { sent: 3, done: 2, overdue: 0, twice: 1 });
    }
}
