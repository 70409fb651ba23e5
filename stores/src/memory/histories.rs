//! The progress and the failed attempts of jobs, for people. Those updated longest ago go first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drumline::Identity;
use lru::LruCache;
use tokio::time::Instant;

use super::job_ids::JobIds;
use crate::record::{AttemptRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};

/// The number of jobs whose progress is kept: those that report theirs are long, and so are few.
const MAX_TOLD: usize = 10_000;

/// How many failed attempts are kept of all jobs together: some 25 MiB of them.
const MAX_ATTEMPTS: usize = 50_000;

/// Both by the keys of their identities.
#[derive(Debug)]
pub(super) struct Histories {
    keep: Duration,
    progress: LruCache<Arc<str>, (Instant, ProgressRecord)>,
    attempts: LruCache<Arc<str>, (Instant, VecDeque<AttemptRecord>)>,
    /// In all of `attempts`.
    attempts_kept: usize,
    job_ids: JobIds,
}

impl Histories {
    pub(super) fn new(keep: Duration) -> Self {
        // Unbounded for the caches, which would allocate all their space at once: the bounds are kept here.
        Self {
            keep,
            progress: LruCache::unbounded(),
            attempts: LruCache::unbounded(),
            attempts_kept: 0,
            // As many as there can be jobs with a history.
            job_ids: JobIds::new(MAX_TOLD + MAX_ATTEMPTS),
        }
    }

    pub(super) fn progress(&mut self, identity: &Identity, progress: &ProgressRecord, now: Instant) {
        self.job_ids.add(identity.job_id(), identity.key());
        self.progress.put(Arc::clone(identity.key()), (now + self.keep, progress.clone()));
        if self.progress.len() > MAX_TOLD {
            self.progress.pop_lru();
        }
    }

    pub(super) fn attempted(&mut self, identity: &Identity, attempt: &AttemptRecord, now: Instant) {
        self.job_ids.add(identity.job_id(), identity.key());
        let new = || (now, VecDeque::with_capacity(1));
        let (expires, kept) = self.attempts.get_or_insert_mut(Arc::clone(identity.key()), new);
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

    /// Returns the keys of the jobs that had a history under a job id.
    pub(super) fn keys(&self, job_id: &str) -> impl Iterator<Item = String> {
        self.job_ids.keys(job_id).iter().map(ToString::to_string)
    }

    /// Returns the history of a key.
    pub(super) fn of(&self, key: &str, now: Instant) -> (Option<ProgressRecord>, Vec<AttemptRecord>) {
        let progress = self.progress.peek(key).filter(|(expires, _)| *expires > now);
        let attempts = self.attempts.peek(key).filter(|(expires, _)| *expires > now);
        let attempts = attempts.map(|(_, kept)| kept.iter().cloned().collect());
        (progress.map(|(_, last)| last.clone()), attempts.unwrap_or_default())
    }
}
