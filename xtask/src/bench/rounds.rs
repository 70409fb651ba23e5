//! Draining the queue, each worker in turn.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;

use super::figures::Figures;
use super::queue::Queue;
use super::worker::{Kind, NOOP, Worker};
use crate::interrupt::Interrupted;
use crate::project;

/// From the first open receive until a worker has nothing left to do of its start.
const SETTLE: Duration = Duration::from_millis(300);

/// One round: every worker once.
pub(super) fn round(messages: usize, interrupts: &Receiver<Interrupted>) -> Result<BTreeMap<Kind, Figures>> {
    let noop = project::example(NOOP);
    Kind::ALL.into_iter().map(|kind| Ok((kind, drain(kind, &noop, messages, interrupts)?))).collect()
}

/// One worker's run over a queue of its own; `noop` is the runtime's.
#[allow(clippy::cast_precision_loss, reason = "figures to read")]
pub(super) fn drain(
    kind: Kind,
    noop: &Path,
    messages: usize,
    interrupts: &Receiver<Interrupted>,
) -> Result<Figures> {
    let mut queue = Queue::start(interrupts)?;
    let mut worker = Worker::start_build(kind, noop, &queue.url, interrupts)?;
    queue.wait()?;
    worker.run_for(SETTLE)?;

    let before = worker.processor_time()?;
    let took = queue.drain(messages)?;
    let cpu = worker.processor_time()?.saturating_sub(before);

    let peak_memory_kib = worker.peak_memory_kib()?;
    let requests = worker.end(&mut queue)?;
    let count = messages as f64;
    let of = |action: &str| requests.get(action).copied().unwrap_or_default() as f64 / count;
    Ok(Figures {
        cpu_ms_per_1000: cpu.as_secs_f64() * 1e3 / (count / 1e3),
        messages_per_s: count / took.as_secs_f64(),
        requests_per_message: requests.values().sum::<u64>() as f64 / count,
        receives_per_message: of("ReceiveMessage"),
        deletes_per_message: of("DeleteMessageBatch"),
        peak_memory_mib: peak_memory_kib as f64 / 1024.0,
    })
}
