//! The reasons for which there is no producer.

use std::fmt;

use drumline_runtime::{Problems, SqsError};

/// The reason for which there is no producer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Settings that cannot be used.
    Settings(Problems),
    /// No setting names a queue.
    NoQueue,
    /// AWS's own settings cannot be used, such as a region that is missing.
    Aws(String),
    /// A queue that is given by its name cannot be found.
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
