//! The rules of all outboxes: invalid jobs, and the times when jobs are due.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::job::{Due, OutboxJob};
use super::unique::Unique;
use crate::store::{StoreError, millis};

/// The longest id: SQS uses it to deduplicate FIFO messages, and accepts this many characters.
const MAX_ID: usize = 128;

/// The largest version of a schema: the largest integer that all servers support.
const MAX_VERSION: u32 = i32::MAX.unsigned_abs();

/// The longest unique key in bytes: it fits into an index of every server.
const MAX_KEY: usize = 1_024;

/// A take ends when its payloads reach this size, so that a response fits into a process's memory.
pub(crate) const MAX_TAKEN_BYTES: usize = 16 << 20;

/// The latest time at which a job may be due, in the year 5138: larger numbers would not be exact in every server.
const MAX_MS: i64 = 99_999_999_999_999;

/// The longest time that a job may wait: a thousand years.
const MAX_AFTER: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// Refuses jobs that some outbox could not store.
pub(crate) fn check(jobs: &[OutboxJob]) -> Result<(), StoreError> {
    jobs.iter().try_for_each(check_job)
}

fn check_job(job: &OutboxJob) -> Result<(), StoreError> {
    let OutboxJob {
        id,
        job_type,
        schema_version,
        payload,
        queue,
        group,
        idempotency_key,
        correlation_id,
        traceparent,
        ..
    } = job;
    if id.is_empty() || id.chars().count() > MAX_ID {
        return refuse(format!("a job's id has 1 to {MAX_ID} characters: {id:?}"));
    }
    check_text("id", id)?;
    if job_type.is_empty() {
        return refuse(format!("job {id:?} has an empty type"));
    }
    if group.as_deref() == Some("") {
        return refuse(format!("job {id:?} has an empty group: leave it out"));
    }
    if !(1..=MAX_VERSION).contains(schema_version) {
        return refuse(format!(
            "the schema version of job {id:?} is from 1 to {MAX_VERSION}: {schema_version}"
        ));
    }
    let optional = [
        ("queue", queue),
        ("group", group),
        ("idempotency key", idempotency_key),
        ("correlation id", correlation_id),
        ("traceparent", traceparent),
    ];
    check_text("type", job_type)?;
    check_text("payload", payload)?;
    if let Err(error) = serde_json::from_str::<IgnoredAny>(payload) {
        return refuse(format!("the payload of job {id:?} is not JSON: {error}"));
    }
    for (name, text) in optional {
        check_text(name, text.as_deref().unwrap_or_default())?;
    }
    for (name, value) in &job.attributes {
        check_text("name of an attribute", name)?;
        check_text("value of an attribute", value)?;
    }
    match job.due {
        Due::AtMs(at) if at > MAX_MS => refuse(format!("job {id:?} is due after the year 5000")),
        Due::After(after) if after > MAX_AFTER => refuse(format!("job {id:?} is due after a thousand years")),
        Due::Now | Due::After(_) | Due::AtMs(_) => Ok(()),
    }
}

/// Refuses keys that some outbox could not store.
pub(crate) fn check_unique(unique: &Unique) -> Result<(), StoreError> {
    let key = &unique.key;
    if key.is_empty() || key.len() > MAX_KEY {
        return refuse(format!("a unique key has 1 to {MAX_KEY} bytes: {key:?}"));
    }
    check_text("unique key", key)
}

/// Refuses a text with the character NUL, which PostgreSQL cannot store. The JSON escape `\u0000` is allowed.
pub(crate) fn check_text(name: &str, text: &str) -> Result<(), StoreError> {
    if text.contains('\0') {
        return refuse(format!("the {name} has the character NUL: {text:?}"));
    }
    Ok(())
}

fn refuse(text: String) -> Result<(), StoreError> {
    Err(StoreError::Refused(text.into()))
}

/// Returns the time at which a job is due that is added now. If its time has passed, it is due from now, so that the time
/// before it was added does not count as delay.
pub(crate) fn due_ms(due: Due, now_ms: i64) -> i64 {
    match due {
        Due::Now => now_ms,
        Due::After(after) => later(now_ms, after),
        Due::AtMs(at) => at.max(now_ms),
    }
}

/// Returns `now_ms` plus `after`.
pub(crate) fn later(now_ms: i64, after: Duration) -> i64 {
    now_ms.saturating_add(millis(after)).min(MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_some_outbox_could_not_keep_are_refused() {
        let job = |change: fn(&mut OutboxJob)| {
            let mut job = OutboxJob::new("id", "type", "{}");
            change(&mut job);
            check(&[OutboxJob::new("other", "type", "{}"), job]).is_ok()
        };
        assert!(job(|_| ()));
        assert!(job(|job| job.id = "ö".repeat(128)));
        assert!(job(|job| job.payload = r#"{"nul":"\u0000"}"#.to_owned()));
        assert!(job(|job| job.due = Due::AtMs(-1)));
        assert!(!job(|job| job.id = String::new()));
        assert!(!job(|job| job.id = "x".repeat(129)));
        assert!(job(|job| job.schema_version = i32::MAX.unsigned_abs()));
        assert!(!job(|job| job.schema_version = i32::MAX.unsigned_abs() + 1));
        assert!(!job(|job| job.schema_version = 0));
        assert!(!job(|job| job.job_type = String::new()));
        assert!(!job(|job| job.group = Some(String::new())));
        assert!(job(
            |job| job.payload = format!("{{\"n\":1e400,\"deep\":{}{}}}", "[".repeat(500), "]".repeat(500))
        ));
        for text in ["", "{", "no JSON", "{} {}", "\"\n\""] {
            let job = OutboxJob::new("id", "type", text);
            assert!(check(&[job]).is_err(), "{text:?}");
        }
        assert!(!job(|job| job.payload = "\0".to_owned()));
        assert!(!job(|job| job.group = Some("a\0".to_owned())));
        assert!(!job(|job| drop(job.attributes.insert("a".to_owned(), "\0".to_owned()))));
        assert!(!job(|job| job.due = Due::AtMs(i64::MAX)));
        assert!(!job(|job| job.due = Due::After(Duration::MAX)));
    }

    #[test]
    fn a_time_that_has_passed_is_now() {
        assert_eq!(due_ms(Due::AtMs(5), 10), 10);
        assert_eq!(due_ms(Due::AtMs(15), 10), 15);
        assert_eq!(due_ms(Due::After(Duration::from_millis(5)), 10), 15);
        assert_eq!(due_ms(Due::Now, 10), 10);
    }
}
