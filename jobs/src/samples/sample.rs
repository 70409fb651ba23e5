//! One sample, and the parts of its message.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use url::Url;

/// A job to send, and what is to become of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it shows, in a few words.
    pub label: String,
    /// The message body: a job in the native envelope.
    pub body: String,
    /// How it ends.
    pub expect: Expect,
    /// The files that are there once it is done, and not before.
    pub outputs: Vec<PathBuf>,
}

/// How a sample ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Its handler succeeds, and the message is deleted.
    Done,
    /// It can't succeed, and the message ends in the dead-letter queue.
    DeadLettered,
}

/// A job that cannot succeed.
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
