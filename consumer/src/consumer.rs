//! A consumer, whole: its queues, its handlers, its endpoint, from the start to the end of the drain.

mod opening;
mod relay;
mod reread;
mod stop;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use drumline::Router;
use drumline::core::{DrainSummary, Ledger, Limits, Policy, SlotPool};
use drumline::message::Intake;
use drumline::run::{Observer, RAW_TYPE};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info, warn};

use drumline_producer::NextJobProducer;
use drumline_runtime::aws::{AwsQueue, SqsClientSwitch, connect, connect_at, queue_labels, resolve};
use drumline_runtime::payload::Payloads;
use drumline_runtime::{
    ClaimStoreClient, DeadJobs, Driver, DriverConfig, Grace, LimitWatch, Logs, NextJobRoute, Problems,
    QueueSettings, QueueStatus, Refill, Settings, TargetHealth, check_descriptors, default_scope, intake,
    waits,
};
use drumline_store::Store;
use drumline_store::outbox::Outbox;
use url::Url;

use crate::activity::Activity;
use crate::control::{Control, ControlledQueue, Follower};
use crate::depth::{DepthProbe, Depths};
use crate::dlq_watch::{Watched, Watches};
use crate::early_endpoint::EarlyEndpoint;
use crate::emf::Emf;
use crate::gate::Gates;
use crate::http::Shown;
use crate::metrics::Metrics;
use crate::queue_start::{
    MISSING_QUEUE_CHECK, describe_with_retry, is_missing, start_once_created, with_retry,
};
use crate::readiness::Readiness;
use crate::start_checks::{check_dead_letter_queue, warn_of_settings};
use crate::start_error::StartError;
use crate::start_wait::StartWait;
use crate::task_protection::TaskProtection;
use crate::telemetry::Telemetry;
use opening::{open_outbox, open_store};
use relay::InProcessRelay;
pub(crate) use reread::Reread;
use reread::{Reload, Rereading};

/// A consumer that is set up but does not run yet.
///
/// ```no_run
/// # async fn example(router: drumline::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use drumline_consumer::{Consumer, Settings};
///
/// let settings = Settings::read(&Default::default(), drumline_consumer::variable, None)?;
/// let stop = async { let _ = tokio::signal::ctrl_c().await; };
/// let summaries = Consumer::new(settings, router).run(stop).await?;
/// println!("{summaries:?}");
/// # Ok(()) }
/// ```
pub struct Consumer {
    settings: Settings,
    router: Arc<Router>,
    observers: Vec<Arc<dyn Observer>>,
    metrics: Metrics,
    watches: Watches,
    handlers: Option<Handle>,
    target: Option<TargetHealth>,
    store: Option<Arc<dyn Store>>,
    endpoint: Option<String>,
    sqs_client: SqsClientSwitch,
    next_jobs: OnceLock<Arc<NextJobProducer>>,
    /// Shared by its queues.
    limits: Limits,
    reread: Option<Reread>,
    /// The slots that its queues share, if they do.
    slots: Option<SlotPool>,
    telemetry: Telemetry,
    /// The HTTP endpoint, if it was started before.
    http: Option<EarlyEndpoint>,
    /// The wait of the start, which the HTTP endpoint shows.
    start_wait: StartWait,
}

impl Consumer {
    /// A consumer for these queues and handlers.
    pub fn new(settings: Settings, router: Router) -> Self {
        let metrics = Metrics::new();
        let watches = Watches::new(settings.dlq_watch.clone(), metrics.clone());
        let limits = Limits::new(settings.limits.clone());
        let slots = settings.shared_slots.map(SlotPool::new);
        let sqs_client = SqsClientSwitch::new(settings.sqs_client);
        metrics.limits(&limits);
        if let Some(slots) = &slots {
            metrics.slots(slots);
        }
        metrics.set_sqs_price(settings.sqs_price);
        if settings.tenant_metrics {
            metrics.count_tenants();
        }
        let router = match &settings.dead_job_webhook {
            Some(webhook) => webhook.added_to(router),
            None => router,
        };
        Self {
            settings,
            router: Arc::new(router),
            observers: Vec::new(),
            metrics,
            watches,
            handlers: None,
            target: None,
            store: None,
            endpoint: None,
            sqs_client,
            next_jobs: OnceLock::new(),
            limits,
            reread: None,
            slots,
            telemetry: Telemetry::default(),
            http: None,
            start_wait: StartWait::default(),
        }
    }

    /// Adds an observer of everything that happens in the queues, and of the requests to SQS and to the store.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Reads the settings again at each SIGHUP, by this function. What can change without a restart does: the limits of job types, and the
    /// concurrency of queues. What cannot is named in the log, and settings with problems change nothing. Without it, and in a terminal,
    /// SIGHUP ends the process.
    pub fn rereading(
        mut self,
        read: impl Fn() -> Result<Settings, Problems> + Send + Sync + 'static,
    ) -> Self {
        self.reread = Some(Arc::new(read));
        self
    }

    /// Runs handlers on another runtime than the consumer itself, so that a handler that blocks its thread can delay
    /// no renewal. The `drumline` binary does so.
    pub fn handlers_on(mut self, handlers: Handle) -> Self {
        self.handlers = Some(handlers);
        self
    }

    /// Pauses the queues while this target is unhealthy: that of [`forward_to`](drumline_runtime::forward_to). Nothing is received
    /// before it answers.
    pub fn target(mut self, target: TargetHealth) -> Self {
        self.target = Some(target);
        self
    }

    /// Keeps claims and histories in a store of the program's own. That the settings name a store too (`store_url`) is an error of
    /// [`run`](Self::run). With such a store, next jobs are sent before the mark, also with one in PostgreSQL: only one that the settings
    /// name can be relayed by the worker.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sends requests to the SQS API at this URL, such as `http://127.0.0.1:9324`, and not to `AWS_ENDPOINT_URL`: for queues that
    /// the program itself serves. An outbox is not relayed to them: `outbox_relay` has no effect then.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Uses an HTTP endpoint that was started before.
    pub(crate) fn early_endpoint(self, http: EarlyEndpoint) -> Self {
        Self { http: Some(http), ..self }
    }

    /// Consumes until `shutdown` completes, then drains. Returns how the drain of each queue went. It ends within five seconds of the
    /// shutdown grace, also if the reader of standard output stalls. Raises the process's limit of open files to what the system
    /// allows.
    #[allow(clippy::too_many_lines, reason = "the order of a start and of a stop, in one place")]
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Vec<(String, DrainSummary)>, StartError> {
        self.router.check().map_err(|error| StartError::Settings(error.to_string()))?;
        if let Some(store) = self.store.take() {
            let settings = self.settings.with_store(store);
            self.settings = settings.map_err(|problems| StartError::Settings(problems.to_string()))?;
        }
        let http = match self.http.take() {
            Some(http) => http,
            None => EarlyEndpoint::start(&self.settings).await?,
        };
        self.start_wait = http.wait().clone();
        self.settings.log_warnings(&self.router);
        self.telemetry = Telemetry::start(self.settings.trace_parent);
        self.observers.extend(self.telemetry.observer());
        self.sqs_client = self.sqs_client.clone().observed_by(self.of_the_process());
        if self.router.dead_job_hook().is_some() && !self.settings.dlq_watch.is_on {
            warn!(
                "a job whose worker is killed on the last receive is not reported to the dead job hook without dlq_watch = on"
            );
        }
        if self.settings.outbox_relay && !self.relays() {
            warn!(
                "outbox_relay has no effect with queues that the program itself serves: next jobs are sent before the mark"
            );
        }
        let descriptors = http.descriptors();
        check_descriptors(&self.settings, descriptors).map_err(StartError::Settings)?;
        self.watches.check().map_err(StartError::Settings)?;
        let mut shutdown = std::pin::pin!(shutdown);
        // Shared with the tasks that wait for missing queues.
        let consumer = Arc::new(self);
        let Started { claim_store, outbox, queues } = tokio::select! {
            started = Box::pin(consumer.start()) => started?,
            // Nothing has been received yet, so there is nothing to drain; a question that is dropped changes nothing.
            () = &mut shutdown => return Ok(Vec::new()),
        };
        let _refill = Refill::start(&consumer.limits, &claim_store);
        let statuses: Vec<_> =
            queues.iter().map(|queue| (queue.name.to_string(), Arc::clone(&queue.status))).collect();
        let to_protect = statuses.iter().map(|(_, status)| Arc::clone(status)).collect();
        let control = consumer.control(&queues, &claim_store);
        // Before anything is received.
        consumer.start_wait.begins("the orders in the store", None);
        let _follower = Follower::start(control.clone(), claim_store.store()).await;
        let names = statuses.iter().map(|(name, _)| name.clone()).collect();
        let _rereading = consumer.reread.clone().and_then(|read| {
            let (settings, limits) = (consumer.settings.clone(), consumer.limits.clone());
            Rereading::start(read, Reload { settings, limits, control: control.clone(), names, descriptors })
        });
        let grace = consumer.settings.shutdown_grace;
        let _protection =
            consumer.settings.task_protection.then(|| TaskProtection::start(to_protect, grace)).flatten();
        let _limit_watch = LimitWatch::new(consumer.limits.clone()).start();
        let readiness = Readiness::new(statuses, claim_store.answers()).with_limits(consumer.limits.clone());
        let depths = Depths::new(consumer.metrics.clone(), consumer.of_the_process());
        let limits = queues.iter().map(|queue| (queue.name.to_string(), queue.settings.gate));
        let gates = Gates::new(limits, depths.clone(), consumer.metrics.clone());
        let activity = Activity::new(readiness.clone(), control.clone(), depths.clone());
        let _activity_watch = activity.clone().watch();
        let grace = Grace::of(grace);
        let (stop, stopped) = watch::channel(false);
        http.show(Shown {
            metrics: consumer.metrics.clone(),
            depths: depths.clone(),
            gates,
            readiness: readiness.clone(),
            activity,
            store: Arc::clone(claim_store.store()),
            control: control.clone(),
        });
        let relay = outbox.map(|outbox| {
            depths.watch_outbox(Arc::clone(&outbox));
            InProcessRelay::start(outbox, consumer.settings.clone(), consumer.metrics.relay())
        });
        consumer.telemetry.export_metrics(&consumer.metrics, &depths);
        let emf = consumer.settings.emf.then(|| Emf::start(consumer.metrics.clone(), depths.clone()));
        let mut running = Vec::new();
        for StartedQueue { name, settings, status, found } in queues {
            let (mut stopping, mut stopped) = (stopped.clone(), stopped.clone());
            // The sender lives until every driver has ended, so waiting can only end with the stop.
            let shutdown = async move {
                drop(stopped.wait_for(|stop| *stop).await);
                grace
            };
            let (consumer, claim_store, depths) =
                (Arc::clone(&consumer), claim_store.clone(), depths.clone());
            let summary_name = name.to_string();
            let (orders, control) = (control.of_queue(&name), control.clone());
            let task = tokio::spawn(async move {
                let missing = async {
                    start_once_created(&name, || {
                        consumer.start_queue(&name, &settings, &status, &claim_store)
                    })
                    .await
                };
                let found = if let Some(found) = found {
                    found
                } else {
                    tokio::select! {
                        found = missing => found,
                        _ = stopping.wait_for(|stop| *stop) => return DrainSummary::default(),
                    }
                };
                status.set_missing(false);
                depths.add(found.probe);
                let mut driver = found.driver;
                if let Some(orders) = orders {
                    driver.follow_orders(orders);
                }
                control.starts(&name, driver.job_requests());
                driver.run(shutdown).await.summary
            });
            running.push((summary_name, task));
        }
        shutdown.await;
        readiness.drain();
        stop.send_replace(true);
        let mut summaries = Vec::new();
        for (name, driver) in running {
            let summary = driver.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            summaries.push((name, summary));
        }
        let stop = stop::stop(&consumer.watches, &claim_store, relay, emf.map(|emf| (emf, depths)));
        tokio::join!(stop, consumer.telemetry.flush(stop::AFTER_DRAIN));
        Ok(summaries)
    }

    /// The orders that these queues and the limits follow.
    fn control(&self, queues: &[StartedQueue], claim_store: &ClaimStoreClient) -> Control {
        let queues = queues.iter().map(|queue| ControlledQueue {
            name: queue.name.to_string(),
            concurrency: queue.settings.concurrency,
            status: Arc::clone(&queue.status),
        });
        let types: BTreeSet<String> = self.router.types().map(str::to_owned).collect();
        // Without types of its own, a router passes all on.
        let types = (!types.is_empty()).then_some(types);
        Control::new(claim_store.worker(), queues.collect(), self.limits.clone(), types)
    }

    async fn start(&self) -> Result<Started, StartError> {
        let claim_store = open_store(&self.settings, &self.of_the_process(), &self.start_wait).await?;
        Refill::check(&self.settings.limits, &claim_store).await.map_err(StartError::Settings)?;
        let outbox = if self.relays() {
            Some(open_outbox(&self.settings, &**claim_store.store(), &self.start_wait).await?)
        } else {
            None
        };
        if let Some(target) = &self.target {
            self.start_wait.begins("the application", None);
            target.check().await;
        }
        let (mut queues, mut missing) = (Vec::new(), None);
        let urls: Vec<_> = self.settings.queues.iter().map(|queue| &queue.url).collect();
        for (settings, name) in self.settings.queues.iter().zip(queue_labels(&urls)) {
            let status = Arc::new(QueueStatus::default());
            let found = match Box::pin(self.start_queue(&name, settings, &status, &claim_store)).await {
                Ok(found) => Some(found),
                Err(error) if is_missing(&error) => {
                    status.set_missing(true);
                    missing.get_or_insert(error);
                    None
                }
                Err(error) => return Err(error),
            };
            queues.push(StartedQueue { name, settings: settings.clone(), status, found });
        }
        if queues.iter().all(|queue| queue.found.is_none())
            && let Some(error) = missing
        {
            return Err(error);
        }
        for StartedQueue { name, .. } in queues.iter().filter(|queue| queue.found.is_none()) {
            let check_every_secs = MISSING_QUEUE_CHECK.as_secs();
            error!(queue = &**name, check_every_secs, "queue does not exist: consumed once it is created");
        }
        Ok(Started { claim_store, outbox, queues })
    }

    /// Returns true if next jobs are rows of the store's outbox, which this consumer relays. Queues at an endpoint of its own end with
    /// the program, and an outbox is shared with others: its jobs would be lost there.
    fn relays(&self) -> bool {
        self.settings.outbox_relay && self.endpoint.is_none()
    }

    /// The observer of what belongs to no queue.
    fn of_the_process(&self) -> Arc<dyn Observer> {
        let metrics: Arc<dyn Observer> = Arc::new(self.metrics.clone());
        Arc::new([vec![metrics], self.observers.clone()].concat())
    }

    /// The observer of a queue.
    fn for_queue(&self, name: &str, claim_store: &ClaimStoreClient) -> Arc<dyn Observer> {
        let logs: Arc<dyn Observer> =
            Arc::new(Logs::new(Some(claim_store)).with_job_log(self.settings.job_log));
        Arc::new([vec![self.metrics.queue(name), logs], self.observers.clone()].concat())
    }

    /// The rules by which letters are decoded. In forward mode a body without a type has one all the same.
    fn intake_of_letters(&self, intake: &Intake) -> Intake {
        let mut intake = intake.clone();
        if self.settings.forward_to.is_some() {
            intake.default_type.get_or_insert_with(|| Arc::from(RAW_TYPE));
        }
        intake
    }

    /// The way of the jobs that follow on the jobs of a queue.
    fn next_jobs(&self, queue_url: Url) -> NextJobRoute {
        let producer =
            || Arc::new(NextJobProducer::new(&self.settings, self.endpoint.clone(), &self.sqs_client));
        let sender = Arc::clone(self.next_jobs.get_or_init(producer));
        NextJobRoute { sender, queue_url, with_mark: self.relays() }
    }

    async fn start_queue(
        &self,
        name: &Arc<str>,
        settings: &QueueSettings,
        status: &Arc<QueueStatus>,
        claim_store: &ClaimStoreClient,
    ) -> Result<Loop, StartError> {
        let name = Arc::clone(name);
        let observer = self.for_queue(&name, claim_store);
        let clients = match &self.endpoint {
            Some(endpoint) => connect_at(endpoint, &settings.url, settings.wait_time).await,
            None => connect(&settings.url, settings.wait_time).await,
        };
        let clients = clients.map_err(StartError::Settings)?.by(&self.sqs_client);
        let failed = |error| StartError::Queue { queue: name.to_string(), error };
        self.start_wait.begins(format!("the queue {name}"), None);
        let found = with_retry(&self.start_wait, &name, "queue", || resolve(&clients, &settings.url)).await;
        let url = found.map_err(failed)?;
        let settings = &QueueSettings { url, ..settings.with_types_of(&self.router) };
        let queue = AwsQueue::new(clients.clone(), settings.url.to_string(), Arc::clone(&observer));
        let facts =
            describe_with_retry(&self.start_wait, &name, || queue.describe()).await.map_err(failed)?;
        let region = clients.config.region().map(ToString::to_string);
        let scope = default_scope(settings, facts.arn.as_deref(), region.as_deref());
        let scope = scope.map_err(StartError::Settings)?;
        let store = &self.settings.store;
        let policy = Policy {
            crash_evidence: store.crash_evidence(),
            ..settings.policy(&name, store.outage, Some(&facts))
        };
        let limits = settings.retry_limits(Some(&facts));
        check_dead_letter_queue(&name, settings, &policy, &facts, &queue, &self.start_wait).await?;
        warn_of_settings(&name, settings, &facts, &self.settings.limits, self.settings.shutdown_grace);
        info!(
            queue = &*name,
            scope = &*scope,
            store = %store.location,
            concurrency = policy.concurrency,
            lease_secs = policy.lease.as_secs(),
            fifo = policy.fifo,
            max_receive_count = facts.redrive.as_ref().map(|redrive| redrive.max_receive_count),
            retry = %policy.retry,
            waits = waits(&policy.retry, &limits),
            "consuming"
        );
        let dead_letter_arn = facts.redrive.map(|redrive| redrive.dead_letter_target_arn);
        let intake = intake(settings, scope, self.settings.legacy_records);
        let watch = dead_letter_arn.clone().and_then(|arn| {
            let (clients, store) = (clients.clone(), Arc::clone(claim_store.store()));
            let intake = self.intake_of_letters(&intake);
            let hook = self.router.dead_job_hook().cloned();
            let dead_jobs = hook.map(|hook| DeadJobs::new(hook, Some(Arc::clone(&store))));
            self.watches.add(Watched {
                arn,
                clients,
                intake,
                store,
                dead_jobs,
                observer: self.of_the_process(),
            })
        });
        let observer = watch.map_or(Arc::clone(&observer), |watch| Arc::new(vec![observer, watch]));
        let probe = DepthProbe {
            queue: name.to_string(),
            client: clients.calls,
            queue_url: settings.url.to_string(),
            dead_letter_arn,
        };
        let payloads = Payloads::new(self.settings.payloads.clone(), clients.config);
        let queue = Arc::new(queue.receiving(settings.wait_time, policy.lease));
        let queue = self.telemetry.trace_queue(queue, &name, &settings.url);
        let mut ledger =
            Ledger::new(policy).map_err(|error| StartError::Settings(format!("{name}: {error}")))?;
        if let Some(slots) = &self.slots {
            ledger.join_pool(slots.join(&name, settings.slot_rules()));
        }
        let mut driver = Driver::new(DriverConfig {
            name,
            intake: Arc::new(intake),
            ledger,
            queue,
            router: Arc::clone(&self.router),
            observer,
            status: Arc::clone(status),
            claim_store: Some(claim_store.clone()),
            payloads,
            next_jobs: Some(self.next_jobs(settings.url.clone())),
            limits: Some(self.limits.clone()),
            handlers: self.handlers.clone().unwrap_or_else(Handle::current),
        });
        if let Some(target) = &self.target {
            driver.watch_target(target.clone());
        }
        Ok(Loop { driver, probe })
    }
}

/// The parts that have been started.
struct Started {
    claim_store: ClaimStoreClient,
    /// The outbox of the store, if the consumer relays it.
    outbox: Option<Arc<dyn Outbox>>,
    queues: Vec<StartedQueue>,
}

/// A queue of the settings at the end of the start.
struct StartedQueue {
    name: Arc<str>,
    settings: QueueSettings,
    status: Arc<QueueStatus>,
    /// `None` if the queue does not exist.
    found: Option<Loop>,
}

/// A queue that is ready to be consumed.
struct Loop {
    driver: Driver,
    probe: DepthProbe,
}
