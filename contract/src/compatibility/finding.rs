//! A finding of a comparison of two contracts.

use std::fmt;

use serde::Serialize;

/// A relevant difference between two contracts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The severity. Findings are sorted by it.
    pub severity: Severity,
    /// The side that is affected; `None` if it is not known.
    #[serde(rename = "affects")]
    pub affected: Option<Affected>,
    /// The job type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The payload's version.
    pub version: u32,
    /// The place in the payload, as a JSON pointer (RFC 6901) in which `*` stands for each item of an array and each entry of a
    /// map. Empty for the payload as a whole.
    pub pointer: String,
    /// The problem.
    pub problem: String,
    /// The way to make the change without the problem.
    pub fix: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Some messages cannot be read.
    Breaking,
    /// The schemas contain too little information, or more than this crate compares. The change may break something.
    Unknown,
    /// Nothing breaks, but the information is useful.
    Note,
}

/// The side that receives messages of the other version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affected {
    /// Messages of old producers, in the queue or its DLQ, which new workers receive.
    WaitingMessages,
    /// Workers of the old contract, which receive messages of new producers until a deploy ends.
    RunningWorkers,
}

impl Finding {
    pub(super) fn breaking(job_type: &str, version: u32, affected: Affected) -> Self {
        Self {
            severity: Severity::Breaking,
            affected: Some(affected),
            job_type: job_type.to_owned(),
            version,
            pointer: String::new(),
            problem: String::new(),
            fix: String::new(),
        }
    }

    pub(super) fn note(job_type: &str, version: u32, affected: Affected) -> Self {
        Self { severity: Severity::Note, ..Self::breaking(job_type, version, affected) }
    }
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitingMessages => "waiting messages",
            Self::RunningWorkers => "running workers",
        })
    }
}

/// Formats the finding on one line without its fix, such as `breaks waiting messages: email.send version 2 at /userId: ...`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, affected, job_type, version, pointer, problem, fix: _ } = self;
        let affected = affected.map_or_else(String::new, |affected| format!(" {affected}"));
        match severity {
            Severity::Breaking => write!(f, "breaks{affected}: ")?,
            Severity::Unknown if affected.is_empty() => write!(f, "cannot be compared: ")?,
            Severity::Unknown => write!(f, "may break{affected}: ")?,
            Severity::Note => write!(f, "note for{affected}: ")?,
        }
        write!(f, "{job_type} version {version}")?;
        if !pointer.is_empty() {
            write!(f, " at {pointer}")?;
        }
        write!(f, ": {problem}")
    }
}
