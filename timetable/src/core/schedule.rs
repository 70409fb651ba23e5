//! A schedule: a name, a rule, and the job of its firings.

use drumline::Job;
use drumline_producer::{Checks, Unsendable};
use drumline_store::outbox::{Due, OutboxJob};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::catch_up::CatchUp;
use super::error::ScheduleError;
use super::message::check_job;
use super::names::{DEFAULT_TIMETABLE, check_schedule_name, firing_id, full_name};
use super::rule::Rule;

/// The message attribute with the instant for which a job was fired, in RFC 3339 format.
pub const SCHEDULED_AT: &str = "scheduledAt";

/// A schedule: a name, a rule, and the job of its firings.
///
/// ```
/// use drumline_timetable::{CatchUp, Rule, Schedule};
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Report { of: String }
/// # impl Job for Report { const TYPE: &'static str = "report.daily"; }
///
/// let rule = Rule::cron("daily-report", "0 7 * * MON-FRI", "Europe/Zurich")?;
/// let schedule = Schedule::new("daily-report", rule, &Report { of: "sales".to_owned() })?.catch_up_by(CatchUp::Skip);
/// let monday = schedule.rule().next_after("2026-11-28T00:00:00Z".parse().unwrap());
/// assert_eq!(monday.unwrap().to_string(), "2026-11-30T06:00:00Z");
/// # Ok::<(), drumline_timetable::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    name: String,
    rule: Rule,
    catch_up: CatchUp,
    /// A job without an id.
    job: OutboxJob,
}

impl Schedule {
    /// Returns a schedule whose firings are this job, each with a different id.
    ///
    /// # Errors
    /// If the name is invalid, the job cannot be written as JSON, or the job has an idempotency key. Each firing would have the
    /// same key, and workers would run the job only once.
    pub fn new<J: Job + Serialize>(name: &str, rule: Rule, job: &J) -> Result<Self, ScheduleError> {
        let refused = |field: &str, reason: String| ScheduleError::new(name, field, reason);
        let payload = serde_json::to_string(job)
            .map_err(|error| refused("payload", format!("cannot be written as JSON: {error}")))?;
        if serde_json::from_str::<J>(&payload).is_err() {
            let reason = "no worker could read it: make Serialize and Deserialize of the type agree, or change the value";
            return Err(refused("payload", reason.to_owned()));
        }
        let mut template = OutboxJob::new(String::new(), J::TYPE, payload);
        template.schema_version = J::VERSION;
        template.idempotency_key = job.idempotency_key();
        Self::of(name, rule, template)
    }

    /// Returns a schedule whose firings have the parts of this job, except its id and its due time. A job from
    /// [`SendJob::to_outbox_job`](drumline_producer::SendJob::to_outbox_job) can have every option.
    ///
    /// # Errors
    /// The errors of [`new`](Self::new), and a payload that is not JSON.
    pub fn of(name: &str, rule: Rule, job: OutboxJob) -> Result<Self, ScheduleError> {
        check_schedule_name(name).map_err(|reason| ScheduleError::new(name, "name", reason))?;
        if let Err(error) = serde_json::from_str::<&RawValue>(&job.payload) {
            return Err(ScheduleError::new(name, "payload", format!("is not JSON: {error}")));
        }
        if job.idempotency_key.is_some() {
            let reason = format!(
                "each job {} of this schedule would have the same one: workers would run one firing and take the others for its \
                 duplicates. Use a type without Job::idempotency_key, and set none",
                job.job_type
            );
            return Err(ScheduleError::new(name, "idempotency_key", reason));
        }
        Ok(Self { name: name.to_owned(), rule, catch_up: CatchUp::default(), job })
    }

    /// Sets the rule for missed firings. The default is [`CatchUp::Last`].
    #[must_use]
    pub fn catch_up_by(self, catch_up: CatchUp) -> Self {
        Self { catch_up, ..self }
    }

    /// Sets the URL, ARN or name of the queue. By default, the relay's settings choose the queue by the job's type.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.job.queue = Some(queue.into());
        self
    }

    /// Sets the message group, which a FIFO queue needs.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.job.group = Some(group.into());
        self
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Returns the rule for missed firings.
    pub fn catch_up(&self) -> CatchUp {
        self.catch_up
    }

    /// Returns the type of its jobs.
    pub fn job_type(&self) -> &str {
        &self.job.job_type
    }

    /// Makes the checks that are made before the job is sent.
    pub(crate) fn check(&self, checks: &Checks) -> Result<(), ScheduleError> {
        let refused = |Unsendable { field, reason, .. }| ScheduleError::new(&self.name, field, reason);
        let sample = self.job_at(DEFAULT_TIMETABLE, Timestamp::UNIX_EPOCH);
        check_job(&sample, checks).map_err(refused)
    }

    /// Returns the job of the firing at an instant.
    pub fn job_at(&self, timetable: &str, instant: Timestamp) -> OutboxJob {
        self.job_with(firing_id(timetable, &self.name, instant), instant)
    }

    /// Returns a job to run now. It is separate from the schedule's firings.
    pub(crate) fn job_now(&self, timetable: &str, unique: &str, now: Timestamp) -> OutboxJob {
        self.job_with(format!("{}@run-now-{unique}", full_name(timetable, &self.name)), now)
    }

    fn job_with(&self, id: String, instant: Timestamp) -> OutboxJob {
        let mut job = self.job.clone();
        job.id = id;
        job.due = Due::Now;
        job.attributes.insert(SCHEDULED_AT.to_owned(), instant.to_string());
        job
    }
}
