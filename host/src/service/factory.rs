//! The factory of a service's router: a function or closure, async or not, with or without errors.

use std::error::Error;
use std::fmt;

use drumline::Router;
use drumline::core::panic_text;
use tokio::runtime::Handle;

use crate::aws::with_causes;
use crate::redact::redacted;
use crate::sqs::BoxFuture;

/// The error of factories and hooks. `?` converts any other error to it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Makes the router of a service. Implemented by functions and closures without arguments that return a [`Router`] or a
/// `Result<Router, E>` with any error, and by async ones. `Kind` tells these four apart, and is inferred.
///
/// The hosts call it once, before the first message, on the runtime on which handlers run: tasks that it spawns, such as those of a
/// pool of connections, live as long as the handlers. `config` and `doctor queue`
/// of the command line call it as well, for the values of job types.
///
/// ```
/// use drumline::Router;
/// use drumline_runtime::{BoxError, Service};
///
/// async fn router() -> Result<Router, BoxError> {
///     let settings = tokio::fs::read_to_string("jobs.toml").await?;
///     # drop(settings);
///     Ok(Router::new())
/// }
///
/// let service = Service::new(router);
/// let without_errors = Service::new(|| Router::new());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a factory of a router",
    label = "expected a function or closure that makes a `Router`",
    note = "a factory takes no arguments and returns `Router` or `Result<Router, E>`; it may be async if its future is `Send`",
    note = "in place of a router, pass what makes it: `|| Router::new()` instead of `Router::new()`, or `router` instead of `router()`",
    note = "`E` implements `std::error::Error`, and is `Send`, `Sync` and `'static`; `BoxError` takes every such error"
)]
pub trait RouterFactory<Kind>: Send + 'static {
    /// Returns the work of making the router. It begins with the first poll.
    fn make(self) -> BoxFuture<Result<Router, BoxError>>;
}

/// The kinds of factories, which the compiler needs to distinguish the implementations.
pub(super) mod kind {
    #[derive(Debug)]
    pub struct Plain;
    #[derive(Debug)]
    pub struct Fallible;
    #[derive(Debug)]
    pub struct Async;
    #[derive(Debug)]
    pub struct AsyncFallible;
}

impl<F> RouterFactory<kind::Plain> for F
where
    F: FnOnce() -> Router + Send + 'static,
{
    fn make(self) -> BoxFuture<Result<Router, BoxError>> {
        Box::pin(async move { Ok(self()) })
    }
}

impl<F, E> RouterFactory<kind::Fallible> for F
where
    F: FnOnce() -> Result<Router, E> + Send + 'static,
    E: Into<BoxError>,
{
    fn make(self) -> BoxFuture<Result<Router, BoxError>> {
        Box::pin(async move { self().map_err(Into::into) })
    }
}

impl<F, Fut> RouterFactory<kind::Async> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Router> + Send,
{
    fn make(self) -> BoxFuture<Result<Router, BoxError>> {
        Box::pin(async move { Ok(self().await) })
    }
}

impl<F, Fut, E> RouterFactory<kind::AsyncFallible> for F
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Router, E>> + Send,
    E: Into<BoxError>,
{
    fn make(self) -> BoxFuture<Result<Router, BoxError>> {
        Box::pin(async move { self().await.map_err(Into::into) })
    }
}

/// The reason why a factory made no router: its error with all causes, without probable secrets, or its panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactoryError {
    text: String,
    is_panic: bool,
}

impl FactoryError {
    /// Returns true if the factory panicked: a mistake in the program, not in its settings.
    pub fn is_panic(&self) -> bool {
        self.is_panic
    }
}

impl fmt::Display for FactoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let panicked = if self.is_panic { "the router's factory panicked: " } else { "" };
        write!(f, "{panicked}{}", self.text)
    }
}

impl Error for FactoryError {}

/// Runs `making` on the runtime of handlers. A panic is returned as an error instead of ending the caller.
pub async fn make_on<T: Send + 'static>(
    handlers: &Handle,
    making: impl Future<Output = Result<T, BoxError>> + Send + 'static,
) -> Result<T, FactoryError> {
    match handlers.spawn(making).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(FactoryError { text: shown(&*error), is_panic: false }),
        Err(ended) => Err(FactoryError { text: ended_text(ended), is_panic: true }),
    }
}

/// Returns an error of the service's own code as one text, with its causes and without probable secrets.
pub(super) fn shown(error: &(dyn Error + 'static)) -> String {
    redacted(&with_causes(error)).into_owned()
}

/// Returns the text of the panic that ended a task.
pub(super) fn ended_text(ended: tokio::task::JoinError) -> String {
    let text = match ended.try_into_panic() {
        Ok(panic) => panic_text(&*panic).unwrap_or("with a value that is no text").to_owned(),
        Err(cancelled) => cancelled.to_string(),
    };
    redacted(&text).into_owned()
}
