//! The store under test.

use std::pin::Pin;
use std::sync::Arc;

use crate::{OpenError, Retention, Store};

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>, OpenError>> + Send>>;

/// A store under test: contains the function by which a case opens it.
pub struct Subject {
    pub(super) open: Box<dyn Fn(Arc<str>, Retention) -> Opening + Send + Sync>,
    pub(super) in_process: bool,
    pub(super) paused: bool,
}

impl Subject {
    /// Creates a subject. `open` opens the store for the process with this name, with this retention. A case calls it for every
    /// process that it simulates; all of them must see the same data.
    pub fn new<F>(open: impl Fn(Arc<str>, Retention) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Store>, OpenError>> + Send + 'static,
    {
        let open = Box::new(move |owner, keep| Box::pin(open(owner, keep)) as Opening);
        Self { open, in_process: false, paused: false }
    }

    /// Declares that the store's data does not outlive its process: a case simulates only one process, and expects no
    /// takeovers.
    pub fn in_process(self) -> Self {
        Self { in_process: true, ..self }
    }

    /// Declares that the store follows tokio's clock, so that no case waits.
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }
}
