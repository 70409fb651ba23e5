//! The jobs that viewers watch. Each is read at a fixed interval by one task, for all its viewers together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline_store::{JobRecord, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// The time between two reads of a job. Workers write progress once a second, so half of it shows every step soon; with
/// [`MAX_JOBS`] it is at most 200 small reads a second.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// Jobs that are watched at once: a store notices these reads; it does not notice viewers.
pub(crate) const MAX_JOBS: usize = 100;

/// The last answer of the store about one id. While the store does not answer, the last records stay.
pub(crate) type Look = Result<Arc<[JobRecord]>, StoreError>;

/// A viewer's end. `None` until the store has answered for the first time.
pub(crate) type Looks = watch::Receiver<Option<Look>>;

type Jobs = Mutex<HashMap<String, watch::Sender<Option<Look>>>>;

/// The jobs that are watched now.
#[derive(Clone)]
pub(crate) struct Watches {
    store: Arc<dyn Store>,
    jobs: Arc<Jobs>,
    max_jobs: usize,
}

impl Watches {
    pub(crate) fn new(store: Arc<dyn Store>, max_jobs: usize) -> Self {
        Self { store, jobs: Arc::default(), max_jobs }
    }

    /// Watches a job until the receiver is dropped. `None` if too many other jobs are watched.
    pub(crate) fn watch(&self, id: &str) -> Option<Looks> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = jobs.get(id) {
            return Some(job.subscribe());
        }
        if jobs.len() >= self.max_jobs {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        jobs.insert(id.to_owned(), sender.clone());
        tokio::spawn(self.clone().read(id.to_owned(), sender));
        Some(receiver)
    }

    /// Reads a job until it has no viewer.
    async fn read(self, id: String, viewers: watch::Sender<Option<Look>>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    let look = self.store.jobs(&id).await.map(Arc::from);
                    viewers.send_if_modified(|last| renew(last, look));
                }
                () = viewers.closed() => {
                    // A new viewer takes the lock too, and so finds either a task that reads on or no entry.
                    let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                    if viewers.receiver_count() == 0 {
                        jobs.remove(&id);
                        return;
                    }
                }
            }
        }
    }
}

/// Returns true if viewers have something new to see.
fn renew(last: &mut Option<Look>, look: Look) -> bool {
    match (&*last, &look) {
        (Some(Ok(_)), Err(_)) => return false,
        (Some(Ok(before)), Ok(now)) if before == now => return false,
        _ => {}
    }
    *last = Some(look);
    true
}

#[cfg(test)]
#[path = "watches_tests.rs"]
mod tests;
