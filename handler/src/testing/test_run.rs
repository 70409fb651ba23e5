//! A finished run, and all its results.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::trouble::Missed;
use crate::api::progress::Progress;
use crate::core::claim::ClaimRequest;
use crate::core::control::CancelReason;
use crate::core::ending::Ending;
use crate::core::next_job::NextJob;
use crate::core::outcome::Outcome;
use crate::message::identity::Identity;
use crate::message::sqs_message::Message;

/// One finished attempt. Its text has all that an assertion may need: `assert!(run.is_done(), "{run}")`.
#[derive(Debug, Clone)]
pub struct TestRun {
    pub(super) ending: Ending,
    pub(super) handler_ending: Ending,
    pub(super) outcome: Outcome,
    pub(super) attempt: NonZeroU32,
    pub(super) last_attempt: bool,
    pub(super) ran: bool,
    pub(super) dropped: bool,
    pub(super) cancelled: Option<CancelReason>,
    pub(super) missed: Option<Missed>,
    pub(super) job_type: Option<Arc<str>>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) message: Arc<Message>,
    pub(super) request: Option<ClaimRequest>,
    pub(super) progress: Vec<Progress>,
    pub(super) checkpoint: Option<Box<RawValue>>,
    pub(super) result: Option<Arc<RawValue>>,
    pub(super) waits: Vec<Duration>,
    pub(super) next: Vec<NextJob>,
}

impl TestRun {
    /// Returns the ending that counts: for a stopped run, the consequence of the stop.
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Returns the ending of the handler itself: for a stopped run, its return after the stop.
    /// [`Interrupted`](Ending::Interrupted) if it was dropped.
    pub fn handler_ending(&self) -> &Ending {
        &self.handler_ending
    }

    /// Returns the outcome of the message, as a worker with the tester's settings decides it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Returns true if the job is done, by this run or by one before, and its message is deleted.
    pub fn is_done(&self) -> bool {
        self.outcome == Outcome::Ack
    }

    /// Returns true if no other attempt follows, so that the message moves to the DLQ: it failed permanently, or this was the
    /// last receive that the queue allows.
    pub fn is_dead(&self) -> bool {
        self.last_attempt || matches!(self.outcome, Outcome::DeadLetter(_))
    }

    /// Returns true if the handler reported that its service asks for a pause ([`Failure::throttled`](crate::Failure::throttled)): a
    /// worker closes the job's type. [`ending`](Self::ending) has the time that was asked for.
    ///
    /// ```
    /// # use drumline::{Context, Failure, Job, Router};
    /// # use std::time::Duration;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Mail { to: String }
    /// # impl Job for Mail { const TYPE: &'static str = "mail"; }
    /// # async fn mail(_: Context, _: Mail) -> Result<(), Failure> {
    /// #     Err(Failure::throttled(Duration::from_secs(30), "429 Too Many Requests"))
    /// # }
    /// use drumline::testing::Tester;
    ///
    /// # async fn example() {
    /// let run = Tester::new(Router::new().handle(mail)).job(&Mail { to: "a@b.c".into() }).await;
    /// assert!(run.is_throttled(), "{run}");
    /// # }
    /// # use futures_util::FutureExt;
    /// # example().now_or_never().expect("nothing to wait for");
    /// ```
    pub fn is_throttled(&self) -> bool {
        matches!(self.ending, Ending::Throttled { .. })
    }

    /// Returns true if the handler ran.
    pub fn ran(&self) -> bool {
        self.ran
    }

    /// Returns the reason of a failure, or of a run that did not take place: for a duplicate, the earlier run. `None` if the
    /// handler succeeded.
    pub fn reason(&self) -> Option<String> {
        match (&self.outcome, &self.ending) {
            (Outcome::DeadLetter(reason), _) => Some(reason.clone()),
            (_, Ending::DoneBefore(duplicate)) => {
                let (cause, prior) = (duplicate.cause.label(), &duplicate.prior);
                Some(format!("{cause}: done by message {} as job {}", prior.message_id, prior.job_id))
            }
            (_, ending) => ending.reason().map(str::to_owned),
        }
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.get()
    }

    /// The message as the handler received it.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The type of the job, if it has a handler.
    pub fn job_type(&self) -> Option<&str> {
        self.job_type.as_deref()
    }

    /// The identity of the job, if the message is one.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Returns the claim that the run requested: its identity, its lock, and the hash of its payload.
    pub fn claim_request(&self) -> Option<&ClaimRequest> {
        self.request.as_ref()
    }

    /// Every report of progress, in order.
    pub fn progress(&self) -> &[Progress] {
        &self.progress
    }

    /// The waits of [`Context::retry`](crate::Context::retry) between retries of steps.
    pub fn waits(&self) -> &[Duration] {
        &self.waits
    }

    /// Returns the last checkpoint of this run.
    ///
    /// # Panics
    /// If it is no `T`.
    #[track_caller]
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Option<T> {
        self.checkpoint.as_deref().map(|value| read(value, "checkpoint"))
    }

    /// Returns the result of the job: that of this run, or for a duplicate the stored one.
    ///
    /// # Panics
    /// If it is no `T`.
    #[track_caller]
    pub fn result<T: DeserializeOwned>(&self) -> Option<T> {
        let stored = match &self.ending {
            Ending::DoneBefore(duplicate) => duplicate.prior.result.as_deref(),
            _ => None,
        };
        self.result.as_deref().or(stored).map(|value| read(value, "result"))
    }

    /// The jobs that follow on this one, in the order of [`Context::then`](crate::Context::then); none unless the handler succeeded.
    ///
    /// ```
    /// # use drumline::{Context, Failure, Job, Router};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Place { order: u64 }
    /// # #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)] struct Invoice { order: u64 }
    /// # impl Job for Place { const TYPE: &'static str = "order.place"; }
    /// # impl Job for Invoice { const TYPE: &'static str = "invoice.send"; }
    /// # async fn place(ctx: Context, job: Place) -> Result<(), Failure> { ctx.then(&Invoice { order: job.order }) }
    /// use drumline::testing::Tester;
    ///
    /// # async fn example() {
    /// let run = Tester::new(Router::new().handle(place)).job(&Place { order: 7 }).await;
    /// assert_eq!(run.next_jobs()[0].payload, r#"{"order":7}"#, "{run}");
    /// # }
    /// # use futures_util::FutureExt;
    /// # example().now_or_never().expect("nothing to wait for");
    /// ```
    pub fn next_jobs(&self) -> &[NextJob] {
        &self.next
    }

    /// The reason for which the run was asked to stop, if it was.
    pub fn cancelled(&self) -> Option<CancelReason> {
        self.cancelled
    }

    /// Returns true if the handler continued after it was asked to stop, and was dropped.
    pub fn was_dropped(&self) -> bool {
        self.dropped
    }
}

#[track_caller]
fn read<T: DeserializeOwned>(value: &RawValue, name: &str) -> T {
    serde_json::from_str(value.get())
        .unwrap_or_else(|error| panic!("the {name} {value} is no {}: {error}", std::any::type_name::<T>()))
}

/// Returns an outcome as the text in failed assertions, without its reason.
///
/// ```
/// use drumline::core::Outcome;
/// use drumline::testing::outcome_text;
///
/// assert_eq!(outcome_text(&Outcome::RetryAfter(std::time::Duration::from_secs(90))), "retry after 1m 30s");
/// ```
pub fn outcome_text(outcome: &Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Ack => "done".into(),
        Outcome::RetryAfter(delay) => format!("retry after {}", humantime::format_duration(*delay)).into(),
        Outcome::DeadLetter(_) => "dead letter".into(),
        Outcome::Requeue => "requeued".into(),
        Outcome::LeaseLost => "left to its lease".into(),
    }
}

/// Writes the outcome, the ending, the reason, the progress and the faults, on one line.
impl fmt::Display for TestRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job_type = self.job_type().unwrap_or("a message without a handler");
        write!(f, "{job_type}, message {}, attempt {}: ", self.message.id, self.attempt)?;
        f.write_str(&outcome_text(&self.outcome))?;
        if !self.ran {
            f.write_str(", handler not run")?;
        }
        if let Some(class) = self.ending.class() {
            write!(f, ", ending {}", class.label())?;
        }
        if let Some(reason) = self.reason() {
            write!(f, ", reason: {reason}")?;
        }
        if let Some(Progress { done, total, unit }) = self.progress.last() {
            write!(f, "; progress {done} of {total} {unit}")?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            write!(f, "; checkpoint {checkpoint}")?;
        }
        if let Some(result) = &self.result {
            write!(f, "; result {result}")?;
        }
        for next in &self.next {
            write!(f, "; next {}", next.job_type)?;
        }
        match self.cancelled {
            Some(reason) if self.dropped => write!(f, "; cancelled ({reason:?}), handler dropped")?,
            Some(reason) => write!(f, "; cancelled ({reason:?})")?,
            None => {}
        }
        match self.missed {
            Some(Missed::Moment(at)) => write!(f, "; not stopped, since it never came to {at:?}")?,
            Some(Missed::Signal) => f.write_str("; not stopped, since its signal never came")?,
            None => {}
        }
        if self.last_attempt {
            f.write_str("; the last receive: SQS moves the message to the DLQ")?;
        }
        Ok(())
    }
}
