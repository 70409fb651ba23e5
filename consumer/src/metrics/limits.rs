//! The metrics of limits and of shared slots, for each limited type and for each queue with a weight. They are read from the
//! limits and the slots themselves.

use std::fmt::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use drumline::core::{LimitReason, Limits, MemberSnapshot, SlotPool, TypeSnapshot};
use drumline_runtime::MAX_TYPES;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfType {
    r#type: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfReason {
    r#type: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfQueue {
    queue: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfState {
    queue: String,
    state: &'static str,
}

/// The reasons why no job of a type starts.
const CLOSING: [LimitReason; 3] = [LimitReason::Throttled, LimitReason::Breaker, LimitReason::Operator];

/// The limits of a process, and the slots that its queues share, if it has some. They are read at each scrape, so that values
/// that change with every job cost nothing in between.
#[derive(Debug, Default, Clone)]
pub(super) struct LimitMetrics(Arc<Mutex<Shown>>);

#[derive(Debug, Default, Clone)]
struct Shown {
    limits: Option<Limits>,
    slots: Option<SlotPool>,
}

impl LimitMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Shows these limits from now on.
    pub(super) fn set_limits(&self, limits: Limits) {
        self.shown().limits = Some(limits);
    }

    /// Shows these slots from now on.
    pub(super) fn set_slots(&self, slots: SlotPool) {
        self.shown().slots = Some(slots);
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for LimitMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let Shown { limits, slots } = self.shown().clone();
        if let Some(limits) = limits {
            encode_types(&mut encoder, &limits.snapshot(now()))?;
        }
        if let Some(slots) = slots {
            encode_slots(&mut encoder, &slots.snapshot())?;
        }
        Ok(())
    }
}

fn encode_types(encoder: &mut DescriptorEncoder, types: &[TypeSnapshot]) -> Result<(), Error> {
    if types.is_empty() {
        return Ok(());
    }
    // The rules contain most types, but any type may be throttled.
    let types = &types[..types.len().min(MAX_TYPES)];
    let of_type = |of: &TypeSnapshot| OfType { r#type: of.job_type.to_string() };
    let running = types.iter().map(|of| (of_type(of), Some(number(of.running))));
    family(encoder, "drumline_limit_running", "Jobs of limited types that run now", running)?;
    let slots = types.iter().map(|of| (of_type(of), of.slots.map(|slots| number(slots.get()))));
    family(encoder, "drumline_limit_slots", "Jobs of the type that may run at once", slots)?;
    let tokens = types.iter().map(|of| (of_type(of), of.rate.and_then(|rate| rate.tokens).map(i64::from)));
    family(encoder, "drumline_limit_tokens", "Jobs of the type that its rate lets start now", tokens)?;
    let closed = types.iter().flat_map(|of| {
        CLOSING.map(|reason| {
            let labels = OfReason { r#type: of.job_type.to_string(), reason: reason.label() };
            (labels, Some(i64::from(of.closed.iter().any(|limit| limit.reason == reason))))
        })
    });
    family(encoder, "drumline_limit_closed", "1 while no job of the type starts, for this reason", closed)
}

fn encode_slots(encoder: &mut DescriptorEncoder, queues: &[MemberSnapshot]) -> Result<(), Error> {
    let slots = queues.iter().flat_map(|of| {
        let receiving = of.slots.saturating_sub(of.running);
        let states = [("running", of.running), ("receiving", receiving), ("wanted", of.waits_for)];
        states.map(|(state, count)| (OfState { queue: of.name.to_string(), state }, Some(number(count))))
    });
    family(encoder, "drumline_slots", "Slots of a queue that shares them with others, by state", slots)?;
    let of_queue = |of: &MemberSnapshot| OfQueue { queue: of.name.to_string() };
    let shares = queues.iter().map(|of| (of_queue(of), Some(of.share)));
    family(encoder, "drumline_slots_share", "Slots that are the queue's share by its weight", shares)?;
    let late = queues.iter().map(|of| (of_queue(of), Some(i64::from(of.is_late))));
    family(
        encoder,
        "drumline_slots_late",
        "1 while the queue's oldest message is older than its max_age",
        late,
    )
}

/// Encodes a gauge with all labels that have a value.
fn family<L: EncodeLabelSet, N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, Option<N>)>,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        if let Some(value) = value {
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
