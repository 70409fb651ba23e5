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
pub trait Handler<J>: Send + Sync + 'static {
    /// Makes one attempt at the job. It may run again for the same job at any time: its effects have to bear that.
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl<J, F, Fut> Handler<J> for F
where
    F: Fn(Context, J) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send {
        self(context, job)
    }
}
