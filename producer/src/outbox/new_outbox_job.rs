//! A job with its options, before it is added to an outbox.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::Job;
use drumline::message::Attribute;
use drumline_runtime::aws::{is_fifo, queue_name, queue_url};
use drumline_store::outbox::{Due, OutboxJob};
use serde::Serialize;
use serde_json::value::RawValue;

use super::job::{Parts, outbox_job};
use crate::check::Checks;
use crate::encode::encode;
use crate::error::Refusal;
use crate::options::Options;
use crate::origin::Origin;

/// Those of all jobs without checks of their own, so that each warning is logged once.
static CHECKS: LazyLock<Checks> = LazyLock::new(Checks::default);

/// Begins to add a job to an outbox: options follow.
///
/// No settings of AWS are needed, since a [`Relay`](super::Relay) sends the job: its settings name the queue of the job's type, unless
/// [`queue`](NewOutboxJob::queue) does.
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::outbox;
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user_id: u64 }
/// # impl Job for Welcome {
/// #     const TYPE: &'static str = "email.welcome";
/// # }
///
/// let row = outbox::job(&Welcome { user_id: 7 }).group("acme").delay(Duration::from_secs(3 * 24 * 3600)).to_outbox_job()?;
/// assert_eq!((&*row.job_type, row.group.as_deref()), ("email.welcome", Some("acme")));
/// # Ok::<(), drumline_producer::Refusal>(())
/// ```
pub fn job<J: Job + Serialize>(job: &J) -> NewOutboxJob {
    NewOutboxJob {
        id: ulid::Ulid::generate().to_string(),
        job_type: J::TYPE,
        version: J::VERSION,
        payload: encode(job),
        own_key: job.idempotency_key(),
        origin: Origin::current(),
        options: Options::default(),
        queue: None,
        due: Ok(Due::Now),
        checks: CHECKS.clone(),
    }
}

/// A job with its options, before it is added to an outbox. See [`job`].
#[must_use = "a job is added by enqueue"]
#[derive(Clone)]
pub struct NewOutboxJob {
    id: String,
    job_type: &'static str,
    version: u32,
    payload: Result<Box<RawValue>, Refusal>,
    own_key: Option<String>,
    origin: Origin,
    options: Options,
    queue: Option<String>,
    due: Result<Due, Refusal>,
    checks: Checks,
}

impl NewOutboxJob {
    /// Sets the job's id, 1 to 128 characters. The default is a new ULID. Added twice under one id, it is one job.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Delays the job: it is sent this time after it was added, by the clock of the outbox. There is no limit.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Ok(Due::After(delay));
        self
    }

    /// Sets the time at which the job is sent: at once if it has passed.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        let millis = time.into().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.due = i64::try_from(millis).map(Due::AtMs).map_err(|_| {
            Refusal::new(self.job_type, "at", "the time is too far away: no outbox can keep it")
        });
        self
    }

    /// Sets the message group. Jobs of one group are sent in the order in which they were added, and a FIFO queue keeps that order. It
    /// needs a group for each job.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.group = Some(group.into());
        self
    }

    /// Sets the queue, by its URL, its ARN or its name. The default is the queue of the job's type, by the settings of the relay.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the key under which the effect of the job happens once, for a type that does not compute it from the payload
    /// ([`Job::idempotency_key`]).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Sets the id that ties the job to what caused it. The default, inside a handler, is that of the handler's own job.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.options.correlation_id = Some(id.into());
        self
    }

    /// Sets the trace, as the W3C header `traceparent`. The default is that of the current span, see
    /// [`TraceLayer`](crate::TraceLayer); inside a handler that of its job.
    pub fn traceparent(mut self, header: impl Into<String>) -> Self {
        self.options.traceparent = Some(header.into());
        self
    }

    /// Adds a message attribute. A message has ten at most.
    pub fn attribute(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.options.attributes.push((name.into(), Attribute::text(text)));
        self
    }

    /// Sets the checks that the job passes before it is added. The default refuses secrets. The relay's own settings count when it is
    /// sent.
    pub fn checks(mut self, checks: &Checks) -> Self {
        self.checks = checks.clone();
        self
    }

    /// Checks the job and its options, and returns it for [`Outbox::add`](drumline_store::outbox::Outbox::add).
    ///
    /// # Errors
    /// If it could not be sent, with the field that is at fault.
    pub fn to_outbox_job(&self) -> Result<OutboxJob, Refusal> {
        let payload = self.payload.as_deref().map_err(Clone::clone)?;
        if self.id.is_empty() || self.id.chars().count() > MAX_ID {
            let reason = format!("{:?} is not of 1 to {MAX_ID} characters", self.id);
            return Err(Refusal::new(self.job_type, "id", reason));
        }
        self.check_queue()?;
        outbox_job(Parts {
            id: self.id.clone(),
            job_type: self.job_type,
            version: self.version,
            payload,
            own_key: self.own_key.clone(),
            origin: &self.origin,
            options: &self.options,
            queue: self.queue.clone(),
            known_queue: None,
            due: self.due.clone()?,
            checks: &self.checks,
        })
    }

    fn check_queue(&self) -> Result<(), Refusal> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let url = queue_url(queue).map_err(|reason| Refusal::new(self.job_type, "queue", reason))?;
        let name = queue_name(url.as_str());
        if is_fifo(name) && self.options.group.is_none() {
            let reason = format!("{name} is a FIFO queue, which needs one: jobs of one group are done one after the other");
            return Err(Refusal::new(self.job_type, "group", reason));
        }
        Ok(())
    }
}

/// The longest id of a job in an outbox.
const MAX_ID: usize = 128;
