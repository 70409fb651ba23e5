//! The cost of a job in requests to SQS and in dollars, read at each scrape: what changes with every job costs nothing in between.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drumline_runtime::{DEFAULT_SQS_PRICE, SqsPrice};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The requests and the done jobs of a process since its start. Cloning gives another handle of the same counts.
#[derive(Debug, Clone, Default)]
pub(super) struct CostMetrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// All requests to SQS, those that failed included.
    requests: Counter,
    done: Mutex<DoneJobs>,
}

#[derive(Debug)]
struct DoneJobs {
    price: SqsPrice,
    /// The counters of `drumline_jobs_total` with the outcome `ack`, by queue and type.
    acks: BTreeMap<(String, String), Counter>,
}

impl Default for Counts {
    fn default() -> Self {
        let done = DoneJobs { price: DEFAULT_SQS_PRICE, acks: BTreeMap::new() };
        Self { requests: Counter::default(), done: Mutex::new(done) }
    }
}

impl CostMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Sets the price of a request.
    pub(super) fn set_price(&self, price: SqsPrice) {
        self.done().price = price;
    }

    /// Counts a request.
    pub(super) fn request(&self) {
        self.0.requests.inc();
    }

    /// Adds up what this counter counts from now on: the done jobs of a type.
    pub(super) fn add_acks(&self, queue: &str, job_type: &str, acks: &Counter) {
        self.done().acks.insert((queue.to_owned(), job_type.to_owned()), acks.clone());
    }

    fn done(&self) -> MutexGuard<'_, DoneJobs> {
        self.0.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for CostMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let (price, done) = {
            let done = self.done();
            (done.price, done.acks.values().map(|acks: &Counter| acks.get()).sum())
        };
        let Some(cost) = price.cost(self.0.requests.get(), done) else { return Ok(()) };
        let gauges = [
            (
                "drumline_sqs_requests_per_message",
                "Requests to SQS for each message whose job is done, since the start of the process",
                cost.requests_per_message,
            ),
            (
                "drumline_sqs_dollars_per_million_jobs",
                "The price of the requests to SQS for a million jobs, since the start of the process",
                cost.dollars_per_million,
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}
