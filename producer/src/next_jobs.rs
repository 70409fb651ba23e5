//! Sends the jobs that follow other jobs ([`Context::then`](drumline::Context::then)), for a worker or a function.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drumline::core::{MaybeReady, NextJob};
use drumline::run::NextError;
use drumline_runtime::aws::{SqsClientSwitch, is_fifo, name_of, queue_url, resolve};
use drumline_runtime::payload::PayloadSettings;
use drumline_runtime::{NextJobSender, NextOrigin, Settings, outbox_job};
use jiff::Timestamp;
use url::Url;

use crate::check::Checks;
use crate::connect_error::ConnectError;
use crate::connections::Connections;
use crate::dispatch::{Entry, dispatch};
use crate::error::{ProduceError, Refusal};
use crate::options::MAX_DELAY_SECS;
use crate::outbox::message::message;
use crate::pack::Outgoing;
use crate::payload::PayloadStore;
use crate::prepared::Prepared;
use crate::send::InDoubt;
use crate::target_queue::TargetQueue;
use crate::unsendable::Unsendable;

/// Sends the jobs that follow the jobs of a worker or a function. It connects when it first sends a job.
///
/// A job goes to the queue that its handler named, otherwise to the queue of its type in `[queue_by_type]`, otherwise to the
/// queue from which the message came.
pub struct NextJobProducer {
    queue_by_type: HashMap<String, Url>,
    payloads: PayloadSettings,
    checks: Checks,
    connections: Connections,
    /// The known queues, by the origin's URL and the URL that named them.
    known: Mutex<HashMap<(Url, Url), TargetQueue>>,
}

/// A job with its group and its queue.
struct Addressed {
    job: NextJob,
    queue: TargetQueue,
}

impl NextJobProducer {
    /// Creates a producer with a worker's settings and the SQS client that the process's switch selects. Requests go to
    /// `endpoint` if it is given, otherwise to the environment's endpoint.
    pub fn new(settings: &Settings, endpoint: Option<String>, sqs_client: &SqsClientSwitch) -> Self {
        let mut checks = Checks::from_settings(&settings.guards);
        if PayloadStore::is_wanted(&settings.payloads) {
            checks = checks.with_max_bytes(Some(settings.payloads.max_bytes));
        }
        Self {
            queue_by_type: settings.queue_by_type.clone(),
            payloads: settings.payloads.clone(),
            checks,
            connections: Connections::at(endpoint, sqs_client.clone()),
            known: Mutex::default(),
        }
    }

    async fn address_all(
        &self,
        origin: NextOrigin<'_>,
        jobs: Vec<NextJob>,
    ) -> Result<Vec<Addressed>, NextError> {
        let mut addressed = Vec::with_capacity(jobs.len());
        for job in jobs {
            addressed.push(self.address(origin, job).await?);
        }
        Ok(addressed)
    }

    async fn address(&self, origin: NextOrigin<'_>, job: NextJob) -> Result<Addressed, NextError> {
        let url = match &job.queue {
            Some(text) => &queue_url(text).map_err(|reason| {
                refused(Refusal::new(&job.job_type, "queue", format!("{text:?}: {reason}")))
            })?,
            None => self.queue_by_type.get(&job.job_type).unwrap_or(origin.queue_url),
        };
        let unavailable = |error| NextError::Retry(format!("the queue of {}: {error}", job.job_type));
        let queue = self.queue(url, origin.queue_url).await.map_err(unavailable)?;
        let job = in_group(job, &queue, origin);
        Ok(Addressed { job, queue })
    }

    /// Returns a queue. If only its name is given, the queue is in the region and the account of the queue from which the job
    /// came.
    async fn queue(&self, url: &Url, origin_url: &Url) -> Result<TargetQueue, ConnectError> {
        let place = if name_of(url).is_some() { origin_url } else { url };
        let key = (place.clone(), url.clone());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = known().get(&key).cloned() {
            return Ok(queue);
        }
        let clients = self.connections.to(place).await?;
        let resolved = resolve(&clients, url).await.map_err(ConnectError::Queue)?;
        let queue = TargetQueue::connected(clients.clone(), resolved.into());
        let payloads = if PayloadStore::is_wanted(&self.payloads) {
            Some(PayloadStore::new(&self.payloads, &clients.config).map_err(ConnectError::Aws)?)
        } else {
            None
        };
        let queue = queue.with(InDoubt::SendAgain, payloads);
        known().insert(key, queue.clone());
        Ok(queue)
    }

    /// Sends all jobs, or none if one is refused before sending.
    async fn send_all(&self, origin: NextOrigin<'_>, jobs: Vec<NextJob>) -> Result<(), NextError> {
        let mut entries = Vec::with_capacity(jobs.len());
        for Addressed { job, queue } in self.address_all(origin, jobs).await? {
            let outgoing = next_job_message(&self.checks, &job, queue.is_fifo()).map_err(refused)?;
            let prepared = Ok(Prepared { queue, outgoing, wait: None });
            entries.push(Entry { job_type: job.job_type, prepared });
        }
        let Err(failure) = dispatch(entries).await else { return Ok(()) };
        let errors = || failure.failed.iter().map(|failed| &failed.error);
        match (errors().find(|error| error.is_transient()), errors().next()) {
            (Some(error), _) => Err(NextError::Retry(error.to_string())),
            (None, Some(error)) => Err(NextError::Permanent(error.to_string())),
            (None, None) => Ok(()),
        }
    }

    /// Returns jobs with their queues and groups. Their delays are not checked, because an outbox does not limit them.
    async fn check_all(&self, origin: NextOrigin<'_>, jobs: Vec<NextJob>) -> Result<Vec<NextJob>, NextError> {
        let mut checked = Vec::with_capacity(jobs.len());
        for Addressed { mut job, queue } in self.address_all(origin, jobs).await? {
            undelayed(&self.checks, &job, queue.is_fifo()).map_err(refused)?;
            job.queue = Some(queue.url().to_owned());
            checked.push(job);
        }
        Ok(checked)
    }
}

impl NextJobSender for NextJobProducer {
    fn send<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<(), NextError>> {
        MaybeReady::later(self.send_all(origin, jobs))
    }

    fn check<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Vec<NextJob>, NextError>> {
        MaybeReady::later(self.check_all(origin, jobs))
    }
}

fn refused(refusal: Refusal) -> NextError {
    NextError::Permanent(ProduceError::from(refusal).to_string())
}

/// Gives a job the message group of the job that it follows. The group of a FIFO queue is not used as a tenant of a standard
/// queue.
fn in_group(mut job: NextJob, queue: &TargetQueue, origin: NextOrigin<'_>) -> NextJob {
    if job.group.is_none() && (queue.is_fifo() || !is_fifo(origin.queue_url.path())) {
        job.group = origin.group.map(str::to_owned);
    }
    job
}

/// Returns the message of a job that follows another one.
///
/// # Errors
///
/// Returns an error if SQS would refuse it, if no worker could read it, or if the guards refuse its content.
pub fn next_job_message(checks: &Checks, job: &NextJob, is_fifo: bool) -> Result<Outgoing, Refusal> {
    let delay_secs = delay_secs(job, is_fifo)?;
    Ok(Outgoing { delay_secs, ..undelayed(checks, job, is_fifo)? })
}

fn undelayed(checks: &Checks, job: &NextJob, is_fifo: bool) -> Result<Outgoing, Refusal> {
    message(&outbox_job(job), Timestamp::now(), is_fifo, checks)
        .map_err(|Unsendable { field, reason }| Refusal::new(&job.job_type, field, reason))
}

/// Returns the delay of a message, in seconds.
fn delay_secs(job: &NextJob, is_fifo: bool) -> Result<Option<u16>, Refusal> {
    let refused = |reason: String| Err(Refusal::new(&job.job_type, "delay", reason));
    if job.delay.is_zero() {
        return Ok(None);
    }
    if is_fifo {
        return refused("single messages of a FIFO queue have no delay: use a standard queue".to_owned());
    }
    if job.delay > Duration::from_secs(MAX_DELAY_SECS) || job.delay.subsec_nanos() > 0 {
        return refused(format!(
            "SQS delays a message by whole seconds, at most 15 minutes, not by {:?}: for longer use a store in PostgreSQL, whose outbox \
             keeps the job until then",
            job.delay
        ));
    }
    Ok(u16::try_from(job.delay.as_secs()).ok())
}

#[cfg(test)]
#[path = "next_jobs_tests.rs"]
mod tests;
