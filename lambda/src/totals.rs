//! The metrics of a function since its start, for OpenTelemetry.
//!
//! They are added up from the counts of invocations, which are also those of the log: nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use drumline_otel::{MetricSeries, MetricValue};
use drumline_runtime::{DURATION_BUCKETS, SINCE_SENT_BUCKETS};

use crate::emf::{Emf, Labels};

/// The maximum number of series. Types are bounded, but the tenants that have a label change with time.
const MAX_SERIES: usize = 2_000;

/// The only label of what is counted beyond [`MAX_SERIES`]. See
/// [cardinality limits](https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute).
const OVERFLOW: &str = "otel.metric.overflow";

/// The metrics with values of now; all others are counts or times.
const GAUGES: [&str; 3] = [
    "drumline_oldest_message_age_seconds",
    "drumline_sqs_requests_per_message",
    "drumline_sqs_dollars_per_million_jobs",
];

/// Values since the start of the process, by metric and labels.
#[derive(Default)]
pub(crate) struct Totals(Mutex<BTreeMap<(&'static str, Labels), MetricValue>>);

impl Totals {
    /// Adds the counts of an invocation.
    pub(crate) fn add(&self, emf: &Emf) {
        let mut totals = self.lock();
        emf.for_each(|name, labels, values| {
            let mut key = (name, labels.clone());
            if totals.len() >= MAX_SERIES && !totals.contains_key(&key) {
                key.1 = Labels::from([(OVERFLOW, "true".to_owned())]);
            }
            let total = totals.entry(key).or_insert_with(|| empty(name));
            for value in values {
                add(total, *value);
            }
        });
    }

    /// Returns all series; those of one metric follow each other.
    pub(crate) fn series(&self) -> Vec<MetricSeries> {
        let totals = self.lock();
        let series = totals.iter().map(|((name, labels), value)| MetricSeries {
            name: (*name).to_owned(),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect(),
            value: value.clone(),
        });
        series.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, Labels), MetricValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the value of a metric before its first count.
fn empty(name: &str) -> MetricValue {
    let bounds = match name {
        _ if GAUGES.contains(&name) => return MetricValue::Gauge(0.0),
        "drumline_job_duration_seconds" => &DURATION_BUCKETS[..],
        _ if name.ends_with("_seconds") => &SINCE_SENT_BUCKETS[..],
        _ => return MetricValue::Counter(0.0),
    };
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    MetricValue::Histogram { sum: 0.0, buckets: bounds.map(|bound| (bound, 0)).collect() }
}

fn add(total: &mut MetricValue, value: f64) {
    match total {
        MetricValue::Counter(total) => *total += value,
        MetricValue::Gauge(now) => *now = value,
        MetricValue::Histogram { sum, buckets } => {
            *sum += value;
            if let Some((_, count)) = buckets.iter_mut().find(|(bound, _)| value <= *bound) {
                *count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use drumline::core::{Ending, Outcome};
    use drumline::run::Observer;

    use super::*;
    use crate::every_event::{QUEUE, emit_a_run, emit_decided, emit_every_event};

    fn an_invocation(emit: impl Fn(&Arc<dyn Observer>)) -> Emf {
        let emf = Arc::new(Emf::default());
        let queue: Arc<dyn Observer> = Arc::new(emf.for_queue(QUEUE, &Arc::default(), None));
        emit(&queue);
        let all = Emf::default();
        all.absorb(&emf);
        all
    }

    #[test]
    fn invocations_add_up_and_histograms_have_the_buckets_of_a_worker() {
        let totals = Totals::default();
        for _ in 0..2 {
            totals.add(&an_invocation(|queue| {
                emit_a_run(queue, Ok(()));
                emit_decided(queue, "a.b", Outcome::Ack, Ending::Done);
            }));
        }
        let value =
            |name: &str| totals.series().into_iter().find(|series| series.name == name).unwrap().value;
        assert_eq!(value("drumline_jobs_total"), MetricValue::Counter(2.0));
        let MetricValue::Histogram { sum, buckets } = value("drumline_job_duration_seconds") else {
            panic!("no histogram")
        };
        assert!((sum - 0.5).abs() < 1e-9, "{sum}");
        let filled: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!((filled, buckets.len()), (vec![&(0.25, 2)], DURATION_BUCKETS.len() + 1));
    }

    #[test]
    fn counts_are_named_as_counts_and_gauges_are_listed() {
        let totals = Totals::default();
        totals.add(&an_invocation(emit_every_event));
        for MetricSeries { name, value, .. } in totals.series() {
            let is_counter = matches!(value, MetricValue::Counter(_));
            assert_eq!(is_counter, name.ends_with("_total"), "{name}: {value:?}");
        }
    }

    #[test]
    fn series_beyond_the_bound_are_counted_together() {
        let totals = Totals::default();
        for index in 0..MAX_SERIES + 10 {
            let emf = Arc::new(Emf::default());
            let queue: Arc<dyn Observer> =
                Arc::new(emf.for_queue(&format!("queue-{index}"), &Arc::default(), None));
            emit_decided(&queue, "a.b", Outcome::Ack, Ending::Done);
            totals.add(&emf);
        }
        let series = totals.series();
        let overflow: Vec<_> = series.iter().filter(|series| series.labels[0].0 == OVERFLOW).collect();
        assert!(!overflow.is_empty() && series.len() <= MAX_SERIES + overflow.len(), "{overflow:?}");
    }
}
