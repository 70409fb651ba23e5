//! What jobs told and how they failed, for people. Whatever was heard of longest ago goes first.

use std::collections::VecDeque;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::record::{AttemptRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};

/// Of how many jobs progress is kept: those that tell theirs are long, and so are few.
const MAX_TOLD: usize = 10_000;

/// How many failed attempts are kept of all jobs together: some 25 MiB of them.
const MAX_ATTEMPTS: usize = 50_000;

#[derive(Debug)]
pub(super) struct Histories {
    keep: Duration,
    progress: LruCache<String, (Instant, ProgressRecord)>,
    attempts: LruCache<String, (Instant, VecDeque<AttemptRecord>)>,
    /// In all of `attempts`.
    attempts_kept: usize,
}

impl Histories {
    pub(super) fn new(keep: Duration) -> Self {
        // Unbounded for the cache, which would allocate all its space at once: the bounds are kept here.
        Self { keep, progress: LruCache::unbounded(), attempts: LruCache::unbounded(), attempts_kept: 0 }
    }

    pub(super) fn progress(&mut self, job_id: &str, progress: &ProgressRecord, now: Instant) {
        let told = (now + self.keep, progress.clone());
        match self.progress.get_mut(job_id) {
            Some(before) => *before = told,
            None => {
                self.progress.put(job_id.to_owned(), told);
            }
        }
        if self.progress.len() > MAX_TOLD {
            self.progress.pop_lru();
        }
    }

    pub(super) fn attempted(&mut self, job_id: &str, attempt: &AttemptRecord, now: Instant) {
        let (expires, kept) =
            self.attempts.get_or_insert_mut_ref(job_id, || (now, VecDeque::with_capacity(1)));
        if *expires <= now {
            self.attempts_kept -= kept.len();
            kept.clear();
        }
        *expires = now + self.keep;
        if kept.len() == MAX_ATTEMPTS_KEPT {
            kept.pop_front();
            self.attempts_kept -= 1;
        }
        kept.push_back(attempt.clone());
        self.attempts_kept += 1;
        // The job at hand is the one used last, and never the only one: it has far fewer than all of them.
        while self.attempts_kept > MAX_ATTEMPTS {
            self.attempts_kept -= self.attempts.pop_lru().map_or(0, |(_, (_, forgotten))| forgotten.len());
        }
    }

    pub(super) fn of_job(
        &mut self,
        job_id: &str,
        now: Instant,
    ) -> (Option<ProgressRecord>, Vec<AttemptRecord>) {
        let progress =
            self.progress.peek(job_id).filter(|(expires, _)| *expires > now).map(|(_, told)| told.clone());
        let attempts = self.attempts.peek(job_id).filter(|(expires, _)| *expires > now);
        (progress, attempts.map(|(_, kept)| kept.iter().cloned().collect()).unwrap_or_default())
    }
}
