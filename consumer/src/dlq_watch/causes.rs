//! The cause of a letter's death, from the history of its job.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use drumline_dlq::{Cause, CauseSource, Letter};
use drumline_store::{JobRecord, Store};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::job_view::job_type;

/// The maximum number of concurrent requests for histories.
const AT_ONCE: usize = 8;

/// The time limit for all histories of a look: less than the lease of the leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the cause of a letter's death from the history of its job, if that contains more than the letter: the last failure
/// of this message, else of its job; or the verdict, if failures were removed.
pub fn cause_in(letter: &Letter, job: &JobRecord) -> Option<Cause> {
    by_history(letter, job).or_else(|| letter.by_attribute()).or_else(|| {
        let claim = job.claim.as_ref()?;
        let begun = format!(
            ", begun {} by {}, and no ending is known: it may crash its worker",
            claim.attempts, claim.owner
        );
        Some(letter.unknown_cause(Some(&begun)))
    })
}

fn by_history(letter: &Letter, job: &JobRecord) -> Option<Cause> {
    let own = job.attempts.iter().rev().find(|attempt| letter.was_message(&attempt.message_id));
    if let Some(attempt) = own.or(job.attempts.last()) {
        let class = Some(attempt.class.clone()).filter(|class| !class.is_empty());
        return Some(Cause { reason: attempt.reason.clone(), class, from: CauseSource::History });
    }
    let failure_reason = job.claim.as_ref()?.failure_reason.clone()?;
    Some(Cause { reason: failure_reason, class: None, from: CauseSource::History })
}

/// The future of a letter's job.
pub type LetterJob<'a> = Pin<Box<dyn Future<Output = Result<Option<JobRecord>, String>> + Send + 'a>>;

/// The histories of dead jobs.
pub trait LetterHistory: Send + Sync {
    /// Returns the job of a letter, if it is known. An error is the reason for a missing answer, as a text for the log.
    fn of<'a>(&'a self, letter: &'a Letter) -> LetterJob<'a>;
}

/// The histories in a store.
pub struct StoreHistory(pub Arc<dyn Store>);

impl LetterHistory for StoreHistory {
    fn of<'a>(&'a self, letter: &'a Letter) -> LetterJob<'a> {
        Box::pin(async move {
            let jobs = self.0.jobs(letter.job_id()).await.map_err(|error| error.to_string())?;
            let is_own = |job: &&JobRecord| job.had_message(letter.original_id());
            let is_of_type = |job: &&JobRecord| job_type(job) == letter.job_type();
            Ok(jobs.iter().find(is_own).or_else(|| jobs.iter().find(is_of_type)).cloned())
        })
    }
}

/// Adds the causes in histories to letters.
///
/// # Errors
/// If a history gives no answer, or not all answer in time.
pub(super) async fn add_causes(history: &dyn LetterHistory, letters: &mut [Letter]) -> Result<(), String> {
    let adding = async {
        for some in letters.chunks_mut(AT_ONCE) {
            let jobs = join_all(some.iter().map(|letter| history.of(letter))).await;
            for (letter, job) in some.iter_mut().zip(jobs) {
                if let Some(job) = job? {
                    let cause = cause_in(letter, &job);
                    letter.learn(cause, job_type(&job).map(str::to_owned));
                }
            }
        }
        Ok(())
    };
    let late = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, adding).await.unwrap_or_else(|_| late())
}
