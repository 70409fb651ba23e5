//! The reasons why a producer cannot be created.

use std::fmt;

use drumline_runtime::{Problems, SqsError};

/// The reason why a producer cannot be created.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Invalid settings.
    Settings(Problems),
    /// No setting names a queue.
    NoQueue,
    /// AWS's own settings are invalid or incomplete; for example, the region is missing.
    Aws(String),
    /// The queue with this name cannot be found.
    Queue(SqsError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => problems.fmt(f),
            Self::NoQueue => f.write_str(
                "no queue is given: set DRUMLINE_QUEUE_URL, or \"TYPE\" = \"URL\" under [queue_by_type] in the file of settings",
            ),
            Self::Aws(text) => f.write_str(text),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}
