//! Actions: each replay, delete, export and undo has a record that operators list, abort and resume.
//!
//! The record is a document of the store, which the running command rewrites every few seconds. If a record was not rewritten
//! for [`SILENT_AFTER_MS`], its process is considered gone.

mod kind;
mod lock;
mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use kind::ActionKind;
pub use lock::ActionLock;
pub use state::ActionState;

/// The version of the format.
pub const ACTION_VERSION: u32 = 1;

/// The time without a report after which a running action counts as interrupted. Longer than a short outage of the store.
pub const SILENT_AFTER_MS: u64 = 60_000;

/// The time for which a DLQ is locked after its holder's last report.
const LOCKED_FOR_MS: u64 = 60_000;

/// The time for which deleted letters can be put back.
pub const UNDO_FOR_MS: u64 = 14 * 24 * 60 * 60 * 1000;

/// The flag with which an export deletes letters.
const DELETE_FLAG: &str = "--delete";

/// The maximum length of an action's name: its journal is a file of this name.
pub const MAX_NAME: usize = 80;

/// The limits with which a record fits into a document: of a command line's words, of counts, and of a text that people wrote,
/// in bytes.
const MAX_WORDS: usize = 32;
const MAX_WORD: usize = 80;
const MAX_COUNTS: usize = 24;
const MAX_TEXT: usize = 400;

/// Numbers of letters, by their result.
pub type Counts = BTreeMap<String, u64>;

/// An operator's request to end a running action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortRequest {
    /// The person or program that asks.
    pub by: String,
    /// The time, in milliseconds since the Unix epoch.
    pub at: u64,
}

/// The facts of an action at its start.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The kind of action.
    pub kind: ActionKind,
    /// Its name.
    pub name: String,
    /// The person or program that acts.
    pub actor: String,
    /// The DLQ: its ARN, or its URL if the ARN is not known.
    pub dlq: String,
    /// The flags that choose the letters and the action on them, as they were given.
    pub words: Vec<String>,
    /// The flags that limit a replay, as they were given: a resumed one takes them from its command line.
    pub bounds: Vec<String>,
    /// The host on which it runs, where its files are.
    pub host: Option<String>,
    /// The path of its journal.
    pub journal: Option<String>,
    /// The path of its export.
    pub export: Option<String>,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionRecord {
    /// The version of the format.
    pub drumline_action: u32,
    /// Its name.
    pub name: String,
    /// The kind of action.
    pub kind: ActionKind,
    /// The person or program that acts.
    pub actor: String,
    /// The DLQ: its ARN, or its URL if the ARN is not known.
    pub dlq: String,
    /// The flags that choose the letters and the action on them, as they were given.
    #[serde(default)]
    pub words: Vec<String>,
    /// True if words are missing or shortened because of the size limit, so that they do not repeat the command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub words_cut: bool,
    /// The flags that limit a replay, as given to its last process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<String>,
    /// The state, as its process reported it last.
    pub state: ActionState,
    /// The reason for stopping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Numbers of letters by their result.
    #[serde(default)]
    pub counts: Counts,
    /// The time of its start, in milliseconds since the Unix epoch.
    pub started_at: u64,
    /// The time of its process's last report.
    pub reported_at: u64,
    /// The time of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// The host on which it runs, where its files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path of its journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// The path of its export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// The time until which its letters can be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_until: Option<u64>,
    /// An operator's request to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortRequest>,
}

impl ActionRecord {
    /// Returns the record of an action that starts.
    pub fn begun(beginning: Beginning, now_ms: u64) -> Self {
        let Beginning { kind, name, actor, dlq, words, bounds, host, journal, export } = beginning;
        let given = words;
        let words = bounded_words(&given);
        Self {
            drumline_action: ACTION_VERSION,
            name,
            kind,
            actor: bounded(&actor, MAX_TEXT),
            dlq,
            words_cut: words != given,
            words,
            bounds: bounded_words(&bounds),
            state: ActionState::Running,
            why: None,
            counts: Counts::new(),
            started_at: now_ms,
            reported_at: now_ms,
            ended_at: None,
            host,
            journal,
            export,
            undo_until: None,
            abort: None,
        }
    }

    /// Returns true if SQS itself moves the letters, without a journal of this program.
    pub fn is_native(&self) -> bool {
        self.kind == ActionKind::Replay && self.journal.is_none()
    }

    /// Returns the lock of its DLQ from now on.
    pub fn lock(&self, now_ms: u64) -> ActionLock {
        let Self { name, kind, actor, started_at, .. } = self.clone();
        ActionLock { name, kind, actor, since: started_at, until: now_ms.saturating_add(LOCKED_FOR_MS) }
    }

    /// Returns true if a process runs it, according to the last report.
    pub fn is_alive(&self, now_ms: u64) -> bool {
        self.state == ActionState::Running && self.reported_at.saturating_add(SILENT_AFTER_MS) > now_ms
    }

    /// Returns the state at this time.
    pub fn state(&self, now_ms: u64) -> ActionState {
        match self.state {
            ActionState::Running if !self.is_alive(now_ms) => ActionState::Interrupted,
            state => state,
        }
    }

    /// Returns the record after a report of the process that runs it.
    pub fn reported(&self, counts: &Counts, now_ms: u64) -> Self {
        let counts = counts.iter().take(MAX_COUNTS).map(|(name, count)| (bounded(name, MAX_WORD), *count));
        Self { counts: counts.collect(), reported_at: now_ms, ..self.clone() }
    }

    /// Returns true if the action deletes letters that it has exported.
    fn deletes_exported(&self) -> bool {
        match self.kind {
            ActionKind::Delete => true,
            ActionKind::Export => {
                self.count("deleted") > 0 || self.words.iter().any(|word| word == DELETE_FLAG)
            }
            ActionKind::Replay | ActionKind::Undo => false,
        }
    }

    /// Returns true if letters of its export may still be in the DLQ, because it did not delete all of them.
    pub fn may_have_left_letters(&self) -> bool {
        let is_counted = self.count("left") == 0 && self.count("deleted") >= self.count("exported");
        self.state != ActionState::Done || !is_counted
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Returns the record after its end. Letters that it has exported and deleted can be put back from now on.
    pub fn ended(&self, state: ActionState, why: Option<&str>, counts: &Counts, now_ms: u64) -> Self {
        let reported = self.reported(counts, now_ms);
        let can_undo = reported.deletes_exported() && self.export.is_some();
        Self {
            state,
            why: why.map(|why| bounded(why, MAX_TEXT)),
            ended_at: Some(now_ms),
            undo_until: can_undo.then(|| now_ms.saturating_add(UNDO_FOR_MS)),
            abort: None,
            ..reported
        }
    }

    /// Returns the record after an operator requested its end: the process that runs it sees the request; without a process it
    /// is aborted at once.
    ///
    /// # Errors
    /// If it has ended.
    pub fn abort_asked(&self, by: &str, now_ms: u64) -> Result<Self, CannotAbort> {
        if matches!(self.state, ActionState::Done | ActionState::Aborted) {
            return Err(CannotAbort { name: self.name.clone(), kind: self.kind, state: self.state });
        }
        let by = bounded(by, MAX_TEXT);
        if self.is_alive(now_ms) {
            return Ok(Self { abort: Some(AbortRequest { by, at: now_ms }), ..self.clone() });
        }
        let why = format!("aborted by {by}, when no process ran it");
        Ok(Self {
            reported_at: self.reported_at,
            ..self.ended(ActionState::Aborted, Some(&why), &self.counts, now_ms)
        })
    }

    /// Returns the record after the action was resumed on a host on which no other process runs it, because its journal is
    /// locked. The flags of the new process limit it.
    ///
    /// # Errors
    /// If it is done and is no export, or a process of another host runs it.
    pub fn resumed(&self, host: Option<&str>, bounds: &[String], now_ms: u64) -> Result<Self, CannotResume> {
        let Self { name, kind, .. } = self;
        let (name, kind) = (name.clone(), *kind);
        // A resumed export may have more to do: letters that arrived later, or their deletion.
        if self.state == ActionState::Done && self.kind != ActionKind::Export {
            return Err(CannotResume::Done { name, kind });
        }
        if self.is_alive(now_ms) && (host.is_none() || self.host.as_deref() != host) {
            let host = self.host.clone().unwrap_or_else(|| "an unknown host".to_owned());
            return Err(CannotResume::Running { name, kind, actor: self.actor.clone(), host });
        }
        Ok(Self {
            state: ActionState::Running,
            why: None,
            ended_at: None,
            undo_until: None,
            abort: None,
            reported_at: now_ms,
            host: host.map(str::to_owned),
            bounds: bounded_words(bounds),
            ..self.clone()
        })
    }

    /// Checks that the letters of the action can be put back into the DLQ, and returns the location of their export.
    ///
    /// # Errors
    /// If it deletes no letters, is running, has no export, or ended too long ago.
    pub fn undoable(&self, now_ms: u64) -> Result<&str, CannotUndo> {
        let (name, kind) = (self.name.clone(), self.kind);
        if !self.deletes_exported() {
            return Err(match kind {
                ActionKind::Export => CannotUndo::NothingDeleted { name },
                _ => CannotUndo::Kind { name, kind },
            });
        }
        if self.is_alive(now_ms) {
            return Err(CannotUndo::Running { name, kind });
        }
        let Some(export) = &self.export else { return Err(CannotUndo::NoExport { name, kind }) };
        // The process of an interrupted action could not set the time.
        let until = self.undo_until.unwrap_or_else(|| self.reported_at.saturating_add(UNDO_FOR_MS));
        if until <= now_ms {
            return Err(CannotUndo::Late { name, kind, export: export.clone() });
        }
        Ok(export)
    }
}

/// An action that has ended, and so cannot be aborted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} {name} is {state} already")]
pub struct CannotAbort {
    name: String,
    kind: ActionKind,
    state: ActionState,
}

/// The reason why an action cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what the fields are")]
pub enum CannotResume {
    /// All of its work is done.
    #[error("the {kind} {name} is done")]
    Done { name: String, kind: ActionKind },
    /// A process of another host runs it.
    #[error("the {kind} {name} of {actor} runs on {host}: `dlq actions abort {name}` ends it")]
    Running { name: String, kind: ActionKind, actor: String, host: String },
}

/// The reason why the letters of an action cannot be put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what the fields are")]
pub enum CannotUndo {
    /// It is another kind of action.
    #[error(
        "{name} is of the kind {kind}, and only deletions can be undone: a replay is aborted, with `dlq actions abort {name}`"
    )]
    Kind { name: String, kind: ActionKind },
    /// It is an export without deletion.
    #[error("the export {name} has deleted nothing, so there is nothing to put back")]
    NothingDeleted { name: String },
    /// It is still deleting.
    #[error("the {kind} {name} runs: `dlq actions abort {name}` ends it")]
    Running { name: String, kind: ActionKind },
    /// Its operator declined the export.
    #[error("the {kind} {name} has no export, so its letters are gone")]
    NoExport { name: String, kind: ActionKind },
    /// It ended too long ago.
    #[error(
        "the {kind} {name} ended more than 14 days ago; its export is in {export}, and `dlq replay --from FILE` replays one in a file"
    )]
    Late { name: String, kind: ActionKind, export: String },
}

/// Checks the name of an action, which is also the name of its files.
///
/// # Errors
/// If it is empty, too long, or has characters that are not suitable for file names.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with(['.', '-'])
        || !name.chars().all(is_allowed)
    {
        return Err(format!(
            "the name {name:?} is not of 1 to {MAX_NAME} letters, digits, hyphens, underscores and periods"
        ));
    }
    Ok(())
}

fn bounded_words(words: &[String]) -> Vec<String> {
    words.iter().take(MAX_WORDS).map(|word| bounded(word, MAX_WORD)).collect()
}

/// Shortens a text to about `longest` bytes, without control characters, which JSON writes in six bytes each.
fn bounded(text: &str, longest: usize) -> String {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let ellipsis = if end < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", text[..end].replace(char::is_control, " "))
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
