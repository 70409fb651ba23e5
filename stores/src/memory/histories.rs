//! The progress and the failed attempts of jobs, for people. Those updated longest ago go first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drumline::message::Identity;
use lru::LruCache;
use tokio::time::Instant;

use super::job_ids::JobIds;
use crate::record::{AttemptRecord, MAX_ATTEMPTS_KEPT, ProgressRecord};

/// The number of jobs whose progress is kept: those that report theirs are long, and so are few.
const MAX_TOLD: usize = 10_000;

/// How many bytes the progress of all jobs has, with their keys.
const MAX_PROGRESS_BYTES: usize = 16 * 1024 * 1024;

/// How many failed attempts are kept of all jobs together: some 25 MiB of them.
const MAX_ATTEMPTS: usize = 50_000;

/// How many bytes the failed attempts of all jobs have, with their keys.
const MAX_ATTEMPTS_BYTES: usize = 64 * 1024 * 1024;

/// How many bytes the job ids have, with the keys that they lead to.
const MAX_JOB_IDS_BYTES: usize = 32 * 1024 * 1024;

/// Both by the keys of their identities.
#[derive(Debug)]
pub(super) struct Histories {
    keep: Duration,
    progress: LruCache<Arc<str>, (Instant, ProgressRecord)>,
    /// In all of `progress`.
    progress_bytes: usize,
    attempts: LruCache<Arc<str>, (Instant, VecDeque<AttemptRecord>)>,
    /// In all of `attempts`.
    attempts_kept: usize,
    attempts_bytes: usize,
    job_ids: JobIds,
}

impl Histories {
    pub(super) fn new(keep: Duration) -> Self {
        // Unbounded for the caches, which would allocate all their space at once: the bounds are kept here.
        Self {
            keep,
            progress: LruCache::unbounded(),
            progress_bytes: 0,
            attempts: LruCache::unbounded(),
            attempts_kept: 0,
            attempts_bytes: 0,
            // As many as there can be jobs with a history.
            job_ids: JobIds::new(MAX_TOLD + MAX_ATTEMPTS, MAX_JOB_IDS_BYTES),
        }
    }

    pub(super) fn progress(&mut self, identity: &Identity, progress: &ProgressRecord, now: Instant) {
        self.job_ids.add(identity.job_id(), identity.key());
        let of = |key: &Arc<str>, progress: &ProgressRecord| {
            key.len() + progress.unit.len() + size_of::<ProgressRecord>()
        };
        self.progress_bytes += of(identity.key(), progress);
        let entry = (now + self.keep, progress.clone());
        if let Some((key, (_, before))) = self.progress.push(Arc::clone(identity.key()), entry) {
            self.progress_bytes -= of(&key, &before);
        }
        while self.progress.len() > MAX_TOLD || self.progress_bytes > MAX_PROGRESS_BYTES {
            let Some((key, (_, forgotten))) = self.progress.pop_lru() else { break };
            self.progress_bytes -= of(&key, &forgotten);
        }
    }

    pub(super) fn attempted(&mut self, identity: &Identity, attempt: &AttemptRecord, now: Instant) {
        self.job_ids.add(identity.job_id(), identity.key());
        let Self { attempts, attempts_bytes, .. } = self;
        let (expires, kept) = attempts.get_or_insert_mut(Arc::clone(identity.key()), || {
            *attempts_bytes += identity.key().len();
            (now, VecDeque::with_capacity(1))
        });
        if *expires <= now {
            self.attempts_kept -= kept.len();
            *attempts_bytes -= kept.drain(..).map(|attempt| weight(&attempt)).sum::<usize>();
        }
        *expires = now + self.keep;
        if kept.len() == MAX_ATTEMPTS_KEPT {
            *attempts_bytes -= kept.pop_front().map_or(0, |attempt| weight(&attempt));
            self.attempts_kept -= 1;
        }
        *attempts_bytes += weight(attempt);
        kept.push_back(attempt.clone());
        self.attempts_kept += 1;
        // The job at hand is the one used last, and goes last.
        while self.attempts_kept > MAX_ATTEMPTS || self.attempts_bytes > MAX_ATTEMPTS_BYTES {
            let Some((key, (_, forgotten))) = self.attempts.pop_lru() else { break };
            self.attempts_kept -= forgotten.len();
            self.attempts_bytes -= key.len() + forgotten.iter().map(weight).sum::<usize>();
        }
    }

    /// Returns the keys of the jobs that had a history under a job id.
    pub(super) fn keys(&self, job_id: &str) -> impl Iterator<Item = String> {
        self.job_ids.keys(job_id).iter().map(ToString::to_string)
    }

    /// Returns the keys and the job ids of the jobs that failed last, the newest first.
    pub(super) fn recent(&self, limit: usize) -> impl Iterator<Item = (String, String)> {
        self.attempts.iter().take(limit).filter_map(|(key, (_, kept))| {
            let last = kept.back()?;
            Some((key.to_string(), last.job_id.clone().unwrap_or_else(|| last.message_id.clone())))
        })
    }

    /// Returns the history of a key.
    pub(super) fn of(&self, key: &str, now: Instant) -> (Option<ProgressRecord>, Vec<AttemptRecord>) {
        let progress = self.progress.peek(key).filter(|(expires, _)| *expires > now);
        let attempts = self.attempts.peek(key).filter(|(expires, _)| *expires > now);
        let attempts = attempts.map(|(_, kept)| kept.iter().cloned().collect());
        (progress.map(|(_, last)| last.clone()), attempts.unwrap_or_default())
    }
}

/// Returns the bytes that an attempt takes.
fn weight(attempt: &AttemptRecord) -> usize {
    let AttemptRecord { message_id, job_id, queue, job_type, worker, class, reason, outcome, log, .. } =
        attempt;
    let texts = [message_id, queue, worker, class, reason, outcome].map(String::len);
    let optional = [job_id, job_type].map(|text| text.as_ref().map_or(0, String::len));
    let log: usize = log.iter().map(|line| line.len() + size_of::<String>()).sum();
    texts.iter().chain(&optional).sum::<usize>() + log + size_of::<AttemptRecord>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn attempt(reason_bytes: usize) -> AttemptRecord {
        AttemptRecord {
            at_ms: 1,
            message_id: "m-1".to_owned(),
            job_id: None,
            queue: "jobs".to_owned(),
            job_type: None,
            attempt: 1,
            receive_count: 1,
            worker: "worker-1".to_owned(),
            took_ms: 1,
            class: "retry_asked".to_owned(),
            reason: "r".repeat(reason_bytes),
            outcome: "retry".to_owned(),
            retry_in_ms: None,
            last_attempt: false,
            log: Vec::new(),
        }
    }

    /// Returns the bytes that are kept, counted anew.
    fn counted(histories: &Histories) -> (usize, usize) {
        let progress = histories
            .progress
            .iter()
            .map(|(key, (_, told))| key.len() + told.unit.len() + size_of::<ProgressRecord>());
        let attempts = histories
            .attempts
            .iter()
            .map(|(key, (_, kept))| key.len() + kept.iter().map(weight).sum::<usize>());
        (progress.sum(), attempts.sum())
    }

    #[tokio::test(start_paused = true)]
    async fn long_histories_are_fewer_and_their_bytes_are_counted_right() {
        let mut histories = Histories::new(Duration::from_secs(60));
        let progress = ProgressRecord { at_ms: 1, done: 1, total: 2, unit: "u".repeat(100_000) };
        for round in 0..1_000 {
            // Some come again, some expire in between.
            let identity = Identity::new("queue", "type", None, format!("{}", round % 700));
            histories.progress(&identity, &progress, Instant::now());
            for _ in 0..=round % 3 {
                histories.attempted(&identity, &attempt(round * 200), Instant::now());
            }
            let bytes = (histories.progress_bytes, histories.attempts_bytes);
            assert!(bytes.0 <= MAX_PROGRESS_BYTES && bytes.1 <= MAX_ATTEMPTS_BYTES, "{bytes:?}");
            if round % 100 == 0 {
                assert_eq!(bytes, counted(&histories));
                tokio::time::advance(Duration::from_secs(40)).await;
            }
        }
        assert_eq!((histories.progress_bytes, histories.attempts_bytes), counted(&histories));
        let last = Identity::new("queue", "type", None, "299");
        let (progress, attempts) = histories.of(last.key(), Instant::now());
        assert!(progress.is_some() && !attempts.is_empty(), "the newest is kept");
        let first = Identity::new("queue", "type", None, "301");
        assert!(histories.of(first.key(), Instant::now()).0.is_none(), "the oldest has gone");
    }
}
