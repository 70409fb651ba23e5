//! A message's run by a local worker.

use std::fmt;
use std::sync::Arc;

use drumline::core::{Ending, Outcome, RunFacts};
use drumline::testing::outcome_text;

/// A message that a worker finished for now: usually a run of its handler, with the outcome. Its `Display` form is one line.
///
/// ```
/// use drumline_testing::LocalQueue;
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
/// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Err(Failure::reject("no such user")) }
/// # fn router() -> Router { Router::new().handle(welcome) }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalQueue::start(router()).await;
/// local.send(&Welcome { user_id: 0 });
/// local.until_idle().await;
/// let run = &local.runs()[0];
/// assert_eq!((run.attempt, run.reason()), (1, Some("no such user")), "{run}");
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalRun {
    /// The message's id.
    pub message_id: Arc<str>,
    /// The id of the job, if the message is one.
    pub job_id: Option<String>,
    /// The type of the job, if it has a handler.
    pub job_type: Option<Arc<str>>,
    /// The number of the attempt. 0 if no handler ran.
    pub attempt: u32,
    /// The ending. `None` if no handler ran.
    pub ending: Option<Ending>,
    /// The outcome of the message.
    pub outcome: Outcome,
    /// True if no other attempt follows: SQS moves the message to the DLQ.
    pub last_attempt: bool,
}

impl LocalRun {
    pub(crate) fn of(message_id: Arc<str>, outcome: &Outcome, run: Option<&RunFacts>) -> Self {
        Self {
            message_id,
            job_id: run.and_then(|run| Some(run.identity.as_ref()?.job_id().to_string())),
            job_type: run.and_then(|run| run.job_type.clone()),
            attempt: run.map_or(0, |run| run.attempt.get()),
            ending: run.map(|run| run.ending.clone()),
            outcome: outcome.clone(),
            last_attempt: run.is_some_and(|run| run.last_attempt),
        }
    }

    /// Returns true if the handler ran.
    pub fn ran(&self) -> bool {
        self.ending.as_ref().is_some_and(Ending::ran)
    }

    /// Returns the reason of a failure.
    pub fn reason(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::DeadLetter(reason) => Some(reason),
            _ => self.ending.as_ref()?.reason(),
        }
    }
}

impl fmt::Display for LocalRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job_type = self.job_type.as_deref().unwrap_or("a message without a handler");
        write!(f, "{job_type}, message {}, attempt {}: ", self.message_id, self.attempt)?;
        f.write_str(&outcome_text(&self.outcome))?;
        match self.reason() {
            Some(reason) => write!(f, ", reason: {reason}"),
            None => Ok(()),
        }
    }
}
