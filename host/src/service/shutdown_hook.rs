//! The hook of a service that runs after the drain: the place to close what the router's factory opened.

use std::time::Duration;

use tokio::runtime::Handle;

use super::factory::{BoxError, ended_text, shown};
use crate::sqs::BoxFuture;

/// Ends what a service has opened. Implemented by functions and closures without arguments whose future returns `()` or a
/// `Result<(), E>` with any error. `Kind` tells the two apart, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shutdown hook",
    label = "expected an async function or closure without arguments",
    note = "a hook is async, takes no arguments and returns `()` or `Result<(), E>`; its future is `Send`"
)]
pub trait ShutdownHook<Kind>: Send + 'static {
    /// Returns the work of the hook. It begins with the first poll.
    fn run(self) -> BoxFuture<Result<(), BoxError>>;
}

/// The kinds of hooks, which the compiler needs to distinguish the implementations.
pub(super) mod kind {
    #[derive(Debug)]
    pub struct Plain;
    #[derive(Debug)]
    pub struct Fallible;
}

impl<F, Fut> ShutdownHook<kind::Plain> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    fn run(self) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async move {
            self().await;
            Ok(())
        })
    }
}

impl<F, Fut, E> ShutdownHook<kind::Fallible> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<BoxError>,
{
    fn run(self) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async move { self().await.map_err(Into::into) })
    }
}

/// The end of a service whose router was made. [`Default`] does nothing, as in forward mode.
#[derive(Default)]
pub struct Shutdown {
    hook: Option<(BoxFuture<Result<(), BoxError>>, Handle)>,
}

impl Shutdown {
    pub(super) fn new(hook: Option<BoxFuture<Result<(), BoxError>>>, handlers: &Handle) -> Self {
        Self { hook: hook.map(|hook| (hook, handlers.clone())) }
    }

    /// Runs the hook, if there is one, on the runtime of handlers, for at most `limit`.
    ///
    /// # Errors
    /// Its error with all causes, its panic, or that it took too long, as a text for the operator.
    pub async fn run(self, limit: Duration) -> Result<(), String> {
        let Some((hook, handlers)) = self.hook else { return Ok(()) };
        match tokio::time::timeout(limit, handlers.spawn(hook)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(shown(&*error)),
            Ok(Err(ended)) => Err(format!("it panicked: {}", ended_text(ended))),
            Err(_) => Err(format!("it has not ended within {limit:?}")),
        }
    }
}
