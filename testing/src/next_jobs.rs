//! Sends next jobs to the local queue.

use std::sync::Arc;

use drumline::core::{MaybeReady, NextJob};
use drumline::run::NextError;
use drumline_producer::{Checks, next_job_message};
use drumline_queue::Endpoint;
use drumline_queue::api::SendMessage;
use drumline_runtime::aws::is_fifo;
use drumline_runtime::{NextJobRoute, NextJobSender, NextOrigin};
use url::Url;

use crate::translate;

/// Sends every next job to the local queue, because a local run has only one queue.
pub(crate) struct NextJobs {
    pub(crate) endpoint: Endpoint,
    pub(crate) checks: Checks,
}

impl NextJobs {
    /// Returns the route for the next jobs of the queue at this URL.
    pub(crate) fn of_queue(self, url: &str) -> NextJobRoute {
        let queue_url = Url::parse(url).expect("the URL of the embedded queue is one");
        NextJobRoute { sender: Arc::new(self), queue_url, with_mark: false }
    }

    fn send_all(&self, origin: NextOrigin<'_>, jobs: Vec<NextJob>) -> Result<(), NextError> {
        let fifo = is_fifo(origin.queue_url.path());
        for mut job in jobs {
            job.group = job.group.or_else(|| origin.group.map(str::to_owned));
            let outgoing = next_job_message(&self.checks, &job, fifo)
                .map_err(|refusal| NextError::Permanent(refusal.to_string()))?;
            let request = SendMessage {
                queue_url: origin.queue_url.to_string(),
                message_body: outgoing.body,
                delay_seconds: outgoing.delay_secs.map(i64::from),
                message_attributes: translate::queue_attributes(&outgoing.attributes),
                message_group_id: outgoing.group.map(|group| group.to_string()),
                message_deduplication_id: fifo.then_some(outgoing.deduplication_id),
                ..SendMessage::default()
            };
            let sent = self.endpoint.call(|sqs, now| sqs.send_message(now, request));
            sent.map_err(|error| NextError::Permanent(error.to_string()))?;
        }
        Ok(())
    }
}

impl NextJobSender for NextJobs {
    fn send<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<(), NextError>> {
        MaybeReady::now(self.send_all(origin, jobs))
    }

    fn check<'a>(
        &'a self,
        _: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Vec<NextJob>, NextError>> {
        MaybeReady::now(Ok(jobs))
    }
}
