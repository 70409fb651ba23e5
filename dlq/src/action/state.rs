//! The state of an action.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionState {
    /// A process runs it.
    Running,
    /// All of its work is done.
    Done,
    /// It stopped by itself: too many letters returned, or something failed.
    Stopped,
    /// An operator aborted it.
    Aborted,
    /// Its process was interrupted, or no longer runs.
    Interrupted,
}

impl ActionState {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for ActionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
