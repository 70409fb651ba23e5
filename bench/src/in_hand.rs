//! Measures the cost of many slow jobs in hand at once: memory, and the requests that renew their leases.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use crossbeam_channel::Receiver;
use serde::Serialize;

use xtask::interrupt::Interrupted;

use crate::queue::Queue;
use crate::worker::{self, Worker};

/// The duration of a job: two leases of 30 s, the default, so that each lease is renewed about four times.
const JOB_SECS: u64 = 60;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct InHand {
    pub(super) jobs: u32,
    pub(super) peak_memory_mib: f64,
    /// The number of renewals of all jobs.
    pub(super) renewals: u64,
    pub(super) renewal_requests: u64,
    pub(super) cpu_ms_per_1000_renewals: f64,
}

#[allow(clippy::cast_precision_loss, reason = "figures to read")]
pub(super) fn measure(jobs: u32, interrupts: &Receiver<Interrupted>) -> Result<InHand> {
    let mut queue = Queue::start(interrupts)?;
    let variables = [("DRUMLINE_CONCURRENCY", jobs.to_string()), ("BENCH_JOB_SECS", JOB_SECS.to_string())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let worker = Worker::start_runtime(&worker::noop(), &queue.url, &variables, interrupts)?;
    queue.wait()?;
    let before = worker.processor_time()?;
    let took = queue.drain(jobs as usize)?;
    let cpu = worker.processor_time()?.saturating_sub(before);
    let two_waves = Duration::from_secs(2 * JOB_SECS);
    ensure!(took < two_waves, "{jobs} jobs of {JOB_SECS} s took {took:.0?}: they were not in hand at once");
    let peak_memory_mib = worker.memory_kib()?.peak_mib();
    let metrics = worker.end_with_metrics(&mut queue)?;
    let renewals = worker::total(&metrics, "drumline_lease_renewals_total");
    let requests = worker::requests(&metrics);
    let renewal_requests = requests.get("ChangeMessageVisibilityBatch").copied().unwrap_or_default();
    ensure!(renewals > 0, "no lease was renewed");
    let cpu_ms_per_1000_renewals = cpu.as_secs_f64() * 1e6 / renewals as f64;
    Ok(InHand { jobs, peak_memory_mib, renewals, renewal_requests, cpu_ms_per_1000_renewals })
}

impl fmt::Display for InHand {
    #[allow(clippy::cast_precision_loss, reason = "figures to read")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs, peak_memory_mib, renewals, renewal_requests, cpu_ms_per_1000_renewals } = self;
        let each = *renewal_requests as f64 / *renewals as f64;
        write!(
            f,
            "{jobs} jobs of {JOB_SECS} s in hand (drumline): peak memory {peak_memory_mib:.1} MiB, {each:.3} requests a \
             renewal ({renewals} renewals), {cpu_ms_per_1000_renewals:.1} ms CPU in all per 1,000 renewals"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_given_for_each_renewal() {
        let (jobs, renewals) = (10_000, 40_000);
        let in_hand = InHand {
            jobs,
            peak_memory_mib: 120.0,
            renewals,
            renewal_requests: 4_000,
            cpu_ms_per_1000_renewals: 9.0,
        };
        assert!(in_hand.to_string().contains("0.100 requests a renewal (40000 renewals)"), "{in_hand}");
    }
}
