//! The sources of settings.

use std::fmt;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Environment,
    /// The file's top level.
    File,
    /// A `[[queue]]` table of the file.
    QueueTable,
    /// The code of a job type.
    Code,
    /// The setting's default.
    Default,
    /// The queue's own attribute, known after SQS reports it.
    Queue,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::QueueTable => "file, [[queue]]",
            Self::Code => "code",
            Self::Default => "default",
            Self::Queue => "the queue",
        })
    }
}
