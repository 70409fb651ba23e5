//! The kinds of actions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    /// Puts dead letters back into their queues.
    Replay,
    /// Deletes dead letters.
    Delete,
    /// Writes dead letters into a file.
    Export,
    /// Puts deleted letters back into the DLQ.
    Undo,
}

impl ActionKind {
    /// Returns the command of this kind.
    pub fn command(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Undo => "undo",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command())
    }
}
