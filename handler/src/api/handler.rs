//! Handlers: the code of a job type.

use std::future::Future;
use std::pin::Pin;

use crate::api::context::Context;
use crate::api::failure::Failure;

/// A handler's future, type erased.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Handles jobs of one type. Implemented by every `async fn(Context, J) -> Result<(), Failure>`.
///
/// A handler with state implements it on its own type, or is a closure over it:
///
/// ```
/// use std::sync::Arc;
/// use drumline::{Context, Failure, Handler, Job, Router};
///
/// # #[derive(serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "welcome"; }
/// struct Mailer { /* connections */ }
///
/// impl Handler<Welcome> for Mailer {
///     async fn handle(&self, ctx: Context, job: Welcome) -> Result<(), Failure> {
///         Ok(())
///     }
/// }
/// let router = Router::new().handle(Mailer {});
/// assert_eq!(router.types().collect::<Vec<_>>(), ["welcome"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "expected an `async fn(Context, J) -> Result<(), Failure>`, where `J` implements `Job`",
    note = "a handler is an async function of two arguments, in this order: `drumline::Context` by value, then the job by value",
    note = "it returns `Result<(), Failure>`; inside, `?` turns every error into a `Failure`",
    note = "shared state, such as a pool, is captured by a closure or held by a type that implements `Handler`"
)]
pub trait Handler<J>: Send + Sync + 'static {
    /// Makes one attempt at the job. It may run again for the same job at any time, so its effects must be safe to repeat.
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The future of a handler that is a function. A separate trait, so that compiler errors explain what a handler must return.
#[diagnostic::on_unimplemented(
    message = "a handler must be an `async fn` that returns `Result<(), Failure>`",
    label = "this one returns `{Self}`",
    note = "a handler is `async fn(Context, J) -> Result<(), Failure>`; inside, `?` turns every error into a `Failure`",
    note = "a function that is not async and blocks its thread is added with `Router::handle_blocking`",
    note = "a handler leaves a value for others with `Context::set_result`, and ends with `Ok(())`"
)]
pub trait HandlerRun: Future<Output = Result<(), Failure>> {}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = Result<(), Failure>>> HandlerRun for F {}

impl<J, F, Fut> Handler<J> for F
where
    F: Fn(Context, J) -> Fut + Send + Sync + 'static,
    Fut: HandlerRun + Send,
{
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send {
        self(context, job)
    }
}

/// A handler that is blocking code. A separate trait, so that compiler errors explain how to add an async one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking handler",
    label = "expected an `fn(Context, J) -> Result<(), Failure>` that is not async, where `J` implements `Job`",
    note = "an `async fn` is added with `Router::handle`",
    note = "a blocking handler takes `drumline::Context` first and its job second, both by value"
)]
pub trait BlockingHandler<J>: Fn(Context, J) -> Result<(), Failure> + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<J, F: Fn(Context, J) -> Result<(), Failure> + Send + Sync + 'static> BlockingHandler<J> for F {}
