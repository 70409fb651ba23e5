//! Tasks that export again and again.

use tokio::task::AbortHandle;

/// A task that exports until this is dropped.
#[derive(Debug)]
pub(crate) struct Repeated(AbortHandle);

impl Repeated {
    /// Starts the task on the current runtime.
    pub(crate) fn new(exports: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(exports).abort_handle())
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.0.abort();
    }
}
