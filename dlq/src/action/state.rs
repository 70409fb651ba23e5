//! How far an action is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionState {
    /// A process runs it.
    Running,
    /// It did all that it was to do.
    Done,
    /// It stopped by itself: too many letters returned, or something failed.
    Stopped,
    /// An operator aborted it.
    Aborted,
    /// Its process was interrupted, or is gone.
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
