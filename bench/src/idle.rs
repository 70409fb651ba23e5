//! Measures the cost of a consumer without messages.

use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::queue::Queue;
use crate::worker::{Kind, Requests, Worker};

/// The time after the start until credentials are cached and the first receive waits.
const SETTLE: Duration = Duration::from_secs(1);

/// The cost of a time without messages.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    pub(super) secs: u64,
    pub(super) cpu_ms: f64,
    pub(super) percent_of_a_core: f64,
    /// The resident memory at the end.
    pub(super) memory_mib: f64,
    /// The requests since the worker's start. A receive counts when it is answered.
    pub(super) requests: Requests,
}

#[allow(clippy::cast_precision_loss, reason = "figures to read")]
pub(super) fn measure(secs: u64, interrupts: &Receiver<Interrupted>) -> Result<Idle> {
    let mut queue = Queue::start(interrupts)?;
    let mut worker = Worker::start(Kind::Drumline32, &queue.url, interrupts)?;
    queue.wait()?;
    worker.run_for(SETTLE)?;
    let before = worker.processor_time()?;
    worker.run_for(Duration::from_secs(secs))?;
    let cpu_ms = worker.processor_time()?.saturating_sub(before).as_secs_f64() * 1e3;
    let memory_mib = worker.memory_kib()?.now_mib();
    let requests = worker.end(&mut queue)?;
    let percent_of_a_core = cpu_ms / (secs as f64 * 1e3) * 100.0;
    Ok(Idle { secs, cpu_ms, percent_of_a_core, memory_mib, requests })
}
