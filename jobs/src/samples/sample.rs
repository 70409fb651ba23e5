//! One sample, and the parts of its message.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use url::Url;

/// A job to send, and its expected outcome.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The subject of the sample, in a few words.
    pub label: String,
    /// The message body: a job in the native envelope.
    pub body: String,
    /// The expected end of the sample.
    pub expect: Expect,
    /// The files that exist after the job is done, and not before.
    pub outputs: Vec<PathBuf>,
}

/// The end of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Its handler succeeds, and the message is deleted.
    Done,
    /// It cannot succeed, and the message goes to the dead-letter queue.
    DeadLettered,
}

/// Returns a job that cannot succeed.
pub(super) fn dead(label: &str, body: String) -> Sample {
    Sample { label: label.to_owned(), body, expect: Expect::DeadLettered, outputs: vec![] }
}

pub(super) fn job(id: &str, job_type: &str, payload: &Value) -> String {
    json!({ "jobId": format!("sample-{id}"), "type": job_type, "schemaVersion": 1, "payload": payload })
        .to_string()
}

pub(super) fn file_url(path: &Path) -> String {
    Url::from_file_path(path).expect("a canonical path is absolute").into()
}
