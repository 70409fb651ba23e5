//! The queues that letters may be sent to: those whose redrive policy names the DLQ, or the one that the operator names.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use drumline_consumer::ExitError;
use drumline_dlq::Letter;
use drumline_dlq::letter::SOURCE_QUEUE_ATTRIBUTE;
use drumline_runtime::aws::{explain, is_fifo, queue_name, queue_url, url_of_arn};

use crate::connection::connect_to;
use crate::dlq::queue::DeadLetterQueue;

/// The attribute that names the queue of a letter that was put back into the DLQ, as an ARN.
const ORIGIN_ATTRIBUTE: &str = "DrumlineOrigin";

/// The queues of one page. Without a number, SQS says nothing of further pages.
const PAGE: i32 = 1_000;

/// A queue that letters may be sent to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: Arc<str>,
    pub(super) client: Client,
    pub(super) is_fifo: bool,
}

/// The queues that letters may be sent to.
#[derive(Debug)]
pub(super) struct Origins {
    to: Option<Target>,
    sources: Vec<Target>,
}

impl Origins {
    /// The queue that `--to` names, else the sources of the DLQ.
    pub(super) async fn find(queue: &DeadLetterQueue, to: Option<&str>) -> Result<Self, ExitError> {
        let Some(to) = to else {
            return Ok(Self { to: None, sources: sources(queue).await? });
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
        Ok(Self { to: Some(target), sources: Vec::new() })
    }

    /// Returns the queue of a letter.
    ///
    /// # Errors
    /// The reason why there is none, in words.
    pub(super) fn of(&self, letter: &Letter) -> Result<&Target, String> {
        if let Some(to) = &self.to {
            return Ok(to);
        }
        let message = letter.message();
        let arn = message.dead_letter_source.as_deref().or_else(|| message.attribute(ORIGIN_ATTRIBUTE));
        if let Some(arn) = arn {
            let is_it = |target: &&Target| is_named_by(&target.url, arn);
            let found = self.sources.iter().find(is_it);
            return found.ok_or_else(|| {
                format!("{arn} has no redrive policy that names this DLQ: --to names the queue to send to")
            });
        }
        let Some(name) = message.attribute(SOURCE_QUEUE_ATTRIBUTE) else {
            return Err("SQS does not know the queue it died in: --to names the queue to send to".to_owned());
        };
        let mut named = self.sources.iter().filter(|target| queue_name(&target.url) == name);
        match (named.next(), named.next()) {
            (Some(target), None) => Ok(target),
            (None, _) => Err(format!(
                "no queue {name} has a redrive policy that names this DLQ: --to names the queue to send to"
            )),
            (Some(_), Some(_)) => {
                Err(format!("several queues {name} use this DLQ: --to names the queue to send to"))
            }
        }
    }

    /// Returns the queue with this URL.
    pub(super) fn with_url(&self, url: &str) -> Option<&Target> {
        self.to.iter().chain(&self.sources).find(|target| *target.url == *url)
    }
}

fn target(url: &str, client: &Client) -> Target {
    Target { url: Arc::from(url), client: client.clone(), is_fifo: is_fifo(url) }
}

/// Returns true if the queue with this URL has this ARN. A DLQ is in the region of its sources.
fn is_named_by(url: &str, arn: &str) -> bool {
    let end = |url: &str| {
        let mut parts = url.rsplit('/');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    };
    url_of_arn(arn).is_some_and(|named| end(named.as_str()).is_some_and(|named| Some(named) == end(url)))
}

async fn sources(queue: &DeadLetterQueue) -> Result<Vec<Target>, ExitError> {
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
        sources.extend(reply.queue_urls.iter().map(|url| target(url, client)));
        token = reply.next_token;
        if token.is_none() {
            return Ok(sources);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_a_queue_by_account_and_name() {
        let table = [
            ("http://127.0.0.1:9324/000000000000/jobs", "arn:aws:sqs:eu-west-1:000000000000:jobs", true),
            ("https://sqs.eu-west-1.amazonaws.com/1/jobs", "arn:aws:sqs:eu-west-1:1:jobs", true),
            ("https://sqs.eu-west-1.amazonaws.com/1/jobs", "arn:aws:sqs:eu-west-1:2:jobs", false),
            ("https://sqs.eu-west-1.amazonaws.com/1/jobs", "arn:aws:sqs:eu-west-1:1:jobs2", false),
            ("https://sqs.eu-west-1.amazonaws.com/1/jobs", "jobs", false),
        ];
        for (url, arn, expected) in table {
            assert_eq!(is_named_by(url, arn), expected, "{url} {arn}");
        }
    }
}
