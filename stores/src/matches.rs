//! The jobs that share a job id: their order, and the merging of records of version 0.1.

use crate::record::{
    AttemptRecord, ClaimRecord, DuplicateOf, JobRecord, JobState, MAX_MATCHES, ProgressRecord,
};

impl JobRecord {
    /// Creates a record of the data that a store keeps under one key; `None` if there is none.
    pub(crate) fn of(
        job_id: &str,
        claim: Option<ClaimRecord>,
        progress: Option<ProgressRecord>,
        attempts: Vec<AttemptRecord>,
    ) -> Option<Self> {
        if claim.is_none() && progress.is_none() && attempts.is_empty() {
            return None;
        }
        let duplicate_of = claim.as_ref().and_then(|claim| claim.duplicated_by(job_id));
        Some(Self { job_id: job_id.to_owned(), claim, duplicate_of, progress, attempts, ..Self::default() })
    }

    /// Returns the time when the job changed last, in milliseconds since the Unix epoch, if it is known. A running job changes
    /// until its claim ends, which is in the future.
    pub fn changed_at_ms(&self) -> Option<u64> {
        let claim = self.claim.as_ref().map(|claim| claim.finished_at_ms.unwrap_or(claim.claimed_until_ms));
        let progress = self.progress.as_ref().map(|progress| progress.at_ms);
        let attempts = self.attempts.iter().map(|attempt| attempt.at_ms);
        claim.into_iter().chain(progress).chain(attempts).max()
    }
}

impl ClaimRecord {
    /// Returns this run as the original of a duplicate, if it succeeded under another job id.
    fn duplicated_by(&self, job_id: &str) -> Option<DuplicateOf> {
        (self.state == JobState::Done && self.job_id != job_id).then(|| DuplicateOf {
            job_id: self.job_id.clone(),
            message_id: self.message_id.clone(),
            queue: self.queue.clone(),
            worker: self.owner.clone(),
            finished_at_ms: self.finished_at_ms,
        })
    }
}

/// Orders the matches of a job id, most recently changed first, and drops those beyond [`MAX_MATCHES`].
pub(crate) fn in_order(matches: Vec<JobRecord>) -> Vec<JobRecord> {
    newest(matches, MAX_MATCHES)
}

/// Orders jobs, most recently changed first, and drops those beyond `most`.
pub(crate) fn newest(mut jobs: Vec<JobRecord>, most: usize) -> Vec<JobRecord> {
    jobs.sort_by_key(|job| std::cmp::Reverse(job.changed_at_ms()));
    jobs.truncate(most);
    jobs
}

/// Adds a record of version 0.1, which identified jobs only by their id, so that its attempts may belong to several jobs: each
/// attempt is merged into a match with its queue and type, and the rest becomes a separate match.
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb", test))]
pub(crate) fn add_old(matches: &mut Vec<JobRecord>, old: JobRecord) {
    let JobRecord { job_id, mut claim, mut progress, mut attempts, .. } = old;
    let mut is_merged = false;
    for newer in matches.iter_mut() {
        let (queue, job_type) = origin(newer);
        let is_same = |old_queue: &str, old_type: Option<&str>| {
            let same_type = old_type.zip(job_type).is_none_or(|(old, new)| old == new);
            queue == Some(old_queue) && same_type
        };
        let same_claim = claim.take_if(|claim| is_same(&claim.queue, Some(&claim.job_type)));
        let (mut before, others): (Vec<_>, Vec<_>) =
            attempts.into_iter().partition(|old| is_same(&old.queue, old.job_type.as_deref()));
        attempts = others;
        if same_claim.is_some() || !before.is_empty() {
            is_merged = true;
            newer.progress = newer.progress.take().or_else(|| progress.take());
        }
        if newer.claim.is_none() && same_claim.is_some() {
            newer.duplicate_of = same_claim.as_ref().and_then(|claim| claim.duplicated_by(&newer.job_id));
            newer.claim = same_claim;
        }
        before.append(&mut newer.attempts);
        newer.attempts = before;
    }
    // Progress has no queue: it stays with the rest.
    if !is_merged || claim.is_some() || !attempts.is_empty() {
        matches.extend(JobRecord::of(&job_id, claim, progress, attempts));
    }
}

/// Returns the queue and the type of a job, if they are known.
#[cfg(any(feature = "redis", feature = "postgres", feature = "dynamodb", test))]
fn origin(job: &JobRecord) -> (Option<&str>, Option<&str>) {
    let attempt = job.attempts.last();
    match &job.claim {
        Some(claim) => (Some(&claim.queue), Some(&claim.job_type)),
        None => (attempt.map(|attempt| &*attempt.queue), attempt.and_then(|last| last.job_type.as_deref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(queue: &str, job_type: &str, state: JobState, job_id: &str) -> ClaimRecord {
        ClaimRecord {
            state,
            key: "k".to_owned(),
            job_id: job_id.to_owned(),
            job_type: job_type.to_owned(),
            queue: queue.to_owned(),
            message_id: "m".to_owned(),
            owner: "w".to_owned(),
            attempts: 1,
            claimed_until_ms: 5,
            finished_at_ms: (state == JobState::Done).then_some(3),
            failure_reason: None,
            result: None,
        }
    }

    fn attempt(queue: &str, job_type: Option<&str>, at_ms: u64) -> AttemptRecord {
        AttemptRecord {
            at_ms,
            message_id: "m".to_owned(),
            job_id: None,
            queue: queue.to_owned(),
            job_type: job_type.map(str::to_owned),
            attempt: 1,
            receive_count: 1,
            worker: "w".to_owned(),
            took_ms: 1,
            class: "error".to_owned(),
            reason: String::new(),
            outcome: "retry".to_owned(),
            retry_in_ms: None,
            last_attempt: false,
            log: Vec::new(),
        }
    }

    fn job(claim: Option<ClaimRecord>, attempts: Vec<AttemptRecord>) -> JobRecord {
        JobRecord::of("j", claim, None, attempts).expect("there is something")
    }

    #[test]
    fn the_match_that_changed_last_comes_first_and_they_are_bounded() {
        let done = job(Some(claim("a", "t", JobState::Done, "j")), Vec::new());
        let running = job(Some(claim("b", "t", JobState::Running, "j")), Vec::new());
        let failed = job(None, vec![attempt("c", None, 4)]);
        let matches = in_order(vec![done.clone(), failed.clone(), running.clone()]);
        assert_eq!(matches, [running, failed, done.clone()]);
        assert_eq!(in_order(vec![done; MAX_MATCHES + 3]).len(), MAX_MATCHES);
    }

    #[test]
    fn only_a_done_claim_of_another_job_id_makes_a_duplicate() {
        let of = |state, job_id: &str| job(Some(claim("a", "t", state, job_id)), Vec::new()).duplicate_of;
        assert_eq!(of(JobState::Done, "j"), None);
        assert_eq!(of(JobState::Running, "other"), None);
        let duplicate = of(JobState::Done, "other").expect("is one");
        assert_eq!((&*duplicate.job_id, duplicate.finished_at_ms), ("other", Some(3)));
    }

    #[test]
    fn old_attempts_go_to_the_match_of_their_queue_and_type() {
        let mut matches = vec![
            job(Some(claim("a", "t", JobState::Running, "j")), vec![attempt("a", Some("t"), 9)]),
            job(Some(claim("a", "other", JobState::Running, "j")), Vec::new()),
        ];
        let progress = ProgressRecord { at_ms: 1, done: 1, total: 2, unit: "rows".to_owned() };
        let old_attempts =
            vec![attempt("a", Some("t"), 1), attempt("b", Some("t"), 2), attempt("a", Some("t"), 3)];
        let old = JobRecord {
            progress: Some(progress.clone()),
            ..job(Some(claim("a", "t", JobState::Waiting, "j")), old_attempts)
        };
        add_old(&mut matches, old);
        let times = |job: &JobRecord| job.attempts.iter().map(|attempt| attempt.at_ms).collect::<Vec<_>>();
        assert_eq!(matches.iter().map(times).collect::<Vec<_>>(), [vec![1, 3, 9], vec![], vec![2]]);
        assert_eq!(matches[0].progress, Some(progress));
        assert_eq!(matches[0].claim.as_ref().map(|claim| claim.state), Some(JobState::Running));
        assert_eq!(matches[2].claim, None);
    }

    #[test]
    fn an_old_record_of_another_queue_or_type_is_a_separate_match() {
        for (queue, job_type) in [("b", "t"), ("a", "u")] {
            let mut matches = vec![job(Some(claim("a", "t", JobState::Running, "j")), Vec::new())];
            let old = job(Some(claim(queue, job_type, JobState::Done, "j")), Vec::new());
            add_old(&mut matches, old.clone());
            assert_eq!(matches[1..], [old]);
        }
        let mut matches = Vec::new();
        let old = job(None, vec![attempt("a", None, 1)]);
        add_old(&mut matches, old.clone());
        assert_eq!(matches, [old]);
    }
}
