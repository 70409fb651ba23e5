//! The queues of jobs in an outbox.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline_runtime::aws::{explain, is_aws_host, name_of, queue_url, resolve};
use drumline_runtime::{SqsError, SqsErrorKind};
use drumline_store::outbox::OutboxJob;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use url::Url;

use super::judgement::class;
use super::observer::FailureClass;
use crate::connections::ConnectError;
use crate::routes::Routes;
use crate::target_queue::TargetQueue;

/// The most queues that are remembered by the texts that name them.
const MAX_NAMED: usize = 1_000;

/// The longest wait for a look-up, for which the other jobs of a take wait too.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The time until a look-up that failed is made again.
const AGAIN: Duration = Duration::from_secs(10);

/// The reason for which the queue of a job is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoQueue {
    /// The job names none that can be used, and its type has none.
    Refused(String),
    /// It cannot be looked up at present.
    NotNow(FailureClass),
}

/// The queues of jobs: by type, as the settings have them, and by the texts that name them.
pub(super) struct Queues {
    routes: Arc<Routes>,
    named: Mutex<HashMap<String, Named>>,
}

#[derive(Clone)]
enum Named {
    Found(TargetQueue),
    Failed(Instant, FailureClass),
}

impl Queues {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self { routes, named: Mutex::default() }
    }

    /// Returns the queue of a job.
    pub(super) async fn queue_of(&self, job: &OutboxJob) -> Result<TargetQueue, NoQueue> {
        let Some(text) = job.queue.as_deref().filter(|text| !text.is_empty()) else {
            return self.routes.queue_of(&job.job_type).map_err(|refusal| NoQueue::Refused(refusal.reason));
        };
        let before = self.named.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        match before {
            Some(Named::Found(queue)) => return Ok(queue),
            Some(Named::Failed(at, class)) if at.elapsed() < AGAIN => return Err(NoQueue::NotNow(class)),
            _ => {}
        }
        let found = self.find(text).await.map(|queue| self.routes.set_up(queue));
        let named = match &found {
            Ok(queue) => {
                if before.is_some() {
                    info!(queue = text, "queue of outbox jobs found");
                }
                Named::Found(queue.clone())
            }
            Err(Problem::NotNow(error)) => {
                if before.is_none() {
                    warn!(queue = text, %error, "queue of outbox jobs not found: look-up is repeated");
                }
                Named::Failed(Instant::now(), class(error))
            }
            Err(Problem::Refused(reason)) => return Err(NoQueue::Refused(reason.clone())),
        };
        let mut all = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_NAMED {
            all.clear();
        }
        all.insert(text.to_owned(), named);
        drop(all);
        found.map_err(|problem| match problem {
            Problem::Refused(reason) => NoQueue::Refused(reason),
            Problem::NotNow(error) => NoQueue::NotNow(class(&error)),
        })
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
        timeout(LOOK_UP, self.look_up(&url)).await.unwrap_or_else(|_| {
            let text = format!("SQS has not answered within {} s", LOOK_UP.as_secs());
            Err(Problem::NotNow(SqsError::new(SqsErrorKind::Unreachable, text)))
        })
    }

    /// Refuses hosts that are neither AWS's nor those of the settings: whoever may add jobs must not choose where signed requests go.
    fn check_host(&self, url: &Url) -> Result<(), Problem> {
        let origin = url.origin();
        let is_known = || {
            let set = self.routes.urls.iter().any(|of| of.origin() == origin);
            set || self
                .routes
                .queues()
                .any(|queue| Url::parse(queue.url()).is_ok_and(|of| of.origin() == origin))
        };
        if is_aws_host(url) || is_known() {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(Problem::Refused(format!(
            "{host} is no host of AWS, and no queue of the settings is there: add one under [queue_by_type]"
        )))
    }

    async fn look_up(&self, url: &Url) -> Result<TargetQueue, Problem> {
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

/// The reason for which a text names no queue.
enum Problem {
    Refused(String),
    NotNow(SqsError),
}
