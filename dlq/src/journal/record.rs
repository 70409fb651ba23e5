//! The lines of a journal. They contain ids, receipts and counts, and parts of bodies only if an edit writes them: values, or
//! the new body in place of one that is no JSON.

use std::fmt;

use crate::fix::Fix;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// The version of the format.
pub const JOURNAL_VERSION: u32 = 1;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Record {
    /// The first line: the action.
    Begin(Header),
    /// Letters that were counted before the first was sent, as numbers in hexadecimal. If there are such lines, only their
    /// letters are sent.
    Chosen {
        /// The numbers.
        letters: Vec<String>,
    },
    /// An edit for a letter or a group of letters.
    Edited {
        /// The letter or the group.
        key: String,
        /// The changes; `None` if it is skipped.
        fix: Option<Fix>,
    },
    /// The action was resumed. A batch that was planned before and has no `sent` line may have been sent.
    Resumed {
        /// The time, in milliseconds since the Unix epoch.
        at: u64,
        /// The seconds for which received letters are hidden from now on.
        hold_secs: u64,
    },
    /// The letters of the next send.
    Plan(Plan),
    /// The answer to the send of a batch.
    Sent {
        /// The batch.
        batch: u64,
        /// The ids of the new messages, in the order of the plan; `None` for a letter that was not sent.
        ids: Vec<Option<String>>,
        /// The reasons why letters were not sent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        errors: Vec<String>,
    },
    /// The answer to the send of a batch was lost, and the batch is sent once more.
    Resent {
        /// The batch.
        batch: u64,
        /// The time, in milliseconds since the Unix epoch.
        at: u64,
    },
    /// A letter of an interrupted batch that was sent: its job is done since then.
    Found {
        /// The id of its message.
        letter: String,
    },
    /// Letters of a batch that were deleted from the DLQ.
    Gone {
        /// The batch.
        batch: u64,
        /// The places of the letters in its plan.
        places: Vec<usize>,
    },
    /// A letter that matches and stays in the DLQ.
    Left {
        /// The id of its message.
        letter: String,
        /// The reason.
        why: Left,
    },
    /// A message of this action that is in the DLQ again.
    Returned {
        /// Its id, or that of the message it is a copy of.
        message: String,
    },
    /// The outcomes of the first letters.
    Canary {
        /// The time.
        at: u64,
        /// Jobs that are done.
        done: usize,
        /// Messages that are dead again.
        dead: usize,
        /// Messages with an unknown outcome.
        unknown: usize,
    },
    /// The action was stopped.
    Stopped {
        /// The time.
        at: u64,
        /// The reason, as a text for people.
        why: String,
    },
    /// The action was done.
    Ended {
        /// The time.
        at: u64,
    },
}

/// The first line: the action and its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of the format.
    pub drumline_journal: u32,
    /// The kind of action: `replay`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The person or program that acts.
    pub actor: String,
    /// The URL of the DLQ.
    pub dlq_url: String,
    /// The queue whose settings apply to the letters, if the DLQ was found through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The flags that choose the letters and their changes, as they were given.
    pub words: Vec<String>,
    /// The contents of files that those flags name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileMark>,
    /// The export that the letters come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FileMark>,
    /// The time of the start, in milliseconds since the Unix epoch. Ages are relative to it.
    pub started_at: u64,
    /// The seconds for which received letters are hidden.
    pub hold_secs: u64,
}

/// A file on which an action depends: a resumed action refuses a changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Its path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The XXH3-128 of its content, in hexadecimal.
    pub xxh3: String,
}

impl FileMark {
    /// Returns the mark of a file with this content.
    pub fn of(path: &str, content: &[u8]) -> Self {
        let xxh3 = format!("{:032x}", xxh3_128(content));
        Self { path: path.to_owned(), bytes: content.len() as u64, xxh3 }
    }
}

/// A hasher that makes the [mark](FileMark) of a file that is read in parts.
#[derive(Default)]
pub struct FileHasher {
    bytes: u64,
    hash: Xxh3,
}

impl FileHasher {
    /// Adds a part.
    pub fn add(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        self.hash.update(part);
    }

    /// Returns the mark of the file at this path.
    pub fn mark(&self, path: &str) -> FileMark {
        let xxh3 = format!("{:032x}", self.hash.digest128());
        FileMark { path: path.to_owned(), bytes: self.bytes, xxh3 }
    }
}

/// A batch, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its number.
    pub batch: u64,
    /// The time, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The URL of the destination queue.
    pub queue: String,
    /// The letters: ten at most.
    pub letters: Vec<Planned>,
}

/// A letter of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The id of its message.
    pub letter: String,
    /// The receipt for its deletion. `None` for a letter of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The end of its hold, in milliseconds since the Unix epoch. Afterwards another receiver may have the message.
    #[serde(default)]
    pub until: u64,
}

/// The reason why a matching letter stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// The handler would refuse it.
    Refused,
    /// There is no space for its job's id, neither in an attribute nor in the body.
    NoRoom,
    /// Its job is done.
    Done,
    /// The change changes nothing in it.
    Unchanged,
    /// The change does not apply to it.
    Inapplicable,
    /// No allowed destination queue is known.
    Origin,
    /// SQS refused it.
    SendFailed,
    /// An earlier letter of its message group stays.
    BehindOther,
    /// The operator skipped it.
    Skipped,
}

impl Left {
    /// Returns the name of the reason in records and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoRoom => "no_room",
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Inapplicable => "inapplicable",
            Self::Origin => "origin",
            Self::SendFailed => "send_failed",
            Self::BehindOther => "behind_other",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the handler would refuse it",
            Self::NoRoom => "its job's id fits neither into an attribute nor into the body",
            Self::Done => "its job is done",
            Self::Unchanged => "the change has no effect on it",
            Self::Inapplicable => "the change does not apply to it",
            Self::Origin => "no queue is known that it may be sent to",
            Self::SendFailed => "SQS did not take it",
            Self::BehindOther => "an earlier letter of its message group stays",
            Self::Skipped => "it was skipped by hand",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_json_with_a_name_each() {
        let header = Header {
            drumline_journal: JOURNAL_VERSION,
            kind: "replay".to_owned(),
            name: "INC-42".to_owned(),
            actor: "ops@host".to_owned(),
            dlq_url: "http://127.0.0.1/0/jobs-dlq".to_owned(),
            queue: None,
            words: vec!["--type=a.b".to_owned()],
            files: Vec::new(),
            from: None,
            started_at: 1,
            hold_secs: 120,
        };
        let planned = Planned { letter: "m-1".to_owned(), receipt: Some("r".to_owned()), until: 7 };
        let plan = Plan { batch: 0, at: 1, queue: "q".to_owned(), letters: vec![planned] };
        let table = [
            (
                Record::Begin(header),
                r#"{"record":"begin","drumlineJournal":1,"kind":"replay","name":"INC-42","actor":"ops@host","dlqUrl":"http://127.0.0.1/0/jobs-dlq","words":["--type=a.b"],"startedAt":1,"holdSecs":120}"#,
            ),
            (
                Record::Plan(plan),
                r#"{"record":"plan","batch":0,"at":1,"queue":"q","letters":[{"letter":"m-1","receipt":"r","until":7}]}"#,
            ),
            (
                Record::Sent { batch: 0, ids: vec![Some("n-1".to_owned()), None], errors: Vec::new() },
                r#"{"record":"sent","batch":0,"ids":["n-1",null]}"#,
            ),
            (Record::Resent { batch: 0, at: 2 }, r#"{"record":"resent","batch":0,"at":2}"#),
            (Record::Gone { batch: 0, places: vec![0] }, r#"{"record":"gone","batch":0,"places":[0]}"#),
            (
                Record::Edited { key: "m-1".to_owned(), fix: Fix::set("/payload/userId=7").ok() },
                r#"{"record":"edited","key":"m-1","fix":{"set":{"pointer":"/payload/userId","json":"7"}}}"#,
            ),
            (
                Record::Edited { key: "m-2".to_owned(), fix: None },
                r#"{"record":"edited","key":"m-2","fix":null}"#,
            ),
            (
                Record::Left { letter: "m-1".to_owned(), why: Left::SendFailed },
                r#"{"record":"left","letter":"m-1","why":"send_failed"}"#,
            ),
        ];
        for (record, line) in table {
            assert_eq!(serde_json::to_string(&record).unwrap(), line);
            assert_eq!(serde_json::from_str::<Record>(line).unwrap(), record);
        }
    }

    #[test]
    fn a_file_has_the_same_mark_in_parts_and_as_a_whole() {
        let content: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut hasher = FileHasher::default();
        content.chunks(777).for_each(|part| hasher.add(part));
        assert_eq!(hasher.mark("a"), FileMark::of("a", &content));
        assert_ne!(hasher.mark("a").xxh3, FileHasher::default().mark("a").xxh3);
    }

    #[test]
    fn a_reason_is_called_in_results_as_in_records() {
        for why in [Left::Refused, Left::NoRoom, Left::SendFailed, Left::BehindOther, Left::Origin] {
            assert_eq!(serde_json::to_string(&why).unwrap(), format!("\"{}\"", why.name()));
        }
    }
}
