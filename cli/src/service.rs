//! The parts of a command line that belong to the service: its router, and the jobs by which `dev` shows something.

#[cfg(feature = "dev")]
use std::path::{Path, PathBuf};

use drumline::Router;

/// Makes the router, once it is known to be needed.
pub(crate) type MakeRouter = Box<dyn FnOnce() -> Result<Router, String>>;

/// Prepares a folder for trying things out: its router and its jobs.
#[cfg(feature = "dev")]
pub(crate) type MakeDev = Box<dyn FnOnce(&Path) -> Result<(Router, Vec<DevJob>), String>>;

/// A job that `dev` sends to show something.
#[cfg(feature = "dev")]
#[derive(Debug, Clone)]
pub struct DevJob {
    /// The subject, in a few words.
    pub label: String,
    /// The message body.
    pub body: String,
    /// The files that are there once it is done.
    pub outputs: Vec<PathBuf>,
}
