//! The metrics of limits: what each limited type has now, read from the limits themselves, and what each queue holds and returns.

use std::fmt::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use drumline::core::{LimitReason, Limits, TypeSnapshot};
use drumline_runtime::MAX_TYPES;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
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

/// The reasons for which no job of a type starts.
const CLOSING: [LimitReason; 3] = [LimitReason::Throttled, LimitReason::Breaker, LimitReason::Operator];

/// The limits of a process, once it has some. They are read at each scrape: what changes with every job costs nothing in between.
#[derive(Debug, Default, Clone)]
pub(super) struct LimitMetrics(Arc<Mutex<Option<Limits>>>);

impl LimitMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Shows these limits from now on.
    pub(super) fn set(&self, limits: Limits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(limits);
    }
}

impl Collector for LimitMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let Some(limits) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(());
        };
        encode_types(&mut encoder, &limits.snapshot(now()))
    }
}

fn encode_types(encoder: &mut DescriptorEncoder, types: &[TypeSnapshot]) -> Result<(), Error> {
    if types.is_empty() {
        return Ok(());
    }
    // The rules name most types, but a throttle may be of any.
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

/// Encodes a gauge with those labels that have a value.
fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, Option<i64>)>,
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
