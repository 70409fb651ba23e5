//! Two workers that run side by side on one core, and drain slices of a tenth of a second in turn.
//!
//! Disturbances of a machine last longer than that, so they affect both. The placement of a process's memory makes a difference of
//! a few percent, too, so both are restarted several times.

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::figures::Spread;
use crate::queue::Queue;
use crate::worker::{WARM_UP, Worker};

/// The number of starts of both workers, and the slices per start.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Extent {
    /// The number of times both workers are started
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) starts: u32,
    /// The number of slices that each drains per start
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub(crate) slices: u32,
    /// The number of messages per slice
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) messages: u32,
}

/// A running worker with its own queue.
pub(crate) struct Side {
    queue: Queue,
    worker: Worker,
}

/// The results of one start, in microseconds of processor time per message and slice.
#[derive(Debug, Serialize)]
pub(crate) struct Slices {
    pub(crate) other: Vec<f64>,
    pub(crate) this: Vec<f64>,
}

impl Side {
    /// Starts a worker, given its queue's URL, and lets it reach its long-term state.
    pub(crate) fn start(
        worker: impl FnOnce(&str) -> Result<Worker>,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        let mut queue = Queue::start(interrupts)?;
        let worker = worker(&queue.url)?;
        queue.warm_up(WARM_UP)?;
        Ok(Self { queue, worker })
    }

    fn drain(&mut self, messages: u32) -> Result<f64> {
        let before = self.worker.processor_time()?;
        self.queue.drain(messages as usize)?;
        self.queue.wait()?;
        let took = self.worker.processor_time()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e6 / f64::from(messages))
    }

    fn end(mut self) -> Result<()> {
        self.worker.end(&mut self.queue).map(drop)
    }
}

impl Slices {
    /// Lets both drain their slices in turn, and ends them.
    pub(crate) fn measure(extent: Extent, mut other: Side, mut this: Side) -> Result<Self> {
        let Extent { slices, messages, .. } = extent;
        let mut results = Self { other: Vec::new(), this: Vec::new() };
        for slice in 0..slices {
            // Each goes first equally often.
            if slice % 2 == 0 {
                results.other.push(other.drain(messages)?);
                results.this.push(this.drain(messages)?);
            } else {
                results.this.push(this.drain(messages)?);
                results.other.push(other.drain(messages)?);
            }
        }
        other.end()?;
        this.end()?;
        Ok(results)
    }

    /// Returns the ratio of this worker to the other: the median of the slices' ratios.
    fn ratio(&self) -> f64 {
        median(self.this.iter().zip(&self.other).map(|(this, other)| this / other))
    }
}

/// Returns three cells of a table: the medians of the other and of this worker, and the ratio over all starts.
pub(crate) fn cells<'a>(starts: impl Iterator<Item = &'a Slices> + Clone) -> [String; 3] {
    let other = median(starts.clone().flat_map(|start| start.other.iter().copied()));
    let this = median(starts.clone().flat_map(|start| start.this.iter().copied()));
    let Spread { median, min, max } = Spread::of(starts.map(Slices::ratio));
    [format!("{other:.2}"), format!("{this:.2}"), format!("{median:.3} ({min:.3} to {max:.3})")]
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).median
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the results of a machine that gets slower, and has a disturbance in one slice of ten.
    fn start(factor: f64) -> Slices {
        let other: Vec<f64> = (0..100).map(|slice| 30.0 + f64::from(slice)).collect();
        let disturbed = |slice: usize| if slice % 10 == 3 { 2.0 } else { 1.0 };
        let this = other.iter().enumerate().map(|(slice, pace)| pace * factor * disturbed(slice)).collect();
        Slices { other, this }
    }

    #[test]
    fn ratios_are_this_worker_to_the_other_slice_by_slice() {
        let starts = [1.02, 1.05, 0.99].map(start);
        assert_eq!(cells(starts.iter())[2], "1.020 (0.990 to 1.050)");
    }
}
