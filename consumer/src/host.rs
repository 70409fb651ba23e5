//! What the consumer lends to the handlers it runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::{Context, Ending, Host, Note, Progress};

use crate::metrics::QueueMetrics;

/// Watches a consumer from inside its process: for a live view, or a test. Called on the consumer's own threads, so
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
pub(crate) struct Nobody;

impl Listener for Nobody {}

/// Runs blocking work on tokio's blocking threads, and counts.
pub(crate) struct TokioHost {
    pub(crate) metrics: QueueMetrics,
    pub(crate) listener: Arc<dyn Listener>,
}

impl Host for TokioHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn started(&self, context: &Context) {
        if let Some(sent_at) = context.message().sent_at {
            self.metrics.pickup.observe(since_epoch().saturating_sub(sent_at).as_secs_f64());
        }
        self.metrics.of_type(Some(context.job_type())).running.inc();
        self.listener.started(context);
    }

    fn ended(&self, context: &Context, ending: &Ending) {
        self.metrics.of_type(Some(context.job_type())).running.dec();
        self.listener.ended(context, ending);
    }

    fn progress(&self, context: &Context, progress: &Progress) {
        self.listener.progress(context, progress);
    }
}

/// The wall clock. A clock before 1970 reads as 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
