//! The numbers of messages in a queue and its DLQ, and of jobs in the outbox, asked for when a scraper reads the metrics, and each minute for CloudWatch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::debug;

use drumline::core::SqsAction;
use drumline::run::{Event, Observer};
use drumline_runtime::SqsError;
use drumline_runtime::activity::QueueDepth;
use drumline_runtime::aws::{explain, url_by_arn};
use drumline_store::outbox::Outbox;

use crate::metrics::Metrics;

/// The age up to which figures are not requested again, however many scrapers there are.
const FRESH: Duration = Duration::from_secs(15);

/// The time that a scrape waits for SQS or the outbox. Short, because the other metrics matter most while these do not respond.
const PATIENCE: Duration = Duration::from_secs(2);

/// The attributes that hold the numbers.
const NAMES: [Name; 3] = [
    Name::ApproximateNumberOfMessages,
    Name::ApproximateNumberOfMessagesNotVisible,
    Name::ApproximateNumberOfMessagesDelayed,
];

/// A queue whose depth can be requested.
pub(crate) struct DepthProbe {
    pub(crate) queue: String,
    pub(crate) client: Client,
    pub(crate) queue_url: String,
    pub(crate) dead_letter_arn: Option<String>,
}

/// The depths of all queues of a process.
#[derive(Clone)]
pub(crate) struct Depths {
    probes: Arc<StdMutex<Vec<Arc<DepthProbe>>>>,
    outbox: Arc<StdMutex<Option<Arc<dyn Outbox>>>>,
    asked_at: Arc<Mutex<Option<Instant>>>,
    /// The messages of each queue, with the time of SQS's report.
    known: Arc<StdMutex<HashMap<String, (QueueDepth, Instant)>>>,
    metrics: Metrics,
    observer: Arc<dyn Observer>,
}

impl Depths {
    /// Makes the depths, without any queue.
    pub(crate) fn new(metrics: Metrics, observer: Arc<dyn Observer>) -> Self {
        let (probes, outbox, asked_at, known) = Default::default();
        Self { probes, outbox, asked_at, known, metrics, observer }
    }

    /// Also shows the lag of this outbox.
    pub(crate) fn watch_outbox(&self, outbox: Arc<dyn Outbox>) {
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(outbox);
    }

    /// Adds a queue.
    pub(crate) fn add(&self, probe: DepthProbe) {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(probe));
    }

    /// Updates the figures. A figure without an answer stays unchanged, because the other metrics are more important.
    pub(crate) async fn refresh(&self) {
        let mut asked_at = self.asked_at.lock().await;
        if asked_at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let ask = async |probe: Arc<DepthProbe>| match timeout(PATIENCE, self.ask(&probe)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                debug!(queue = probe.queue, error = error.text, "the queue's depth is not known");
            }
            Err(_) => debug!(queue = probe.queue, "the queue's depth is not known in time"),
        };
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tokio::join!(join_all(probes.into_iter().map(ask)), self.ask_outbox());
        *asked_at = Some(Instant::now());
    }

    /// Returns the number of messages that wait in a queue, visible or delayed, if SQS has reported it within `max_age`.
    pub(crate) fn waiting(&self, queue: &str, max_age: Duration) -> Option<u64> {
        self.known(queue, max_age).map(|depth| depth.waiting())
    }

    /// Returns the number of messages in a queue, if SQS has reported it within `max_age`.
    pub(crate) fn known(&self, queue: &str, max_age: Duration) -> Option<QueueDepth> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied();
        known.filter(|(_, at)| at.elapsed() <= max_age).map(|(depth, _)| depth)
    }

    /// Records the number of messages in a queue.
    pub(crate) fn learn(&self, queue: &str, depth: QueueDepth) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(queue.to_owned(), (depth, Instant::now()));
    }

    /// Blocks refreshes while the guard lives, like a queue without answers.
    #[cfg(test)]
    pub(crate) async fn block(&self) -> tokio::sync::OwnedMutexGuard<Option<Instant>> {
        Arc::clone(&self.asked_at).lock_owned().await
    }

    async fn ask_outbox(&self) {
        let outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(outbox) = outbox else { return };
        match timeout(PATIENCE, outbox.lag()).await {
            Ok(Ok(lag)) => self.metrics.outbox().set_lag(&lag),
            Ok(Err(error)) => {
                debug!(%error, "the outbox's lag is not known");
                self.metrics.outbox().lag_unknown();
            }
            Err(_) => {
                debug!("the outbox's lag is not known in time");
                self.metrics.outbox().lag_unknown();
            }
        }
    }

    async fn ask(&self, probe: &DepthProbe) -> Result<(), SqsError> {
        let depth = self.counts(&probe.client, &probe.queue_url).await?;
        let QueueDepth { visible, delayed, in_flight } = depth;
        // The labels of the metric.
        for (state, count) in [("visible", visible), ("in_flight", in_flight), ("delayed", delayed)] {
            self.metrics.depth(&probe.queue, state, gauge(count));
        }
        self.learn(&probe.queue, depth);
        if let Some(arn) = &probe.dead_letter_arn {
            let url = url_by_arn(&probe.client, arn).await?;
            let dead = self.counts(&probe.client, &url).await?;
            self.metrics.dead_letter_depth(&probe.queue, gauge(dead.waiting() + dead.in_flight));
        }
        Ok(())
    }

    async fn counts(&self, client: &Client, queue_url: &str) -> Result<QueueDepth, SqsError> {
        let request =
            client.get_queue_attributes().queue_url(queue_url).set_attribute_names(Some(NAMES.to_vec()));
        let result = request.send().await.map_err(|error| explain("GetQueueAttributes", &error));
        let action = SqsAction::GetQueueAttributes;
        self.observer.observe(&Event::SqsRequest { action, result: SqsError::result_of(&result) });
        let attributes = result?.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] = NAMES
            .map(|name| attributes.get(&name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default());
        Ok(QueueDepth { visible, delayed, in_flight })
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
