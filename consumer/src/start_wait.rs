//! The wait of a worker's start, for people and probes that ask before it has started.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drumline_runtime::{is_unseen, redacted};
use tokio::time::Instant;

/// The part that the start of a worker waits for. Cloning returns another handle of the same state.
#[derive(Clone, Default)]
pub(crate) struct StartWait(Arc<Mutex<Option<Wait>>>);

struct Wait {
    /// Such as `the store`.
    subject: String,
    /// Its address, without secrets.
    place: Option<String>,
    /// The error of the last request, if it failed.
    error: Option<String>,
    since: Instant,
}

impl StartWait {
    /// Records that the start waits for this part from now on.
    pub(crate) fn begins(&self, subject: impl Into<String>, place: Option<String>) {
        let (subject, error) = (subject.into(), None);
        *self.wait() = Some(Wait { subject, place, error, since: Instant::now() });
    }

    /// Records that a request to this part failed, and is repeated.
    pub(crate) fn failed(&self, error: &str) {
        if let Some(wait) = &mut *self.wait() {
            wait.error = Some(redacted(error).chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect());
        }
    }

    /// Returns the wait in words, such as `waits for the store redis://cache:6379 for 3 s: connection refused`. Not every client
    /// may read addresses and errors: without quotes it is `waits for the store for 3 s`.
    pub(crate) fn sentence(&self, with_quotes: bool) -> String {
        let wait = self.wait();
        let Some(Wait { subject, place, error, since }) = &*wait else { return "has just begun".to_owned() };
        let place = place.as_ref().filter(|_| with_quotes).map(|place| format!(" {place}"));
        let error = error.as_ref().filter(|_| with_quotes).map(|error| format!(": {error}"));
        let (place, error) = (place.unwrap_or_default(), error.unwrap_or_default());
        let waited = match since.elapsed().as_secs() {
            0 => String::new(),
            secs => format!(" for {secs} s"),
        };
        format!("waits for {subject}{place}{waited}{error}")
    }

    fn wait(&self) -> MutexGuard<'_, Option<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_named_with_its_error_for_those_who_may_read_it() {
        let wait = StartWait::default();
        assert_eq!(wait.sentence(true), "has just begun");
        wait.begins("the store", Some("redis://cache:6379".to_owned()));
        assert_eq!(wait.sentence(true), "waits for the store redis://cache:6379");
        tokio::time::advance(Duration::from_millis(3_900)).await;
        wait.failed("connection\nrefused");
        assert_eq!(wait.sentence(true), "waits for the store redis://cache:6379 for 3 s: connection refused");
        assert_eq!(wait.sentence(false), "waits for the store for 3 s");
        wait.begins("the queue jobs", None);
        assert_eq!(wait.sentence(true), "waits for the queue jobs", "a new wait has no error yet");
    }
}
