//! Measures the latency of a single message: from its acceptance by the queue to its deletion.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::figures::{Spread, percentile, sorted};
use crate::queue::Queue;
use crate::worker::{Kind, Worker};

/// Twenty messages a second, for fifteen seconds a turn.
const EVERY: Duration = Duration::from_millis(50);
const MESSAGES: usize = 300;

/// The turns of each worker. A machine that wakes a process up late twice in a turn decides that turn's p99, so one is too few.
const TURNS: usize = 5;

/// The latencies in microseconds: the medians of those of the turns.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) worker: Kind,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

pub(super) fn measure(interrupts: &Receiver<Interrupted>) -> Result<Vec<Latency>> {
    let mut turns: BTreeMap<Kind, Vec<Vec<f64>>> = BTreeMap::new();
    for _ in 0..TURNS {
        for worker in Kind::BY_DEFAULT {
            turns.entry(worker).or_default().push(trickle(worker, interrupts)?);
        }
    }
    let of = |(worker, turns): (Kind, Vec<Vec<f64>>)| {
        let median = |percent| Spread::of(turns.iter().map(|micros| percentile(micros, percent))).median;
        Latency { worker, p50_us: median(50), p99_us: median(99) }
    };
    Ok(turns.into_iter().map(of).collect())
}

/// Returns the sorted times of one turn.
fn trickle(worker: Kind, interrupts: &Receiver<Interrupted>) -> Result<Vec<f64>> {
    let mut queue = Queue::start(interrupts)?;
    let process = Worker::start(worker, &queue.url, interrupts)?;
    queue.wait()?;
    let times = queue.trickle(MESSAGES, EVERY)?;
    process.end(&mut queue)?;
    Ok(sorted(times.iter().map(|time| time.as_secs_f64() * 1e6)))
}
