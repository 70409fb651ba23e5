//! Asks for the histories of dead letters, for as long as somebody answers: a list without reasons is better than none.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, JobView};
use drumline_runtime::Settings;
use futures_util::future::join_all;

use super::dead_letter::DeadLetter;
use crate::format::note;
use crate::job_lookup::{Histories, LookupError};

/// Who is asked for histories.
pub(super) struct ReasonLookup {
    histories: Option<Histories>,
    /// Why nobody is asked any more.
    silence: Option<String>,
}

impl ReasonLookup {
    pub(super) async fn open(settings: &Settings) -> Result<Self, ExitError> {
        match Histories::open(settings).await {
            Ok(histories) => Ok(Self { histories: Some(histories), silence: None }),
            // With memory: nobody can be asked where the worker has no address, and that is right for a worker.
            Err(LookupError::Settings(text)) if settings.store.location.outlives_its_process() => {
                Err(ExitError::usage(text))
            }
            Err(silence) => Ok(Self { histories: None, silence: Some(silence.text().to_owned()) }),
        }
    }

    /// Gives the letters their histories.
    pub(super) async fn add(&mut self, letters: &mut [DeadLetter]) {
        let Some(histories) = &self.histories else { return };
        let asked = letters.iter().map(|letter| letter.history_in(histories));
        let answers = join_all(asked).await;
        for (letter, answer) in letters.iter_mut().zip(answers) {
            match answer {
                Ok(history) => letter.learn(history),
                Err(silence) => {
                    self.histories = None;
                    self.silence = Some(silence.text().to_owned());
                }
            }
        }
    }

    /// Returns who is asked, while there are answers.
    pub(super) fn histories(&self) -> Option<&Histories> {
        self.histories.as_ref()
    }

    /// Asks nobody any more, since there was no answer.
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

    /// Tells why reasons are missing, where they are.
    pub(super) fn eprint_notes(&self) {
        if let Some(silence) = &self.silence {
            note(&format!("no histories, so reasons are known of copied messages only: {silence}"));
        }
    }
}
