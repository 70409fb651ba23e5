//! Measures the latency of a single message: from its acceptance by the queue to its deletion.

use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::figures::{percentile, sorted};
use crate::queue::Queue;
use crate::worker::{Kind, Worker};

/// Twenty messages a second, for fifteen seconds.
const EVERY: Duration = Duration::from_millis(50);
const MESSAGES: usize = 300;

/// The latencies in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) worker: Kind,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

pub(super) fn measure(interrupts: &Receiver<Interrupted>) -> Result<Vec<Latency>> {
    Kind::BY_DEFAULT.into_iter().map(|kind| trickle(kind, interrupts)).collect()
}

fn trickle(worker: Kind, interrupts: &Receiver<Interrupted>) -> Result<Latency> {
    let mut queue = Queue::start(interrupts)?;
    let process = Worker::start(worker, &queue.url, interrupts)?;
    queue.wait()?;
    let times = queue.trickle(MESSAGES, EVERY)?;
    process.end(&mut queue)?;
    let micros = sorted(times.iter().map(|time| time.as_secs_f64() * 1e6));
    Ok(Latency { worker, p50_us: percentile(&micros, 50), p99_us: percentile(&micros, 99) })
}
