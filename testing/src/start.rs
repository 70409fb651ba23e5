//! Starts a local queue with its settings.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use drumline::Router;
use drumline::core::{Ledger, Policy};
use drumline::run::Observer;
use drumline_producer::Checks;
use drumline_queue::InProcess;
use drumline_runtime::aws::{QueueFacts, Redrive};
use drumline_runtime::{SETTINGS, Settings, default_scope, intake};
use drumline_store::{MemoryStore, Store};

use crate::embedded_queue::EmbeddedQueue;
use crate::local_queue::LocalQueue;
use crate::next_jobs::NextJobs;
use crate::recorder::Recorder;
use crate::worker::WorkerParts;

/// The default `maxReceiveCount` of the queue, the same as in `drumline dev`.
const MAX_RECEIVES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");

/// The settings that a local queue sets itself.
const OWN_SETTINGS: [&str; 2] = ["queue_url", "store_url"];

/// A local queue that is not started yet. Awaiting it starts it.
///
/// ```
/// use drumline_testing::LocalQueue;
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
/// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Err(Failure::retry("no answer")) }
/// # fn router() -> Router { Router::new().handle(welcome) }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalQueue::start(router()).setting("retry", "schedule(1m,5m)").max_receive_count(3).await;
/// local.send(&Welcome { user_id: 7 });
/// local.until_idle().await;
/// assert_eq!(local.runs().len(), 3);
/// # }
/// ```
#[must_use = "a local queue is started when it is awaited"]
pub struct Start {
    router: Router,
    settings: BTreeMap<String, String>,
    max_receive_count: NonZeroU32,
    fifo: bool,
    observers: Vec<Arc<dyn Observer>>,
    store: Option<Arc<dyn Store>>,
}

impl LocalQueue {
    /// Returns a queue with a DLQ and a `maxReceiveCount` of 5, and a worker with this router. Await it to start both.
    ///
    /// # Panics
    /// When it is awaited, if no host would start with the router or the settings.
    pub fn start(router: Router) -> Start {
        Start::new(router)
    }
}

impl Start {
    fn new(router: Router) -> Self {
        Self {
            router,
            settings: BTreeMap::new(),
            max_receive_count: MAX_RECEIVES,
            fifo: false,
            observers: Vec::new(),
            store: None,
        }
    }

    /// Sets a setting of the worker by its key in the settings file, such as `handler_timeout`. The environment is not read.
    /// Delays have no jitter unless `retry_jitter` is set.
    ///
    /// # Panics
    /// If there is no such setting, or if the local queue sets it itself: the URLs of the queue and of the store.
    #[track_caller]
    pub fn setting(mut self, key: &str, value: impl Into<String>) -> Self {
        let is_known = SETTINGS.iter().any(|setting| setting.key == key);
        assert!(is_known, "there is no setting {key:?}: `drumline config` lists all");
        assert!(!OWN_SETTINGS.contains(&key), "a local queue has its own {key}");
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// Sets `maxReceiveCount` of the redrive policy: after this many receives SQS moves a message to the DLQ. The default is 5.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn max_receive_count(self, most: u32) -> Self {
        let max_receive_count = NonZeroU32::new(most).expect("maxReceiveCount starts at 1");
        Self { max_receive_count, ..self }
    }

    /// Makes the queue and its DLQ FIFO queues.
    pub fn fifo(self) -> Self {
        Self { fifo: true, ..self }
    }

    /// Adds an observer of the worker, as [`Consumer::observer`](https://docs.rs/drumline-consumer) does.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets the store of claims and histories. The default is a store in memory. A worker that replaces another one uses the
    /// same store.
    pub fn store(self, store: Arc<dyn Store>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Starts the queue and the worker on the current runtime.
    #[track_caller]
    fn start(self) -> LocalQueue {
        if let Err(error) = self.router.check() {
            panic!("no host starts with this router:\n{error}");
        }
        let (name, dead_letter_name) =
            if self.fifo { ("jobs.fifo", "jobs-dlq.fifo") } else { ("jobs", "jobs-dlq") };
        let queues = InProcess::start();
        let endpoint = queues.endpoint();
        let most = self.max_receive_count.get();
        let urls = endpoint.create_queue_with_dead_letters(name, dead_letter_name, most);
        let (url, dead_letter_url) = urls.expect("both names are free and valid");
        let (settings, store) = settings(self.settings, &url, self.store);
        let of_queue = settings.queues[0].with_types_of(&self.router);
        let (arn, dead_letter_arn) =
            endpoint.call(|sqs, _| (sqs.queue_arn(name), sqs.queue_arn(dead_letter_name)));
        let redrive = Redrive { dead_letter_target_arn: dead_letter_arn, max_receive_count: most };
        let facts = QueueFacts {
            arn: Some(arn),
            redrive: Some(redrive),
            redrive_is_known: true,
            ..QueueFacts::unreadable()
        };
        let policy = Policy {
            crash_evidence: settings.store.crash_evidence(),
            ..of_queue.policy(name, settings.store.outage, Some(&facts))
        };
        if let Err(error) = Ledger::new(policy.clone()) {
            panic!("no worker starts with these settings: {error}");
        }
        let scope = default_scope(&of_queue, facts.arn.as_deref(), None).expect("the queue has an ARN");
        let intake = intake(&of_queue, scope, settings.legacy_records);
        let recorder = Arc::<Recorder>::default();
        let next_jobs =
            NextJobs { endpoint: endpoint.clone(), checks: Checks::from_settings(&settings.guards) };
        let next_jobs = next_jobs.of_queue(&url);
        let (endpoint, wait_time, lease) = (endpoint.clone(), of_queue.wait_time, policy.lease);
        let (of_worker, to_dead) = (Arc::clone(&recorder), dead_letter_url.clone());
        let queue_url = url.clone();
        let queue = Box::new(move |killed| EmbeddedQueue {
            endpoint: endpoint.clone(),
            url: queue_url.clone(),
            dead_letter_url: to_dead.clone(),
            wait_time,
            lease,
            recorder: Arc::clone(&of_worker),
            killed,
        });
        let parts = WorkerParts {
            name: name.into(),
            router: Arc::new(self.router),
            policy,
            intake: Arc::new(intake),
            grace: settings.shutdown_grace,
            store,
            observers: self.observers,
            recorder,
            next_jobs,
            queue,
        };
        LocalQueue::with_worker(queues, url, dead_letter_url, parts)
    }
}

/// Reads the settings of the worker on the queue at this URL, and sets their store: this one, or one in memory.
#[track_caller]
fn settings(
    mut given: BTreeMap<String, String>,
    url: &str,
    store: Option<Arc<dyn Store>>,
) -> (Settings, Arc<dyn Store>) {
    given.insert("queue_url".to_owned(), url.to_owned());
    given.entry("retry_jitter".to_owned()).or_insert_with(|| "none".to_owned());
    let settings = Settings::read(&given, |_| None, None).and_then(|settings| {
        let keep = settings.store.keep;
        let store = store.unwrap_or_else(|| Arc::new(MemoryStore::new("local".into(), keep)));
        Ok((settings.with_store(Arc::clone(&store))?, store))
    });
    settings.unwrap_or_else(|problems| panic!("no worker starts with these settings: {problems}"))
}

impl IntoFuture for Start {
    type Output = LocalQueue;
    type IntoFuture = Pin<Box<dyn Future<Output = LocalQueue> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start() })
    }
}
