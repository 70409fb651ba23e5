//! The gates of a worker's queues, for producers in any language. They depend on the depths that SQS reports, and on how long
//! messages have waited here for their first run.
//!
//! Retries do not count as waiting: otherwise a message that fails for an hour would refuse all new ones.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline_runtime::gate::{Decider, GateLimits, GateReading, GateState, RETRY_AFTER};
use serde::Serialize;
use tracing::warn;

use crate::depth::Depths;
use crate::metrics::Metrics;

/// The maximum age of a depth if SQS does not report a newer one. Then the gate opens: producers notice themselves if SQS is
/// down.
const STALE: Duration = Duration::from_secs(60);

/// The gates of all queues of a process.
#[derive(Clone)]
pub(crate) struct Gates {
    queues: Arc<[QueueGate]>,
    depths: Depths,
    metrics: Metrics,
}

struct QueueGate {
    queue: String,
    limits: GateLimits,
    decider: Mutex<Decider>,
    /// True if the depth is not known, and the log contains that.
    is_blind: AtomicBool,
}

/// The state of a queue's gate, as returned to clients.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GateAnswer {
    state: &'static str,
    queue: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_secs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Arc<str>>,
    /// The number of waiting messages, visible or delayed; `null` if SQS does not answer.
    depth: Option<u64>,
    oldest_age_secs: f64,
    #[serde(skip)]
    decided: GateState,
}

impl GateAnswer {
    /// Returns the number of seconds after which a refused producer should ask again.
    pub(crate) fn retry_after_secs(&self) -> Option<u64> {
        matches!(self.decided, GateState::Shed(_)).then(|| RETRY_AFTER.as_secs())
    }
}

impl Gates {
    /// Makes the gates of these queues.
    pub(crate) fn new(
        queues: impl IntoIterator<Item = (String, GateLimits)>,
        depths: Depths,
        metrics: Metrics,
    ) -> Self {
        let gate = |(queue, limits)| QueueGate {
            queue,
            limits,
            decider: Mutex::new(Decider::new(limits)),
            is_blind: AtomicBool::new(false),
        };
        Self { queues: queues.into_iter().map(gate).collect(), depths, metrics }
    }

    /// Returns the state of a queue's gate, or the strictest one of all queues. `None` if there is no such queue.
    pub(crate) async fn state(&self, queue: Option<&str>) -> Option<GateAnswer> {
        let asked = || self.queues.iter().filter(|gate| queue.is_none_or(|name| name == gate.queue));
        asked().next()?;
        self.depths.refresh().await;
        asked().map(|gate| self.answer(gate)).reduce(|a, b| {
            let strictest = a.decided.clone().or_stricter(b.decided.clone());
            if strictest == a.decided { a } else { b }
        })
    }

    /// Returns the names of the queues.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.queues.iter().map(|gate| &*gate.queue).collect()
    }

    fn answer(&self, gate: &QueueGate) -> GateAnswer {
        let depth = self.depths.waiting(&gate.queue, STALE);
        let is_blind = depth.is_none() && !gate.limits.is_off();
        if is_blind && !gate.is_blind.swap(true, Ordering::Relaxed) {
            warn!(queue = gate.queue, "the gate is open: the queue's depth is not known");
        } else if !is_blind {
            gate.is_blind.store(false, Ordering::Relaxed);
        }
        let oldest = self.metrics.longest_first_wait(&gate.queue);
        // If SQS does not answer, no message is received either, and the last wait does not predict the next one.
        let reading = GateReading { depth, oldest: depth.map(|_| oldest) };
        let decided = gate.decider.lock().unwrap_or_else(PoisonError::into_inner).step(&reading);
        let (delay_secs, reason) = match &decided {
            GateState::Open => (None, None),
            GateState::Slow(delay) => (Some(delay.as_secs_f64()), None),
            GateState::Shed(reason) => (None, Some(Arc::clone(reason))),
        };
        GateAnswer {
            state: decided.label(),
            queue: gate.queue.clone(),
            delay_secs,
            reason,
            depth,
            oldest_age_secs: oldest.as_secs_f64(),
            decided,
        }
    }
}
