//! The run times of the jobs of a queue.

use std::time::Duration;

/// A job changes the usual length by this part of its difference: about the last ten jobs count.
const USUAL_STEP: f64 = 0.125;

/// The part of the longest length that is forgotten with each job: about the last hundred count.
const LONGEST_STEP: f64 = 0.01;

/// Jobs that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct EndedJobs {
    count: u32,
    time: Duration,
    longest: Duration,
}

impl EndedJobs {
    /// Adds one that took this long.
    pub(crate) fn add(&mut self, took: Duration) {
        // A queue that never looks ahead never takes them.
        self.count = self.count.saturating_add(1);
        self.time += took;
        self.longest = self.longest.max(took);
    }
}

/// The run times of the jobs of a queue, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobTimes {
    /// The usual length.
    pub(crate) usual: f64,
    /// The longest recent length.
    pub(crate) longest: f64,
}

impl JobTimes {
    /// Adds jobs to the known times.
    pub(crate) fn with(known: Option<Self>, ended: EndedJobs) -> Option<Self> {
        if ended.count == 0 {
            return known;
        }
        let mean = ended.time.as_secs_f64() / f64::from(ended.count);
        let longest = ended.longest.as_secs_f64();
        let Some(Self { usual, longest: before }) = known else { return Some(Self { usual: mean, longest }) };
        let left = |step: f64| (1.0 - step).powf(f64::from(ended.count));
        let usual = mean + left(USUAL_STEP) * (usual - mean);
        Some(Self { usual, longest: longest.max(left(LONGEST_STEP) * before).max(usual) })
    }
}
