//! Drains the queue with each worker in turn.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;

use xtask::interrupt::Interrupted;

use crate::figures::Figures;
use crate::queue::Queue;
use crate::worker::{Kind, Worker};

/// The time after the last open receive until a worker has finished the work of its start and warm-up.
const SETTLE: Duration = Duration::from_millis(300);

/// The load of each contender in a round.
pub(super) struct Load {
    /// The number of messages that are not measured.
    pub(super) warm_up: usize,
    pub(super) messages: usize,
    /// The delay of each request.
    pub(super) delay: Duration,
}

/// Runs one round: every worker once.
pub(super) fn round(load: &Load, interrupts: &Receiver<Interrupted>) -> Result<BTreeMap<Kind, Figures>> {
    Kind::ALL.into_iter().map(|kind| Ok((kind, drain(kind, load, interrupts)?))).collect()
}

/// Runs one worker on its own queue.
#[allow(clippy::cast_precision_loss, reason = "figures to read")]
fn drain(kind: Kind, load: &Load, interrupts: &Receiver<Interrupted>) -> Result<Figures> {
    let Load { warm_up, messages, delay } = *load;
    let mut queue = Queue::start_delayed(delay, interrupts)?;
    let mut worker = Worker::start(kind, &queue.url, interrupts)?;
    queue.warm_up(warm_up)?;
    worker.run_for(SETTLE)?;

    let before = worker.processor_time()?;
    let took = queue.drain(messages)?;
    let cpu = worker.processor_time()?.saturating_sub(before);

    let memory = worker.memory_kib()?;
    let requests = worker.end(&mut queue)?;
    let count = messages as f64;
    let of_all = (warm_up + messages) as f64;
    let of = |action: &str| requests.get(action).copied().unwrap_or_default() as f64 / of_all;
    Ok(Figures {
        cpu_ms_per_1000: cpu.as_secs_f64() * 1e3 / (count / 1e3),
        messages_per_s: count / took.as_secs_f64(),
        requests_per_message: requests.values().sum::<u64>() as f64 / of_all,
        receives_per_message: of("ReceiveMessage"),
        deletes_per_message: of("DeleteMessageBatch"),
        peak_memory_mib: memory.peak_mib(),
    })
}
