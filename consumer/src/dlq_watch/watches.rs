//! The watches of a consumer: one over each DLQ of its queues, while the consumer runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline::message::Intake;
use drumline::run::Observer;
use drumline_dlq::alert::Template;
use drumline_runtime::aws::{Clients, url_by_arn};
use drumline_runtime::{AlertTarget, DeadJobs, DlqWatchSettings};
use drumline_store::Store;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, warn};

use super::causes::StoreHistory;
use super::delivery::Alerts;
use super::failures::{Failures, failures};
use super::letters::SqsLetters;
use super::watch::DlqWatch;
use crate::metrics::Metrics;

/// The watches of a consumer.
pub(crate) struct Watches {
    settings: DlqWatchSettings,
    metrics: Metrics,
    stop: Sender<bool>,
    /// The running watches, by the ARN of the DLQ.
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    /// The observer of the queues with this DLQ.
    observer: Arc<dyn Observer>,
    task: JoinHandle<()>,
}

/// The DLQ of a queue that is consumed.
pub(crate) struct Watched {
    pub(crate) arn: String,
    pub(crate) clients: Clients,
    pub(crate) intake: Intake,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dead_jobs: Option<DeadJobs>,
    /// The observer of requests.
    pub(crate) observer: Arc<dyn Observer>,
}

impl Watches {
    /// Makes the watches of a consumer, without any watch.
    pub(crate) fn new(settings: DlqWatchSettings, metrics: Metrics) -> Self {
        Self { settings, metrics, stop: channel(false).0, running: Mutex::default() }
    }

    /// Checks the template of alerts.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.template().map(drop).map_err(|error| format!("dlq_alert_template: {error}"))
    }

    fn template(&self) -> Result<Option<Template>, String> {
        self.settings.alert_template.as_deref().map(Template::parse).transpose()
    }

    /// Watches a DLQ, unless watches are off. Returns the observer of the queue, from which the watch knows its failures.
    pub(crate) fn add(&self, watched: Watched) -> Option<Arc<dyn Observer>> {
        if !self.settings.is_on {
            return None;
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let arn = watched.arn.clone();
        let running = running.entry(arn).or_insert_with(|| {
            let (observer, failures) = failures(watched.dead_jobs.is_some());
            let start = Start {
                settings: self.settings.clone(),
                template: self.template().ok().flatten(),
                metrics: self.metrics.clone(),
                stopped: self.stop.subscribe(),
                failures,
                watched,
            };
            Running { observer, task: tokio::spawn(start.run()) }
        });
        Some(Arc::clone(&running.observer))
    }

    /// Ends all watches, and waits at most `at_most` until they have released their claims to lead.
    pub(crate) async fn stop(&self, at_most: Duration) {
        self.stop.send_replace(true);
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = running.into_values().map(|running| running.task);
        // A watch that does not end in time leads until its lease ends.
        let _ = timeout(at_most, futures_util::future::join_all(ended)).await;
    }
}

/// A watch that starts.
struct Start {
    settings: DlqWatchSettings,
    template: Option<Template>,
    metrics: Metrics,
    stopped: Receiver<bool>,
    failures: Failures,
    watched: Watched,
}

impl Start {
    async fn run(self) {
        let Self { settings, template, metrics, mut stopped, failures, watched } = self;
        let Watched { arn, clients, intake, store, dead_jobs, observer } = watched;
        let name = arn.rsplit(':').next().unwrap_or(&arn).to_owned();
        let url = tokio::select! {
            url = find(&clients, &arn, settings.every) => url,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let letters = Arc::new(SqsLetters::new(clients, url, observer));
        let history = Arc::new(StoreHistory(Arc::clone(&store)));
        // Letters in the DLQ at the start were there when the last worker ended, too.
        let mut watch = DlqWatch::new(name.clone(), letters, history, intake, false)
            .timing(settings.every, settings.quiet)
            .metrics(metrics)
            .failures(failures)
            .dead_jobs(dead_jobs)
            .shared(&store, &arn);
        if let Some(target) = settings.alert_to {
            watch = with_alerts(watch, target, template, &name).await;
        }
        watch.run(async move { drop(stopped.wait_for(|stopped| *stopped).await) }).await;
    }
}

async fn with_alerts(
    watch: DlqWatch,
    target: AlertTarget,
    template: Option<Template>,
    dlq: &str,
) -> DlqWatch {
    match Alerts::new(target, template).await {
        Ok(alerts) => watch.alerts(alerts),
        Err(error) => {
            error!(dlq, error, "alerts not delivered: new dead letters are logged only");
            watch
        }
    }
}

/// Returns the URL of a DLQ, after SQS has returned it.
async fn find(clients: &Clients, arn: &str, every: Duration) -> String {
    let mut is_noted = false;
    loop {
        match url_by_arn(&clients.calls, arn).await {
            Ok(url) => return url,
            Err(error) if !is_noted => {
                is_noted = true;
                warn!(dlq = arn, %error, "DLQ not watched yet");
            }
            Err(_) => {}
        }
        tokio::time::sleep(every).await;
    }
}
