//! Records for tests.

use drumline_store::{AttemptRecord, ClaimRecord, JobRecord, JobState};

pub(crate) fn attempt(outcome: &str, reason: &str) -> AttemptRecord {
    AttemptRecord {
        at_ms: 1_700_000_000_000,
        message_id: "m-1".to_owned(),
        job_id: None,
        queue: "jobs".to_owned(),
        job_type: Some("email.send".to_owned()),
        attempt: 2,
        receive_count: 3,
        worker: "host-7".to_owned(),
        took_ms: 1_250,
        class: "rejected".to_owned(),
        reason: reason.to_owned(),
        outcome: outcome.to_owned(),
        retry_in_ms: None,
        last_attempt: false,
        log: Vec::new(),
    }
}

pub(crate) fn claim(state: JobState) -> ClaimRecord {
    ClaimRecord {
        state,
        key: "8:arn:jobs,10:email.send,0:,3:j-1".to_owned(),
        job_id: "j-1".to_owned(),
        job_type: "email.send".to_owned(),
        queue: "jobs".to_owned(),
        message_id: "m-1".to_owned(),
        owner: "host-7".to_owned(),
        attempts: 2,
        claimed_until_ms: 1_700_000_030_000,
        finished_at_ms: None,
        failure_reason: None,
        result: None,
    }
}

pub(crate) fn job(claim: Option<ClaimRecord>, attempts: Vec<AttemptRecord>) -> JobRecord {
    JobRecord { job_id: "j-1".to_owned(), claim, attempts, ..JobRecord::default() }
}
