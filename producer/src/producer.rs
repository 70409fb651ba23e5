//! The producer: jobs by their types, into the queues of the types.

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

/// Sends jobs. Cheap to clone; one for a process is enough.
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
    /// Sets up a producer by the settings of this process: `DRUMLINE_QUEUE_URL` names the queue, `[queue_by_type]` in the file that
    /// `DRUMLINE_CONFIG` names those of single job types, and AWS's own variables the region and the credentials.
    ///
    /// # Errors
    /// If a setting cannot be used, with a text for the operator. SQS is asked only for a queue that is given by its name.
    pub async fn connect() -> Result<Self, ConnectError> {
        Self::from_settings(&connect::settings_of_process()?).await
    }

    /// Sets up a producer by settings that are read already, such as those of a worker that sends jobs too.
    ///
    /// # Errors
    /// If no queue is set, or AWS's own settings cannot be used.
    pub async fn from_settings(settings: &Settings) -> Result<Self, ConnectError> {
        Ok(Self { routes: Arc::new(connect::routes(settings).await?) })
    }

    /// A producer with a client of one's own, for the queue at this URL. The client should not retry by itself
    /// (`RetryConfig::disabled()`): the producer does, and knows which messages SQS has taken.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        let others = Others::To(TargetQueue::new(client.clone(), queue_url.into()));
        Self { routes: Arc::new(Routes::new(client, others)) }
    }

    /// Sends jobs of a type to the queue at this URL, by the client of the producer's first queue.
    pub fn queue_for(self, job_type: impl Into<String>, queue_url: impl Into<String>) -> Self {
        self.with(|routes| {
            let queue = TargetQueue::new(routes.client.clone(), queue_url.into());
            routes.by_type.insert(job_type.into(), queue);
        })
    }

    /// Sets the reaction to a lost answer of SQS, after which a message may be in the queue. The default sends it again: a FIFO queue
    /// drops the second one, and a standard queue has it twice, which workers with a store run once, since both have one job id.
    pub fn in_doubt(self, in_doubt: InDoubt) -> Self {
        self.with(|routes| routes.in_doubt = in_doubt)
    }

    /// Sets the guards that payloads pass before they are sent. The default refuses secrets, and logs a warning of all other findings, once
    /// a type and field; [`from_settings`](Self::from_settings) has those of the settings `guards` and `guard_allow`.
    pub fn guards(self, guards: Guards) -> Self {
        self.with(|routes| routes.check_by(Checks::new(guards)))
    }

    /// Compresses the bodies of large messages, or puts them into S3: the settings `payload_bucket` and `payload_compression` of a
    /// producer that is not set up by settings.
    pub fn payload_store(self, store: PayloadStore) -> Self {
        self.with(|routes| routes.offload_to(store))
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    /// Sets the outbox in which jobs wait that are due [later](SendJob::at), or that are [unique](SendJob::unique): the setting
    /// `outbox_url` of a producer that is not set up by settings. A relay (`drumline outbox run`) sends them.
    pub fn outbox(self, outbox: Arc<dyn Outbox>) -> Self {
        self.with(|routes| routes.places.outbox = Some(OutboxServer::given(outbox)))
    }

    /// Sets the store of the workers, which knows what is done, for jobs that are unique [until then](crate::Unique::until_done): the
    /// setting `store_url` of a producer that is not set up by settings.
    pub fn store(self, store: Arc<dyn Store>) -> Self {
        self.with(|routes| routes.places.store = Some(StoreServer::given(store)))
    }

    /// Has jobs that are due [later](SendJob::at) wait with EventBridge Scheduler, also if there is an outbox. Unique jobs need an outbox all
    /// the same.
    #[cfg(feature = "scheduler")]
    pub fn scheduler(self, scheduler: crate::scheduler::EventBridgeScheduler) -> Self {
        self.with(|routes| routes.places.scheduler = Some(scheduler))
    }

    fn with(mut self, change: impl FnOnce(&mut Routes)) -> Self {
        change(Arc::make_mut(&mut self.routes));
        self
    }

    /// Begins to send a job: options follow, and awaiting it sends it.
    pub fn send<J: Job + Serialize>(&self, job: &J) -> SendJob {
        SendJob::new(Arc::clone(&self.routes), job)
    }

    /// Begins to send many jobs, of one type or of several: `producer.send_all(jobs.iter().map(|job| producer.send(job)))`. Awaiting it
    /// sends them, ten to a request.
    ///
    /// Each job stands for itself: one that is refused or not taken holds up no other. Only in a FIFO queue later jobs of its group are
    /// not sent either: they would run before it. Two kinds of later jobs are sent all the same: those that were in one request with a
    /// job that SQS has not taken, and those after a job that was refused because its queue is not known, or its group missing or not
    /// allowed, so that it belongs to no group. The error names each job that was not sent.
    pub fn send_all(&self, jobs: impl IntoIterator<Item = SendJob>) -> SendAll {
        SendAll { jobs: jobs.into_iter().collect(), within: None }
    }

    /// Checks a job and makes its message, without sending it.
    ///
    /// # Errors
    /// If SQS would refuse the message, or no worker could read it.
    pub fn prepare<J: Job + Serialize>(&self, job: &J) -> Result<Prepared, ProduceError> {
        self.send(job).prepare()
    }

    /// Sends jobs that are prepared, or puts those that wait into the outbox. Sent again, they are the same jobs: use it after a [`PartialFailure`].
    ///
    /// # Errors
    /// If some jobs were not sent.
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
