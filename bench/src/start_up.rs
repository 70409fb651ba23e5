//! Measures the time from a worker's start to its first receive.

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::figures::Spread;
use crate::queue::Queue;
use crate::worker::{Kind, Worker};

/// The number of starts of each contender, in turn.
const STARTS: usize = 15;

/// The time from the start of the process until a receive waits at the queue, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct StartUp {
    pub(super) worker: Kind,
    #[serde(flatten)]
    pub(super) spread: Spread,
}

pub(super) fn measure(interrupts: &Receiver<Interrupted>) -> Result<Vec<StartUp>> {
    let mut times = Kind::BY_DEFAULT.map(|kind| (kind, Vec::with_capacity(STARTS)));
    for _ in 0..STARTS {
        for (kind, times) in &mut times {
            times.push(start(*kind, interrupts)?);
        }
    }
    Ok(times.map(|(worker, times)| StartUp { worker, spread: Spread::of(times) }).into())
}

fn start(kind: Kind, interrupts: &Receiver<Interrupted>) -> Result<f64> {
    let mut queue = Queue::start(interrupts)?;
    let worker = Worker::start(kind, &queue.url, interrupts)?;
    queue.wait()?;
    let time = worker.age();
    worker.end(&mut queue)?;
    Ok(time.as_secs_f64() * 1e3)
}
