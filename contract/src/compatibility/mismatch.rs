//! A place where a reader may refuse a writer's value.

use super::finding::Affected;

/// A place where a reader may refuse a writer's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The place in the payload: a JSON pointer in which `*` stands for each item or entry.
    pub pointer: String,
    /// The kind of the mismatch.
    pub kind: MismatchKind,
    /// The reason why the value may fit after all. `None` if it certainly does not fit.
    pub doubt: Option<String>,
}

/// The kind of a mismatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MismatchKind {
    /// The reader requires a field that the writer may leave out.
    MissingField,
    /// The reader refuses unknown fields, and the writer writes this field.
    UnknownField,
    /// The writer may write a value or variant that the reader does not know.
    UnknownValue(String),
    /// The reader accepts less than the writer may write.
    Narrower {
        /// The values that the writer may write.
        written: String,
        /// The values that the reader accepts.
        accepted: String,
    },
    /// The two cannot be compared here.
    NotCompared,
}

impl MismatchKind {
    /// Returns a sentence about the problem for the affected side.
    pub(super) fn problem(&self, affected: Affected) -> String {
        let (readers, writers) = match affected {
            Affected::WaitingMessages => ("new workers", "old producers"),
            Affected::RunningWorkers => ("running workers", "new producers"),
        };
        match self {
            Self::MissingField => format!("{readers} require the field, and {writers} may leave it out"),
            Self::UnknownField => format!("{readers} refuse unknown fields, and {writers} write this one"),
            Self::UnknownValue(value) => format!("{writers} may write {value}, which {readers} do not know"),
            Self::Narrower { written, accepted } => {
                format!("{writers} may write {written}, and {readers} accept only {accepted}")
            }
            Self::NotCompared => format!("it is not known whether {readers} accept what {writers} write"),
        }
    }

    /// Returns how to avoid the mismatch, if there is a way other than a new version.
    pub(super) fn fix(&self, affected: Affected) -> Option<&'static str> {
        match (affected, self) {
            (_, Self::NotCompared) => None,
            (Affected::WaitingMessages, Self::MissingField) => {
                Some("make the field optional: an Option, or #[serde(default)]")
            }
            (Affected::WaitingMessages, Self::UnknownField) => {
                Some("keep the field, optional and unused, while such messages wait")
            }
            (Affected::WaitingMessages, Self::UnknownValue(_)) => {
                Some("keep reading it while such messages wait")
            }
            (Affected::WaitingMessages, Self::Narrower { .. }) => {
                Some("accept the old values too while such messages wait")
            }
            (Affected::RunningWorkers, Self::MissingField) => {
                Some("keep writing the field until all workers can do without it")
            }
            (Affected::RunningWorkers, _) => {
                Some("first deploy workers that accept it, and only then producers that write it")
            }
        }
    }
}

/// A difference between a writer's shape and a reader's at one place.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) kind: MismatchKind,
    pub(super) doubt: Option<String>,
}

impl Misfit {
    pub(super) fn certain(kind: MismatchKind) -> Self {
        Self { kind, doubt: None }
    }

    pub(super) fn narrower(written: &str, accepted: &str) -> Self {
        Self::certain(MismatchKind::Narrower { written: written.to_owned(), accepted: accepted.to_owned() })
    }

    pub(super) fn doubtful(doubt: &str) -> Self {
        Self { kind: MismatchKind::NotCompared, doubt: Some(doubt.to_owned()) }
    }
}
