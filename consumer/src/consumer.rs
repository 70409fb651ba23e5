//! A consumer, whole: its queues, its handlers, its endpoint, from the start to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use drumline::{DeadLetterPath, DrainSummary, Ledger, Policy, Polling, Router};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::{
    AwsQueue, Clients, DepthProbe, Depths, QueueFacts, connect, describe, is_fifo, queue_name, url_by_arn,
};
use crate::drive::Driver;
use crate::host::{Listener, Nobody, TokioHost};
use crate::http::{Endpoint, Readiness};
use crate::metrics::Metrics;
use crate::observe::{QueueObserver, QueueStatus};
use crate::settings::{PermanentFailures, QueueSettings, Settings};
use crate::sqs::{Queue, SqsError};

/// How often a queue is asked about itself at the start, and the wait between: long enough for a container's network
/// to come up, short enough for a wrong setting to show.
const DESCRIBE_TRIES: u32 = 3;
const DESCRIBE_WAIT: Duration = Duration::from_secs(1);

/// A consumer that is set up but does not run yet.
///
/// ```no_run
/// # async fn example(router: drumline::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use drumline_consumer::{Consumer, Settings};
///
/// let settings = Settings::read(&Default::default(), |name| std::env::var(name).ok(), None)?;
/// let stop = async { let _ = tokio::signal::ctrl_c().await; };
/// let summaries = Consumer::new(settings, router).run(stop).await?;
/// println!("{summaries:?}");
/// # Ok(()) }
/// ```
pub struct Consumer {
    settings: Settings,
    router: Arc<Router>,
    listener: Arc<dyn Listener>,
    metrics: Metrics,
    handlers: Option<Handle>,
}

/// Why a consumer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not go together with what SQS says of a queue, or say too little.
    #[error("{0}")]
    Settings(String),
    /// A queue cannot be used.
    #[error("the queue {queue} cannot be used: {error}")]
    Queue {
        /// Its name.
        queue: String,
        /// Why.
        error: SqsError,
    },
    /// The address of the HTTP endpoint cannot be listened on.
    #[error(
        "cannot serve /livez, /readyz and /metrics on {addr}: {error}; set DRUMLINE_HTTP_ADDR to another address, or to off"
    )]
    Http {
        /// The address.
        addr: std::net::SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

impl Consumer {
    /// A consumer for these queues and handlers.
    pub fn new(settings: Settings, router: Router) -> Self {
        let metrics = Metrics::new();
        Self { settings, router: Arc::new(router), listener: Arc::new(Nobody), metrics, handlers: None }
    }

    /// Has `listener` watch.
    pub fn listener(mut self, listener: Arc<dyn Listener>) -> Self {
        self.listener = listener;
        self
    }

    /// Runs handlers on another runtime than the consumer itself, so that a handler that blocks its thread can delay
    /// no renewal. The `drumline` binary does so.
    pub fn handlers_on(mut self, handlers: Handle) -> Self {
        self.handlers = Some(handlers);
        self
    }

    /// Consumes until `shutdown` completes, then drains. Tells per queue how the drain went.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Vec<(String, DrainSummary)>, StartError> {
        let mut shutdown = std::pin::pin!(shutdown);
        let (drivers, probes) = tokio::select! {
            drivers = self.drivers() => drivers?,
            // Nothing has been received yet, so there is nothing to drain; a question that is dropped changes nothing.
            () = &mut shutdown => return Ok(Vec::new()),
        };
        let statuses: Vec<(String, Arc<QueueStatus>)> =
            drivers.iter().map(|d| (d.observer.queue().to_string(), d.observer.status())).collect();
        let readiness = Readiness::new(statuses);
        let depths = Depths::new(probes, self.metrics.clone());
        let _endpoint = match self.settings.http_addr {
            Some(addr) => Some(
                Endpoint::serve(addr, self.metrics.clone(), depths, readiness.clone())
                    .await
                    .map_err(|error| StartError::Http { addr, error })?,
            ),
            None => None,
        };
        let grace = self.settings.shutdown_grace;
        let (stop, stopped) = watch::channel(false);
        let mut running = Vec::new();
        for driver in drivers {
            let mut stopped = stopped.clone();
            let name = driver.observer.queue().to_string();
            // The sender lives until every driver has ended, so waiting can only end with the stop.
            let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
            running.push((name, tokio::spawn(driver.run(shutdown, grace))));
        }
        shutdown.await;
        readiness.drain();
        stop.send_replace(true);
        let mut summaries = Vec::new();
        for (name, driver) in running {
            let summary = driver.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            summaries.push((name, summary));
        }
        Ok(summaries)
    }

    async fn drivers(&self) -> Result<(Vec<Driver>, Vec<DepthProbe>), StartError> {
        let (mut drivers, mut probes) = (Vec::new(), Vec::new());
        for queue in &self.settings.queues {
            let (driver, probe) = self.driver(queue).await?;
            drivers.push(driver);
            probes.push(probe);
        }
        Ok((drivers, probes))
    }

    async fn driver(&self, settings: &QueueSettings) -> Result<(Driver, DepthProbe), StartError> {
        let name = queue_name(settings.url.path()).to_owned();
        let clients = connect(&settings.url, settings.wait_time).await.map_err(StartError::Settings)?;
        let failed = |error| StartError::Queue { queue: name.clone(), error };
        let facts = patiently_describe(&clients, settings.url.as_str()).await.map_err(failed)?;
        let policy = policy(&name, settings, &facts, self.settings.shutdown_grace);
        let dead_letter_url = match (&facts.redrive, policy.dead_letter) {
            (Some(redrive), DeadLetterPath::Copy) => {
                Some(url_by_arn(&clients.calls, &redrive.dead_letter_target_arn).await.map_err(failed)?)
            }
            _ => None,
        };
        let probe = DepthProbe {
            queue: name.clone(),
            client: clients.calls.clone(),
            queue_url: settings.url.to_string(),
            dead_letter_arn: facts.redrive.as_ref().map(|redrive| redrive.dead_letter_target_arn.clone()),
        };
        let queue = AwsQueue::new(
            clients,
            settings.url.to_string(),
            settings.wait_time,
            policy.lease,
            dead_letter_url,
            self.metrics.clone(),
        );
        info!(
            queue = name,
            concurrency = policy.concurrency,
            lease_secs = policy.lease.as_secs(),
            fifo = policy.fifo,
            max_receive_count = facts.redrive.as_ref().map(|redrive| redrive.max_receive_count),
            "consuming"
        );
        let driver = driver(
            &name,
            policy,
            Arc::new(queue),
            Arc::clone(&self.router),
            &self.metrics,
            Arc::clone(&self.listener),
            self.handlers.clone().unwrap_or_else(Handle::current),
        );
        let driver = driver.map_err(|error| StartError::Settings(format!("{name}: {error}")))?;
        Ok((driver, probe))
    }
}

/// Everything a queue's loop needs, put together.
pub(crate) fn driver(
    name: &str,
    policy: Policy,
    queue: Arc<dyn Queue>,
    router: Arc<Router>,
    metrics: &Metrics,
    listener: Arc<dyn Listener>,
    handlers: Handle,
) -> Result<Driver, drumline::InvalidPolicy> {
    let metrics = metrics.queue(name);
    let observer = QueueObserver::new(Arc::from(name), metrics.clone(), Arc::clone(&listener));
    let host = Arc::new(TokioHost { metrics, listener });
    Ok(Driver { ledger: Ledger::new(policy)?, queue, router, host, observer, handlers })
}

fn policy(name: &str, settings: &QueueSettings, facts: &QueueFacts, grace: Duration) -> Policy {
    let dead_letter = match (&facts.redrive, settings.permanent_failures) {
        (None, _) => {
            warn!(queue = name, "the queue has no DLQ: what fails for good stays in it until it expires");
            DeadLetterPath::Nowhere
        }
        (Some(_), PermanentFailures::Redrive) => DeadLetterPath::Redrive,
        (Some(_), PermanentFailures::DeadLetter) => DeadLetterPath::Copy,
    };
    if settings.wait_time > grace {
        warn!(
            queue = name,
            "the wait time is longer than the shutdown grace: a receive that is open at a shutdown may bring messages \
             too late, and they stay hidden until their visibility ends"
        );
    }
    Policy {
        fifo: is_fifo(name),
        concurrency: settings.concurrency,
        handler_timeout: settings.handler_timeout,
        retry: settings.retry.clone(),
        retry_by_type: settings.retry_by_type.clone(),
        unknown_type: settings.unknown_type,
        dead_letter,
        polling: Some(Polling { wait_time: settings.wait_time }),
        // A queue whose own timeout is 0 hides nothing; a lease has to be asked for all the same.
        ..Policy::new(
            settings.visibility_timeout.unwrap_or(facts.visibility_timeout).max(Duration::from_secs(1)),
        )
    }
}

async fn patiently_describe(clients: &Clients, queue_url: &str) -> Result<QueueFacts, SqsError> {
    let mut tries = 1;
    loop {
        match describe(&clients.calls, queue_url).await {
            Err(error) if error.kind.passes() && tries < DESCRIBE_TRIES => {
                warn!(queue_url, error = error.text, "the queue does not answer yet");
                tries += 1;
                tokio::time::sleep(DESCRIBE_WAIT).await;
            }
            result => return result,
        }
    }
}
