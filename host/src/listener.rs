//! Watching a host from inside its process.

use drumline::{Context, Ending, Note, Progress};

/// Watches a host from inside its process: for a live view, or a test. Called on the host's own threads, so
/// implementations return at once.
pub trait Listener: Send + Sync + 'static {
    /// A handler begins.
    fn started(&self, _context: &Context) {}
    /// A handler has ended.
    fn ended(&self, _context: &Context, _ending: &Ending) {}
    /// A handler tells how far it is.
    fn progress(&self, _context: &Context, _progress: &Progress) {}
    /// The ledger of a queue tells something.
    fn note(&self, _queue: &str, _note: &Note) {}
}

/// A listener that hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Listener for Nobody {}
