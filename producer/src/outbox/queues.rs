//! The queues of jobs in an outbox.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline_runtime::aws::{explain, is_aws_host, name_of, queue_url, resolve};
use drumline_runtime::{SqsError, SqsErrorKind};
use drumline_store::outbox::{OutboxJob, TakenJob};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use url::Url;

use super::judgement::class;
use super::observer::FailureClass;
use crate::connect_error::ConnectError;
use crate::routes::Routes;
use crate::target_queue::TargetQueue;

/// The largest number of queues that are remembered by the texts that name them.
const MAX_NAMED: usize = 1_000;

/// The number of concurrent lookups.
const AT_ONCE: usize = 20;

/// The time limit for all lookups of a take; the take's other jobs wait meanwhile.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The time until a failed lookup is repeated.
const AGAIN: Duration = Duration::from_secs(10);

/// The reason why the queue of a job is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoQueue {
    /// The job names no usable queue, and its type has none.
    Refused(String),
    /// The queue cannot be looked up now.
    NotNow(FailureClass),
}

/// The queues of jobs: by type according to the settings, and by the texts that name them.
pub(super) struct Queues {
    routes: Arc<Routes>,
    named: Mutex<HashMap<String, Named>>,
}

/// The known facts about a text.
#[derive(Clone)]
enum Named {
    Found(TargetQueue),
    Refused(String),
    Failed(Instant, FailureClass),
}

impl Queues {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self { routes, named: Mutex::default() }
    }

    /// Looks up the queues that jobs name and that are not known yet, within a time limit.
    pub(super) async fn look_up(&self, jobs: &[TakenJob]) {
        let texts: BTreeSet<&str> = jobs.iter().filter_map(|taken| named(&taken.job)).collect();
        {
            let mut known = self.named();
            if known.len() >= MAX_NAMED {
                known.clear();
            }
        }
        let unknown: Vec<&str> = texts.into_iter().filter(|text| !self.is_known(text)).collect();
        if unknown.is_empty() {
            return;
        }
        let looking_up = stream::iter(&unknown).for_each_concurrent(AT_ONCE, |text| async move {
            let found = self.find(text).await;
            self.note(text, found);
        });
        if timeout(LOOK_UP, looking_up).await.is_err() {
            for text in unknown.into_iter().filter(|text| !self.is_known(text)) {
                let reason = format!("SQS has not answered within {} s", LOOK_UP.as_secs());
                self.note(text, Err(Problem::NotNow(SqsError::new(SqsErrorKind::Unreachable, reason))));
            }
        }
    }

    /// Returns the queue of a job. A named queue must have been looked up.
    pub(super) fn queue_of(&self, job: &OutboxJob) -> Result<TargetQueue, NoQueue> {
        let Some(text) = named(job) else {
            return self.routes.queue_of(&job.job_type).map_err(|refusal| NoQueue::Refused(refusal.reason));
        };
        match self.named().get(text) {
            Some(Named::Found(queue)) => Ok(queue.clone()),
            Some(Named::Refused(reason)) => Err(NoQueue::Refused(reason.clone())),
            Some(Named::Failed(_, class)) => Err(NoQueue::NotNow(*class)),
            None => Err(NoQueue::NotNow(FailureClass::Unreachable)),
        }
    }

    fn named(&self) -> MutexGuard<'_, HashMap<String, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known(&self, text: &str) -> bool {
        match self.named().get(text) {
            Some(Named::Found(_) | Named::Refused(_)) => true,
            Some(Named::Failed(at, _)) => at.elapsed() < AGAIN,
            None => false,
        }
    }

    /// Records the result of a lookup. Logs the first failure and the recovery.
    fn note(&self, text: &str, found: Result<TargetQueue, Problem>) {
        let has_failed = matches!(self.named().get(text), Some(Named::Failed(..)));
        let named = match found {
            Ok(queue) => {
                if has_failed {
                    info!(queue = text, "queue of outbox jobs found");
                }
                Named::Found(self.routes.set_up(queue))
            }
            Err(Problem::Refused(reason)) => Named::Refused(reason),
            Err(Problem::NotNow(error)) => {
                if !has_failed {
                    warn!(queue = text, %error, "queue of outbox jobs not found: look-up is repeated");
                }
                Named::Failed(Instant::now(), class(&error))
            }
        };
        self.named().insert(text.to_owned(), named);
    }

    async fn find(&self, text: &str) -> Result<TargetQueue, Problem> {
        let url = queue_url(text).map_err(Problem::Refused)?;
        let is_meant = |queue: &&TargetQueue| match name_of(&url) {
            Some(name) => queue.name() == name,
            None => queue.url() == url.as_str(),
        };
        if let Some(queue) = self.routes.queues().find(is_meant) {
            return Ok(queue.clone());
        }
        self.check_host(&url)?;
        self.ask(&url).await
    }

    /// Refuses hosts other than AWS's and those in the settings: a program that can add jobs must not choose where signed
    /// requests are sent.
    fn check_host(&self, url: &Url) -> Result<(), Problem> {
        let origin = url.origin();
        let is_known = || {
            let set = self.routes.urls.iter().any(|of| of.origin() == origin);
            set || self
                .routes
                .queues()
                .any(|queue| Url::parse(queue.url()).is_ok_and(|of| of.origin() == origin))
        };
        // A queue's name is looked up on the host of the first queue in the settings.
        let is_secure = url.scheme() == "https" || name_of(url).is_some();
        if (is_aws_host(url) && is_secure) || is_known() {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(Problem::Refused(format!(
            "{host} is no host of AWS by https, and no queue of the settings is there: add one under [queue_by_type]"
        )))
    }

    async fn ask(&self, url: &Url) -> Result<TargetQueue, Problem> {
        let Some((clients, connections)) = &self.routes.connections else {
            let client = self.routes.client.clone();
            let Some(name) = name_of(url) else { return Ok(TargetQueue::new(client, url.to_string())) };
            let reply = client.get_queue_url().queue_name(name).send().await;
            let reply = reply.map_err(|error| Problem::NotNow(explain("GetQueueUrl", &error)))?;
            return Ok(TargetQueue::new(client, reply.queue_url.unwrap_or_default()));
        };
        if name_of(url).is_some() {
            let url = resolve(clients, url).await.map_err(Problem::NotNow)?;
            return Ok(TargetQueue::connected(clients.clone(), url.into()));
        }
        connections.queue(url).await.map_err(|error| {
            Problem::NotNow(match error {
                ConnectError::Queue(error) => error,
                other => SqsError::new(SqsErrorKind::Other, other.to_string()),
            })
        })
    }
}

/// Returns the text with which a job names its queue.
fn named(job: &OutboxJob) -> Option<&str> {
    job.queue.as_deref().filter(|text| !text.is_empty())
}

/// The reason why a text names no queue.
enum Problem {
    Refused(String),
    NotNow(SqsError),
}
