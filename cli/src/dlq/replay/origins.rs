//! The queues to which letters may be sent: the sources of the DLQ, or the queue that the operator names.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use drumline_consumer::ExitError;
use drumline_dlq::Letter;
use drumline_dlq::origin::{NoOrigin, Sources, origin};
use drumline_runtime::aws::{explain, is_fifo, queue_name, queue_url};

use crate::connection::connect_to;
use crate::dlq::queue::DeadLetterQueue;

/// The number of queues in one page. Without a page size, SQS returns no token for further pages.
const PAGE: i32 = 1_000;

/// A queue to which letters may be sent.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: Arc<str>,
    pub(super) client: Client,
    pub(super) is_fifo: bool,
}

/// The queues to which letters may be sent.
#[derive(Debug)]
pub(super) struct Origins {
    to: Option<Target>,
    sources: Sources,
    targets: Vec<Target>,
}

impl Origins {
    /// Returns the queue that `--to` names, otherwise the sources of the DLQ.
    pub(super) async fn find(queue: &DeadLetterQueue, to: Option<&str>) -> Result<Self, ExitError> {
        let Some(to) = to else {
            let urls = sources(queue).await?;
            let targets = urls.iter().map(|url| target(url, &queue.clients.calls)).collect();
            return Ok(Self {
                to: None,
                sources: Sources::new(queue.arn.as_deref().unwrap_or_default(), urls),
                targets,
            });
        };
        let url = queue_url(to).map_err(|error| ExitError::usage(format!("--to: {error}")))?;
        let (clients, url) = connect_to(&url, Duration::ZERO).await?;
        let target = target(url.as_str(), &clients.calls);
        if *target.url == queue.url {
            return Err(ExitError::usage("--to names the DLQ itself"));
        }
        if target.is_fifo != is_fifo(&queue.name) {
            return Err(ExitError::usage(format!(
                "--to: one of {} and {} is a FIFO queue, and the other is not",
                queue_name(&target.url),
                queue.name
            )));
        }
        Ok(Self {
            to: Some(target),
            sources: Sources::new(queue.arn.as_deref().unwrap_or_default(), []),
            targets: Vec::new(),
        })
    }

    /// Returns the queue of a letter.
    ///
    /// # Errors
    ///
    /// Returns an error if no queue is known to which the letter may be sent.
    pub(super) fn of(&self, letter: &Letter) -> Result<&Target, NoOrigin> {
        let to = self.to.as_ref().map(|target| &*target.url);
        let url = origin(letter, &self.sources, to)?;
        self.with_url(url).ok_or_else(|| NoOrigin::NotAllowed(url.to_owned()))
    }

    /// Returns the queue with this URL.
    pub(super) fn with_url(&self, url: &str) -> Option<&Target> {
        self.to.iter().chain(&self.targets).find(|target| *target.url == *url)
    }
}

fn target(url: &str, client: &Client) -> Target {
    Target { url: Arc::from(url), client: client.clone(), is_fifo: is_fifo(url) }
}

/// Returns the URLs of the queues whose redrive policies name the DLQ.
async fn sources(queue: &DeadLetterQueue) -> Result<Vec<String>, ExitError> {
    let client = &queue.clients.calls;
    let mut sources = Vec::new();
    let mut token = None;
    loop {
        let request = client.list_dead_letter_source_queues().queue_url(&queue.url).max_results(PAGE);
        let reply = match request.set_next_token(token).send().await {
            Ok(reply) => reply,
            Err(error) => {
                let error = explain("ListDeadLetterSourceQueues", &error);
                let error = queue.clients.in_context(error).await;
                return Err(ExitError::sqs(
                    error.kind,
                    format!("the queues of {} cannot be listed (--to names one): {}", queue.name, error.text),
                ));
            }
        };
        sources.extend(reply.queue_urls);
        token = reply.next_token;
        if token.is_none() {
            return Ok(sources);
        }
    }
}
