//! Looks up the histories of dead letters while a store or worker answers: a list without reasons is better than none.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, JobView};
use drumline_runtime::Settings;
use futures_util::future::join_all;

use super::dead_letter::DeadLetter;
use crate::format::note;
use crate::job_lookup::{Histories, LookupError};

/// The place where histories are looked up.
pub(super) struct ReasonLookup {
    histories: Option<Histories>,
    /// The reason why histories are no longer looked up.
    silence: Option<String>,
    /// True if a lookup has succeeded before.
    has_answered: bool,
}

impl ReasonLookup {
    pub(super) async fn open(settings: &Settings) -> Result<Self, ExitError> {
        match Histories::open(settings).await {
            Ok(histories) => Ok(Self::of(Some(histories), None)),
            // With `memory:` and no address of a worker there are no histories. That is a valid configuration of a worker.
            Err(LookupError::Settings(text)) if settings.store.location.outlives_its_process() => {
                Err(ExitError::usage(text))
            }
            Err(silence) => Ok(Self::of(None, Some(silence.text().to_owned()))),
        }
    }

    fn of(histories: Option<Histories>, silence: Option<String>) -> Self {
        // A store has answered when it was opened; a worker has not been asked yet.
        let has_answered = matches!(histories, Some(Histories::Store(_)));
        Self { histories, silence, has_answered }
    }

    /// Checks that histories can still be looked up, if they could at the beginning. Without them, a filter by type, reason or
    /// fingerprint would have another meaning.
    ///
    /// # Errors
    ///
    /// Returns an error if the place of histories no longer answers.
    pub(super) fn expect_no_loss(&self) -> Result<(), ExitError> {
        match &self.silence {
            Some(silence) if self.has_answered && self.histories.is_none() => Err(ExitError::unavailable(
                format!("the histories that the filter needs cannot be read any more: {silence}"),
            )),
            _ => Ok(()),
        }
    }

    /// Adds the histories to the letters.
    pub(super) async fn add(&mut self, letters: &mut [DeadLetter]) {
        let Some(histories) = &self.histories else { return };
        let asked = letters.iter().map(|letter| letter.history_in(histories));
        let answers = join_all(asked).await;
        for (letter, answer) in letters.iter_mut().zip(answers) {
            match answer {
                Ok(history) => {
                    self.has_answered = true;
                    letter.learn(history);
                }
                Err(silence) => {
                    self.histories = None;
                    self.silence = Some(silence.text().to_owned());
                }
            }
        }
    }

    /// Returns the place of histories while it answers.
    pub(super) fn histories(&self) -> Option<&Histories> {
        self.histories.as_ref()
    }

    /// Stops the lookups after one was not answered.
    pub(super) fn give_up(&mut self, silence: &LookupError) {
        self.histories = None;
        self.silence = Some(silence.text().to_owned());
    }

    /// Returns the job with this id that the filter accepts, if a store or a worker knows it.
    pub(super) async fn job(&mut self, id: &str, filter: &JobFilter) -> Option<JobView> {
        match self.histories.as_ref()?.job(id, filter).await {
            Ok(job) => job,
            Err(silence) => {
                self.silence = Some(silence.text().to_owned());
                None
            }
        }
    }

    /// Reports why reasons are missing, if they are.
    pub(super) fn eprint_notes(&self) {
        if let Some(silence) = &self.silence {
            note(&format!("no histories, so reasons are known of copied messages only: {silence}"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline::message::{Intake, Message};

    use super::*;

    /// Looks up one letter at a worker that has ended.
    async fn looked_up(has_answered: bool) -> ReasonLookup {
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let histories = Some(Histories::Worker { addr, token: None });
        let mut reasons = ReasonLookup { histories, silence: None, has_answered };
        reasons.add(&mut [DeadLetter::new(Message::default(), &Intake::default())]).await;
        assert!(reasons.histories().is_none());
        reasons
    }

    #[tokio::test]
    async fn histories_are_lost_only_if_there_were_any() {
        let lost = looked_up(true).await.expect_no_loss();
        assert!(
            lost.unwrap_err()
                .to_string()
                .starts_with("the histories that the filter needs cannot be read any more: ")
        );
        assert!(looked_up(false).await.expect_no_loss().is_ok(), "none from the beginning");
        assert!(ReasonLookup::of(None, Some("memory:".to_owned())).expect_no_loss().is_ok());
    }
}
