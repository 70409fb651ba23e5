//! The producer, which sends jobs to the queues of their types.

use std::fmt;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use drumline::Job;
use drumline_contract::guards::Guards;
use drumline_runtime::Settings;
use drumline_store::Store;
use drumline_store::outbox::Outbox;
use serde::Serialize;

use crate::check::Checks;
use crate::connect;
use crate::connect_error::ConnectError;
use crate::dispatch::{Entry, dispatch};
use crate::error::ProduceError;
use crate::later::{OutboxServer, StoreServer};
use crate::partial_failure::PartialFailure;
use crate::payload::PayloadStore;
use crate::prepared::Prepared;
use crate::receipt::Receipt;
use crate::routes::{Others, Routes};
use crate::send::InDoubt;
use crate::send_all::SendAll;
use crate::send_job::SendJob;
use crate::target_queue::TargetQueue;

/// Sends jobs. Cheap to clone; a process needs only one.
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::Producer;
/// # use drumline::Job;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Welcome { user_id: u64 }
///
/// impl Job for Welcome {
///     const TYPE: &'static str = "email.welcome";
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let producer = Producer::connect().await?;
/// let receipt = producer.send(&Welcome { user_id: 7 }).delay(Duration::from_secs(60)).await?;
/// println!("job {} is in {}", receipt.job_id, receipt.queue);
///
/// let users = (1..=1000).map(|user_id| Welcome { user_id });
/// producer.send_all(users.map(|job| producer.send(&job))).spread(Duration::from_secs(600)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Producer {
    routes: Arc<Routes>,
}

impl Producer {
    /// Creates a producer with the settings of this process: `DRUMLINE_QUEUE_URL` names the queue, `[queue_by_type]` in the
    /// file that `DRUMLINE_CONFIG` names sets the queues of single job types, and AWS's own variables set the region and the
    /// credentials.
    ///
    /// # Errors
    ///
    /// Returns an error text for the operator if a setting is invalid. SQS is asked only for a queue that is given by its name.
    pub async fn connect() -> Result<Self, ConnectError> {
        Self::from_settings(&connect::settings_of_process()?).await
    }

    /// Creates a producer with settings that are already read, such as those of a worker that also sends jobs.
    ///
    /// # Errors
    ///
    /// Returns an error if no queue is set, or if AWS's own settings are invalid.
    pub async fn from_settings(settings: &Settings) -> Result<Self, ConnectError> {
        Ok(Self { routes: Arc::new(connect::routes(settings).await?) })
    }

    /// Creates a producer with a given client, for the queue at this URL. The client should not retry
    /// (`RetryConfig::disabled()`): the producer retries, and knows which messages SQS has accepted.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        let others = Others::To(TargetQueue::new(client.clone(), queue_url.into()));
        Self { routes: Arc::new(Routes::new(client, others)) }
    }

    /// Sends jobs of a type to the queue at this URL, with the client of the producer's first queue.
    pub fn queue_for(self, job_type: impl Into<String>, queue_url: impl Into<String>) -> Self {
        self.with(|routes| {
            let queue = TargetQueue::new(routes.client.clone(), queue_url.into());
            routes.by_type.insert(job_type.into(), queue);
        })
    }

    /// Sets the reaction to a lost response of SQS, after which a message may be in the queue. By default it is sent again: a
    /// FIFO queue drops the duplicate; a standard queue then contains it twice, and workers with a store run it once, because
    /// both copies have one job id.
    pub fn in_doubt(self, in_doubt: InDoubt) -> Self {
        self.with(|routes| routes.in_doubt = in_doubt)
    }

    /// Sets the guards that check payloads before they are sent. By default they refuse secrets, and log a warning for all
    /// other findings, once per type and field; [`from_settings`](Self::from_settings) uses the settings `guards` and
    /// `guard_allow`.
    pub fn guards(self, guards: Guards) -> Self {
        self.with(|routes| routes.check_by(Checks::new(guards)))
    }

    /// Compresses the bodies of large messages, or puts them into S3. It corresponds to the settings `payload_bucket` and
    /// `payload_compression`, for a producer without settings.
    pub fn payload_store(self, store: PayloadStore) -> Self {
        self.with(|routes| routes.offload_to(store))
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    /// Sets the outbox for jobs that are due [later](SendJob::at) or that are [unique](SendJob::unique). It corresponds to the
    /// setting `outbox_url`, for a producer without settings. A relay (`drumline outbox run`) sends them.
    pub fn outbox(self, outbox: Arc<dyn Outbox>) -> Self {
        self.with(|routes| routes.places.outbox = Some(OutboxServer::given(outbox)))
    }

    /// Sets the store of the workers, which records done jobs, for jobs that are unique [until
    /// then](crate::Unique::until_done). It corresponds to the setting `store_url`, for a producer without settings.
    pub fn store(self, store: Arc<dyn Store>) -> Self {
        self.with(|routes| routes.places.store = Some(StoreServer::given(store)))
    }

    /// Lets jobs that are due [later](SendJob::at) wait with EventBridge Scheduler, even if there is an outbox. Unique jobs
    /// still need an outbox.
    #[cfg(feature = "scheduler")]
    pub fn scheduler(self, scheduler: crate::scheduler::EventBridgeScheduler) -> Self {
        self.with(|routes| routes.places.scheduler = Some(scheduler))
    }

    fn with(mut self, change: impl FnOnce(&mut Routes)) -> Self {
        change(Arc::make_mut(&mut self.routes));
        self
    }

    /// Begins to send a job. Options follow, and awaiting the value sends the job.
    pub fn send<J: Job + Serialize>(&self, job: &J) -> SendJob {
        SendJob::new(Arc::clone(&self.routes), job)
    }

    /// Begins to send many jobs, of one type or of several: `producer.send_all(jobs.iter().map(|job| producer.send(job)))`.
    /// Awaiting the value sends them, ten per request.
    ///
    /// Each job has its own result: a job that is refused or not accepted does not block others. Only in a FIFO queue, later
    /// jobs of its group are not sent either, because they would run before it. Two kinds of later jobs are sent anyway: those
    /// in the same request as a job that SQS has not accepted, and those after a job that was refused because its queue is
    /// unknown or its group is missing or not allowed, so that it belongs to no group. The error names each job that was not
    /// sent.
    pub fn send_all(&self, jobs: impl IntoIterator<Item = SendJob>) -> SendAll {
        SendAll { jobs: jobs.into_iter().collect(), within: None }
    }

    /// Checks a job and creates its message without sending it.
    ///
    /// # Errors
    ///
    /// Returns an error if SQS would refuse the message, or if no worker could read it.
    pub fn prepare<J: Job + Serialize>(&self, job: &J) -> Result<Prepared, ProduceError> {
        self.send(job).prepare()
    }

    /// Sends prepared jobs, or adds those that wait to the outbox. If they are sent again, they are the same jobs: use it after
    /// a [`PartialFailure`].
    ///
    /// # Errors
    ///
    /// Returns an error if some jobs were not sent.
    pub async fn send_prepared(
        &self,
        jobs: impl IntoIterator<Item = Prepared>,
    ) -> Result<Vec<Receipt>, PartialFailure> {
        let entry = |job: Prepared| Entry { job_type: job.outgoing.job_type.clone(), prepared: Ok(job) };
        let entries = jobs.into_iter().map(entry).collect();
        dispatch(entries).await
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(&self.routes).finish()
    }
}
